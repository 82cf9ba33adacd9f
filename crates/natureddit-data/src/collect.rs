//! `collect`: every post of a window, its photo, and the dataset they make.
//!
//! Pages are asked for one after the other; the photos of a page are fetched side by side. Rows are written at intervals
//! and at the end, photos as they arrive, so that a killed run loses little and the next one goes on from there. What the
//! files hold depends on the posts and photos only, not on how often or in how many attempts they were collected.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use natureddit_core::fs::{self, FsError};
use natureddit_core::{Clock, Post, PostId, Progress};
use natureddit_net::Client;
use serde::Serialize;

use crate::dataset::{Dataset, DatasetError, DroppedPost, PostRow};
use crate::images::{FileState, PhotoConfig, PhotoError, PhotoStore, StoredPhoto, on_a_thread};
use crate::media;
use crate::paging::{Pager, PagingError, Window};
use crate::record::Collected;
use crate::source::{self, Source, SourceConfig, SourceError};
use crate::submission::Submission;

/// Rows that a killed run may lose at most, in a small dataset; a tenth in a large one, so that writing the whole table
/// each time stays cheap.
const UNWRITTEN_ROWS_MAX: usize = 200;

/// What to collect, and where to.
#[derive(Clone, Debug)]
pub struct CollectConfig {
    /// Where posts come from.
    pub source: SourceConfig,
    /// The subreddits' names without `r/`.
    pub subreddits: Vec<String>,
    /// The time of the posts.
    pub window: Window,
    /// Posts asked for at once.
    pub page_size: u32,
    /// Whether posts marked as not safe for work are taken.
    pub include_over_18: bool,
    /// Which photos are taken and how they are stored.
    pub photos: PhotoConfig,
    /// The folder of the dataset.
    pub data_dir: PathBuf,
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CollectReport {
    /// Posts of the window that the source gave.
    pub posts_seen: u64,
    /// Posts that were not in the dataset before.
    pub posts_new: u64,
    /// Photos fetched and stored, of new posts and in place of files that were gone or changed.
    pub photos_stored: u64,
    /// Photos that were there already and not fetched.
    pub photos_present: u64,
    /// Posts of the window that are not in the dataset, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Records without a usable id or time.
    pub records_unreadable: u64,
    /// Seconds of which posts may be missing.
    pub gaps: Vec<SubredditGap>,
}

/// A second with more posts than the source gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubredditGap {
    /// The subreddit.
    pub subreddit: String,
    /// In seconds since the epoch.
    pub second: i64,
}

/// A collection that stopped before its end. What it had collected is kept, and the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The source failed.
    #[error("collecting stopped early; {} new posts are kept and the next run goes on from there", report.posts_new)]
    Source {
        /// Why.
        #[source]
        source: SourceError,
        /// What was done until then.
        report: Box<CollectReport>,
    },
    /// The source cannot be paged.
    #[error("collecting r/{subreddit} stopped early; {} new posts are kept", report.posts_new)]
    Paging {
        /// The subreddit.
        subreddit: String,
        /// Why.
        #[source]
        source: PagingError,
        /// What was done until then.
        report: Box<CollectReport>,
    },
    /// The dataset cannot be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A photo cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Collects the posts of a window into the dataset of a folder and says what it did. Posts that the dataset has stay as
/// they are. A photo that cannot be had is counted with its reason and stops nothing; the next run tries it again.
///
/// # Errors
/// [`CollectError`] when the source fails or the dataset cannot be written; what was collected until then is kept.
pub async fn collect(
    config: &CollectConfig,
    client: &Client,
    clock: &Clock,
    progress: &Progress,
) -> Result<CollectReport, CollectError> {
    let mut collection = Collection::open(config, client, clock).await?;
    let result = collection.collect_all(progress).await;
    progress.finish();
    // Also after a failure: what was collected is kept.
    collection.write().await?;
    result.map(|()| collection.report)
}

/// A collection under way.
struct Collection<'a> {
    config: &'a CollectConfig,
    clock: &'a Clock,
    source: Source,
    store: PhotoStore,
    dataset: Dataset,
    unwritten: usize,
    /// The subreddits that are done.
    covered: Vec<String>,
    report: CollectReport,
}

/// What became of one post.
enum Outcome {
    /// Its row and photo were there.
    Present,
    Stored(Box<PostRow>),
    Dropped(DroppedPost),
}

impl<'a> Collection<'a> {
    async fn open(config: &'a CollectConfig, client: &Client, clock: &'a Clock) -> Result<Self, CollectError> {
        let store = PhotoStore::new(Dataset::images_dir(&config.data_dir), config.photos, client.clone());
        fs::remove_partials(&config.data_dir)?;
        fs::remove_partials(store.folder())?;
        let data_dir = config.data_dir.clone();
        let dataset = on_a_thread(move || Dataset::read(&data_dir)).await?;
        Ok(Self {
            config,
            clock,
            source: source::from_config(&config.source, client),
            store,
            dataset,
            unwritten: 0,
            covered: Vec::new(),
            report: CollectReport::default(),
        })
    }

    async fn collect_all(&mut self, progress: &Progress) -> Result<(), CollectError> {
        for subreddit in &self.config.subreddits {
            progress.start(&format!("collecting r/{subreddit}"), None);
            self.collect_subreddit(subreddit, progress).await?;
            self.covered.push(subreddit.clone());
        }
        Ok(())
    }

    async fn collect_subreddit(&mut self, subreddit: &str, progress: &Progress) -> Result<(), CollectError> {
        let mut pager = Pager::new(self.config.window, self.config.page_size, self.source.page_size_max());
        while let Some(request) = pager.next_page() {
            let page = self.source.page(subreddit, request).await;
            let page = page.map_err(|source| CollectError::Source { source, report: self.report_so_far() })?;
            self.report.records_unreadable += (page.records - page.submissions.len()) as u64;
            let keys: Vec<_> = page.submissions.iter().map(|s| (s.post.id.clone(), s.post.created_utc)).collect();
            let new = pager.accept(page.records, &keys).map_err(|source| {
                let subreddit = subreddit.to_owned();
                CollectError::Paging { subreddit, source, report: self.report_so_far() }
            })?;
            let new: Vec<_> = new.into_iter().map(|position| &page.submissions[position]).collect();
            self.take(&new, progress).await?;
        }
        let gaps = pager.into_gaps().into_iter();
        self.report.gaps.extend(gaps.map(|gap| SubredditGap { subreddit: subreddit.to_owned(), second: gap.second }));
        Ok(())
    }

    fn report_so_far(&self) -> Box<CollectReport> {
        Box::new(self.report.clone())
    }

    /// Brings posts and their photos into the dataset.
    async fn take(&mut self, submissions: &[&Submission], progress: &Progress) -> Result<(), CollectError> {
        let mut waiting = submissions.iter();
        let mut results = Vec::with_capacity(submissions.len());
        {
            let mut under_way: FuturesUnordered<_> =
                waiting.by_ref().take(self.config.photos.in_flight_max.max(1)).map(|post| self.judge(post)).collect();
            while let Some(result) = under_way.next().await {
                results.push(result);
                progress.advance(1);
                if let Some(post) = waiting.next() {
                    under_way.push(self.judge(post));
                }
            }
        }
        for result in results {
            let (id, outcome) = result?;
            self.apply(id, outcome)?;
        }
        if self.unwritten >= UNWRITTEN_ROWS_MAX.max(self.dataset.posts.len() / 10) {
            self.write().await?;
        }
        Ok(())
    }

    /// Decides about one post; stores its photo if there is one to store. An error is this machine's.
    async fn judge(&self, submission: &Submission) -> Result<(PostId, Outcome), FsError> {
        let post = &submission.post;
        let row = self.dataset.posts.get(&post.id);
        let state = match row {
            Some(row) => self.store.state(&row.img_name, row.sha256).await?,
            None => FileState::Missing,
        };
        let outcome = if state == FileState::Same {
            Outcome::Present
        } else {
            match self.fetch_photo(submission).await? {
                Ok(photo) => Outcome::Stored(Box::new(self.new_row(post, row, photo))),
                Err(reason) if state == FileState::Changed => {
                    // Somebody changed the file and the original is gone: better the changed one than none.
                    tracing::warn!(id = %post.id, reason, "the photo was changed and cannot be had again");
                    Outcome::Present
                }
                Err(reason) => Outcome::Dropped(DroppedPost {
                    id: post.id.clone(),
                    subreddit: post.subreddit.clone(),
                    created_utc: post.created_utc,
                    reason,
                }),
            }
        };
        Ok((post.id.clone(), outcome))
    }

    /// The photo of a post, stored; or the reason why there is none.
    async fn fetch_photo(&self, submission: &Submission) -> Result<Result<StoredPhoto, String>, FsError> {
        let url = match media::photo_url(submission, self.config.include_over_18) {
            Ok(url) => url,
            Err(reason) => return Ok(Err(reason.code().to_owned())),
        };
        match self.store.fetch(&submission.post.id, &url).await {
            Ok(photo) => Ok(Ok(photo)),
            Err(PhotoError::Fs(error)) => Err(error),
            Err(error) => {
                tracing::debug!(id = %submission.post.id, %error, "photo dropped");
                Ok(Err(error.code().into_owned()))
            }
        }
    }

    /// A row that was there wins; only what describes its file is new.
    fn new_row(&self, post: &Post, old: Option<&PostRow>, photo: StoredPhoto) -> PostRow {
        let StoredPhoto { img_name, width, height, sha256, phash } = photo;
        let (post, source) = match old {
            Some(old) => (old.post.clone(), old.source.clone()),
            None => (post.clone(), self.source.name().to_owned()),
        };
        PostRow { post, img_name, source, width, height, sha256, phash }
    }

    fn apply(&mut self, id: PostId, outcome: Outcome) -> Result<(), FsError> {
        self.report.posts_seen += 1;
        match outcome {
            Outcome::Present => self.report.photos_present += 1,
            Outcome::Stored(row) => {
                let img_name = row.img_name.clone();
                self.report.photos_stored += 1;
                self.unwritten += 1;
                match self.dataset.insert(*row) {
                    Some(old) if old.img_name != img_name => fs::remove_file(&self.store.folder().join(old.img_name))?,
                    Some(_) => {}
                    None => self.report.posts_new += 1,
                }
            }
            Outcome::Dropped(post) => {
                *self.report.dropped.entry(post.reason.clone()).or_default() += 1;
                // Nothing can be learnt from a row without its photo; should the photo come back, so does the row.
                self.dataset.posts.remove(&id);
                self.dataset.dropped.insert(id, post);
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), DatasetError> {
        self.unwritten = 0;
        let now = self.clock.now();
        let collected = Collected {
            retrieved_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
            source: self.source.name(),
            subreddits: self.covered.clone(),
            window: self.config.window,
        };
        let mut dataset = mem::take(&mut self.dataset);
        let data_dir = self.config.data_dir.clone();
        let (dataset, written) = on_a_thread(move || {
            let written = dataset.write(&data_dir, collected);
            (dataset, written)
        })
        .await;
        self.dataset = dataset;
        written
    }
}
