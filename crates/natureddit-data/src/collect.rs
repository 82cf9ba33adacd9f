//! `collect`: every post of a window, its photo, and the dataset they make.
//!
//! Pages are asked for one after the other; the photos of a page are fetched side by side. Photos are written as they
//! arrive and noted in a journal, the tables at intervals and at the end, so that a killed run loses next to nothing and
//! the next one goes on from there. What the files hold depends on the posts and photos only, not on how often or in how
//! many attempts they were collected.

mod journal;
mod report;

use std::collections::{BTreeSet, HashSet};
use std::mem;
use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use natureddit_core::fs::{self, FsError, Lock};
use natureddit_core::{Clock, ContentHash, Post, PostId, Progress};
use natureddit_net::{Client, NetError};

use crate::dataset::{Dataset, DatasetError, DroppedPost, PostRow};
use crate::images::{FileState, PhotoConfig, PhotoError, PhotoStore, StoredPhoto, on_a_thread};
use crate::media::{self, SkipReason};
use crate::paging::{Pager, PagingError};
use crate::record::Collected;
use crate::source::{self, Source, SourceConfig, SourceError};
use crate::submission::Submission;
use crate::window::{self, Window};

use journal::{Entry, Journal};
use report::Fetches;

pub use report::{CollectReport, SubredditGap};

/// Rows after which the tables are written, in a small dataset; a tenth of the rows in a large one, so that writing the
/// whole table each time stays cheap. Until then the journal holds them.
const UNWRITTEN_ROWS_MAX: usize = 200;

/// The file whose lock a collection holds, in the folder of the dataset.
const LOCK_FILE: &str = ".lock";

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
    /// Not one photo could be fetched: something between this machine and the photo hosts is wrong.
    #[error("every one of {fetches} photos failed, most of them with {reason}")]
    EveryPhotoFailed {
        /// How many were asked for.
        fetches: u64,
        /// The most frequent reason, as the report counts it.
        reason: String,
        /// What was done until then.
        report: Box<CollectReport>,
    },
    /// Another collection is writing into the same folder.
    #[error("{folder} is in use by another collection", folder = folder.display())]
    Locked {
        /// The folder of the dataset.
        folder: PathBuf,
    },
    /// The dataset cannot be read or written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A photo cannot be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Collects the posts of a window into the dataset of a folder and says what it did. Posts that the dataset has stay as
/// they are, also when their photos cannot be had any more. A photo that cannot be had is counted with its reason and
/// stops nothing; the next run over the same window tries it again.
///
/// # Errors
/// [`CollectError`] when the source or every photo fails, the folder is in use or the dataset cannot be written; what was
/// collected until then is kept.
pub async fn collect(
    config: &CollectConfig,
    client: &Client,
    clock: &Clock,
    progress: &Progress,
) -> Result<CollectReport, CollectError> {
    let mut collection = Collection::open(config, client, clock).await?;
    let result = collection.collect_all(progress).await;
    // Also after a failure: what was collected is kept.
    collection.write().await?;
    result?;
    if let Some((fetches, reason)) = collection.fetches.all_failed() {
        let (reason, report) = (reason.to_owned(), collection.report_so_far());
        return Err(CollectError::EveryPhotoFailed { fetches, reason, report });
    }
    progress.finish();
    Ok(collection.report)
}

/// A collection under way.
struct Collection<'a> {
    config: &'a CollectConfig,
    clock: &'a Clock,
    source: Source,
    store: PhotoStore,
    dataset: Dataset,
    journal: Journal,
    unwritten: usize,
    /// When it began, in seconds since the epoch; later posts may be missing.
    began: i64,
    /// What was collected of the subreddits that are done.
    covered: Vec<(String, Vec<Window>)>,
    report: CollectReport,
    fetches: Fetches,
    /// Nobody else writes into the folder while it is held.
    _lock: Lock,
}

/// What became of one post.
struct Judged {
    id: PostId,
    outcome: Outcome,
    /// How the fetch of its photo ended, if there was one.
    fetch: Option<Fetch>,
    /// Whether there is no photo for a reason that may pass.
    may_come: bool,
}

enum Outcome {
    /// Its row and photo were there.
    Present,
    Stored(Box<PostRow>),
    /// The photo is not the one that was fetched, which cannot be had again; the row describes it.
    Changed(Box<PostRow>),
    /// Its row was there and the photo cannot be had.
    Missing,
    Dropped(DroppedPost),
}

enum Fetch {
    Answered,
    Gone,
    Failed(String),
}

/// Why there is no photo of a post.
enum NoPhoto {
    Skipped(SkipReason),
    Failed(PhotoError),
}

impl NoPhoto {
    fn code(&self) -> String {
        match self {
            Self::Skipped(reason) => reason.code().to_owned(),
            Self::Failed(error) => error.code().into_owned(),
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Skipped(reason) => *reason == SkipReason::GalleryPending,
            Self::Failed(error) => error.may_pass(),
        }
    }

    fn fetch(&self) -> Option<Fetch> {
        match self {
            Self::Skipped(_) => None,
            Self::Failed(PhotoError::Net(NetError::Status { status: 404 | 410, .. })) => Some(Fetch::Gone),
            Self::Failed(PhotoError::Net(_)) => Some(Fetch::Failed(self.code())),
            Self::Failed(_) => Some(Fetch::Answered),
        }
    }
}

impl<'a> Collection<'a> {
    async fn open(config: &'a CollectConfig, client: &Client, clock: &'a Clock) -> Result<Self, CollectError> {
        let data_dir = config.data_dir.clone();
        let lock = fs::try_lock(&data_dir.join(LOCK_FILE))?;
        let lock = lock.ok_or_else(|| CollectError::Locked { folder: data_dir.clone() })?;
        let store = PhotoStore::new(Dataset::images_dir(&data_dir), config.photos, client.clone());
        fs::remove_partials(&data_dir)?;
        fs::remove_partials(store.folder())?;
        let mut collection = Self {
            config,
            clock,
            source: source::from_config(&config.source, client),
            store,
            journal: Journal::new(&data_dir),
            dataset: on_a_thread(move || Dataset::read(&data_dir)).await?,
            unwritten: 0,
            began: clock.now().as_second(),
            covered: Vec::new(),
            report: CollectReport::default(),
            fetches: Fetches::default(),
            _lock: lock,
        };
        collection.replay()?;
        Ok(collection)
    }

    /// Takes over what a killed run noted, and removes the photos of which it noted nothing but that they were to come.
    fn replay(&mut self) -> Result<(), FsError> {
        let mut without_end = BTreeSet::new();
        for entry in self.journal.read()? {
            match entry {
                Entry::Fetch(id) => _ = without_end.insert(id),
                Entry::Dropped(post) => {
                    without_end.remove(&post.id);
                    if !self.dataset.posts.contains_key(&post.id) {
                        self.unwritten += 1;
                        self.dataset.dropped.insert(post.id.clone(), post);
                    }
                }
                Entry::Row(row) => {
                    without_end.remove(&row.post.id);
                    let old = self.dataset.posts.get(&row.post.id);
                    // Where the tables were written and only the journal was not removed, a row may have been edited since.
                    if old.is_none_or(|old| (&old.img_name, old.sha256) != (&row.img_name, row.sha256)) {
                        self.insert(*row)?;
                    }
                }
            }
        }
        for id in without_end {
            let named = self.dataset.posts.get(&id).map(|row| row.img_name.as_str());
            for name in PhotoStore::names(&id).iter().filter(|name| Some(name.as_str()) != named) {
                fs::remove_file(&self.store.folder().join(name))?;
            }
        }
        Ok(())
    }

    async fn collect_all(&mut self, progress: &Progress) -> Result<(), CollectError> {
        for subreddit in &self.config.subreddits {
            progress.start(&format!("collecting r/{subreddit}"), None);
            self.collect_subreddit(subreddit, progress).await?;
        }
        Ok(())
    }

    async fn collect_subreddit(&mut self, subreddit: &str, progress: &Progress) -> Result<(), CollectError> {
        let window = self.config.window;
        let mut pager = Pager::new(window, self.config.page_size, self.source.page_size_max());
        // Pages overlap, so that the same record comes more than once.
        let mut unreadable: HashSet<ContentHash> = HashSet::new();
        while let Some(request) = pager.next_page() {
            let page = self.source.page(subreddit, request).await;
            let page = page.map_err(|source| CollectError::Source { source, report: self.report_so_far() })?;
            let keys: Vec<_> = page.submissions.iter().map(|s| (s.post.id.clone(), s.post.created_utc)).collect();
            let new = pager.accept(page.records(), &keys).map_err(|source| {
                let subreddit = subreddit.to_owned();
                CollectError::Paging { subreddit, source, report: self.report_so_far() }
            })?;
            unreadable.extend(page.unreadable);
            let new: Vec<_> = new.into_iter().map(|position| &page.submissions[position]).collect();
            self.take(&new, progress).await?;
        }
        self.report.records_unreadable += unreadable.len() as u64;
        let gaps = pager.into_gaps();
        // Nobody has posted yet what will be posted later. A window that has not begun covers nothing.
        let until_now = Window::new(window.since(), window.until().min(self.began)).ok();
        let covered = until_now.map_or_else(Vec::new, |whole| window::without(whole, &gaps));
        self.covered.push((subreddit.to_owned(), covered));
        let gaps = gaps.into_iter().map(|window| SubredditGap { subreddit: subreddit.to_owned(), window });
        self.report.gaps.extend(gaps);
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
            self.apply(result?)?;
        }
        if self.unwritten >= UNWRITTEN_ROWS_MAX.max(self.dataset.posts.len() / 10) {
            self.write().await?;
        }
        Ok(())
    }

    /// Decides about one post; stores its photo if there is one to store, and notes what became of it. An error is this
    /// machine's.
    async fn judge(&self, submission: &Submission) -> Result<Judged, FsError> {
        let post = &submission.post;
        let row = self.dataset.posts.get(&post.id);
        let state = match row {
            Some(row) => self.store.state(&row.img_name, row.sha256).await?,
            None => FileState::Missing,
        };
        if state == FileState::Same {
            return Ok(Judged { id: post.id.clone(), outcome: Outcome::Present, fetch: None, may_come: false });
        }
        let fetched = self.fetch_photo(submission).await?;
        let (fetch, may_come) = match &fetched {
            Ok(_) => (Some(Fetch::Answered), false),
            Err(reason) => (reason.fetch(), reason.may_pass()),
        };
        let outcome = match (fetched, row) {
            (Ok(photo), row) => Outcome::Stored(Box::new(self.new_row(post, row, photo))),
            (Err(reason), Some(row)) => {
                let reason = reason.code();
                tracing::warn!(id = %post.id, reason, "the photo is gone or changed and cannot be had again");
                self.without_original(row, state).await?
            }
            (Err(reason), None) => Outcome::Dropped(DroppedPost {
                id: post.id.clone(),
                subreddit: post.subreddit.clone(),
                created_utc: post.created_utc,
                reason: reason.code(),
            }),
        };
        match &outcome {
            Outcome::Stored(row) | Outcome::Changed(row) => self.journal.push(&Entry::Row(row.clone()))?,
            Outcome::Dropped(post) => self.journal.push(&Entry::Dropped(post.clone()))?,
            Outcome::Present | Outcome::Missing => {}
        }
        Ok(Judged { id: post.id.clone(), outcome, fetch, may_come })
    }

    /// What to do about a row whose photo is gone or changed while the original cannot be had. The row stays: that a photo
    /// cannot be had says nothing about its post.
    async fn without_original(&self, row: &PostRow, state: FileState) -> Result<Outcome, FsError> {
        if state == FileState::Missing {
            return Ok(Outcome::Missing);
        }
        match self.store.read(&row.img_name).await {
            Ok(photo) => Ok(Outcome::Changed(Box::new(self.new_row(&row.post, Some(row), photo)))),
            Err(PhotoError::Fs(error)) => Err(error),
            Err(error) => {
                tracing::warn!(id = %row.post.id, %error, "the file in the photo's place cannot be read");
                Ok(Outcome::Missing)
            }
        }
    }

    /// The photo of a post, stored; or the reason why there is none.
    async fn fetch_photo(&self, submission: &Submission) -> Result<Result<StoredPhoto, NoPhoto>, FsError> {
        let url = match media::photo_url(submission, self.config.include_over_18) {
            Ok(url) => url,
            Err(reason) => return Ok(Err(NoPhoto::Skipped(reason))),
        };
        let id = &submission.post.id;
        self.journal.push(&Entry::Fetch(id.clone()))?;
        match self.store.fetch(id, &url).await {
            Ok(photo) => Ok(Ok(photo)),
            Err(PhotoError::Fs(error)) => Err(error),
            Err(error) => {
                tracing::debug!(%id, %error, "photo dropped");
                Ok(Err(NoPhoto::Failed(error)))
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

    fn apply(&mut self, judged: Judged) -> Result<(), FsError> {
        let Judged { id, outcome, fetch, may_come } = judged;
        match fetch {
            None => {}
            Some(Fetch::Answered) => self.fetches.answered += 1,
            Some(Fetch::Gone) => self.fetches.gone += 1,
            Some(Fetch::Failed(reason)) => *self.fetches.failed.entry(reason).or_default() += 1,
        }
        self.report.posts_seen += 1;
        self.report.photos_may_come += u64::from(may_come);
        match outcome {
            Outcome::Present => self.report.photos_present += 1,
            Outcome::Missing => self.report.photos_missing += 1,
            Outcome::Changed(row) => {
                self.report.photos_changed += 1;
                self.insert(*row)?;
            }
            Outcome::Stored(row) => {
                self.report.photos_stored += 1;
                self.report.posts_new += u64::from(self.insert(*row)?);
            }
            Outcome::Dropped(post) => {
                *self.report.dropped.entry(post.reason.clone()).or_default() += 1;
                self.unwritten += 1;
                self.dataset.dropped.insert(id, post);
            }
        }
        Ok(())
    }

    /// Puts a row into the dataset, removes the file it does without, and says whether the post is new.
    fn insert(&mut self, row: PostRow) -> Result<bool, FsError> {
        let img_name = row.img_name.clone();
        self.unwritten += 1;
        let old = self.dataset.insert(row);
        if let Some(old) = &old
            && old.img_name != img_name
        {
            fs::remove_file(&self.store.folder().join(&old.img_name))?;
        }
        Ok(old.is_none())
    }

    async fn write(&mut self) -> Result<(), CollectError> {
        self.unwritten = 0;
        let now = self.clock.now();
        let collected = Collected {
            retrieved_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
            source: self.source.name(),
            covered: self.covered.clone(),
        };
        let mut dataset = mem::take(&mut self.dataset);
        let data_dir = self.config.data_dir.clone();
        let (dataset, written) = on_a_thread(move || {
            let written = dataset.write(&data_dir, collected);
            (dataset, written)
        })
        .await;
        self.dataset = dataset;
        written?;
        Ok(self.journal.remove()?)
    }
}
