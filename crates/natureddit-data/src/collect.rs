//! `collect`: every post of a window, its photo, and the dataset they make.
//!
//! Pages are asked for one after the other; the photos of a page are fetched side by side. Photos are written as they
//! arrive and noted in a journal, the tables at intervals and at the end, so that a killed run loses next to nothing and
//! the next one goes on from there. What the files hold depends on the posts and photos only, not on how often or in how
//! many attempts they were collected.

mod judge;
mod prepare;
mod report;

use std::mem;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use natureddit_core::fs::{self, FsError, Lock};
use natureddit_core::{Clock, ContentHash, Progress};
use natureddit_net::Client;

use crate::dataset::{self, Dataset, DatasetError, DatasetStore, PostRow};
use crate::forget::bury;
use crate::gap::{Ask, Gap, GapReason, Ledger};
use crate::id_set::IdSet;
use crate::images::{PhotoConfig, PhotoStore, on_a_thread};
use crate::journal::{self, Journal};
use crate::media::{self, GalleryMode};
use crate::record::Collected;
use crate::source::lookup::LookUp;
use crate::source::{self, RedditOauthConfig, SourceConfig, SourceError, Step, Walked, Wish};
use crate::submission::Submission;
use crate::window::{self, Window};

use judge::{Fetch, Judged, Outcome, Wanted};
use report::Fetches;

pub use prepare::AuthorMode;
pub(crate) use prepare::{may_pass, reapply_authors};
pub use report::{CollectReport, SubredditGap, SubredditReport};

/// Rows after which the tables are written, in a small dataset; a tenth of the rows in a larger one, so that writing the
/// whole table each time stays cheap. Until then the journal and the memory hold them.
const UNWRITTEN_ROWS_MIN: usize = 200;
/// The most of them in a large dataset: some 20 MB.
const UNWRITTEN_ROWS_MAX: usize = 20_000;

/// Posts younger than this may not be shown yet: archives take a minute to take them, Reddit's listings trail behind, and
/// filters hold some back. The next run asks for their time again.
const SETTLED_SECONDS: i64 = 900;

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
    /// Reddit's own API, where posts of other sources are looked up before they are taken.
    pub hydrate: Option<RedditOauthConfig>,
    /// What is kept of authors.
    pub author: AuthorMode,
    /// Which pictures of a gallery are taken.
    pub gallery: GalleryMode,
    /// Which photos are taken and how they are stored.
    pub photos: PhotoConfig,
    /// Files that sites show in place of a photo that is gone, besides those that are known anyway.
    pub placeholders: Vec<ContentHash>,
    /// The folder of the dataset.
    pub data_dir: PathBuf,
    /// The folder of the dataset that this one is to be merged into: what that has is not collected again, what it left open
    /// is asked for, and it stays as it is.
    pub base_dir: Option<PathBuf>,
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
    /// Posts could not be looked up.
    #[error("posts could not be looked up")]
    LookUp {
        /// Why.
        #[source]
        source: SourceError,
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
    let result = collection.collect_all(client, progress).await;
    // Also after a failure: what was collected is kept.
    collection.write().await?;
    result?;
    if let Some((fetches, reason)) = collection.fetches.all_failed() {
        let (reason, report) = (reason.to_owned(), collection.report_so_far());
        return Err(CollectError::EveryPhotoFailed { fetches, reason, report });
    }
    progress.finish();
    collection.report.subreddits_unknown = collection.unknown();
    Ok(collection.report)
}

/// Keeps others from writing into the folder of a dataset.
pub(crate) fn hold(data_dir: &Path) -> Result<Lock, CollectError> {
    dataset::lock(data_dir).map_err(|error| match error {
        DatasetError::Locked { folder } => CollectError::Locked { folder },
        error => error.into(),
    })
}

/// The dataset that a collection adds to without writing into it.
struct Base {
    dataset: DatasetStore,
    images: PathBuf,
}

/// A collection under way.
struct Collection<'a> {
    config: &'a CollectConfig,
    clock: &'a Clock,
    store: PhotoStore,
    dataset: DatasetStore,
    base: Option<Base>,
    ledger: Ledger,
    journal: Journal,
    /// When it began, in seconds since the epoch; later posts may be missing.
    began: i64,
    /// What was collected of the subreddits that are done.
    covered: Vec<(String, Vec<Window>)>,
    /// Where posts can be looked up by their ids.
    look_up: Option<LookUp>,
    /// The posts whose photos may come later, of this run.
    waited: IdSet,
    report: CollectReport,
    fetches: Fetches,
    /// Nobody else writes into the folder while it is held.
    _lock: Lock,
}

impl<'a> Collection<'a> {
    async fn open(config: &'a CollectConfig, client: &Client, clock: &'a Clock) -> Result<Self, CollectError> {
        let data_dir = config.data_dir.clone();
        let lock = hold(&data_dir)?;
        let store =
            PhotoStore::new(Dataset::images_dir(&data_dir), config.photos, &config.placeholders, client.clone());
        fs::remove_partials(store.folder())?;
        let base = match config.base_dir.clone() {
            Some(dir) => {
                let images = Dataset::images_dir(&dir);
                Some(Base { dataset: on_a_thread(move || DatasetStore::open(&dir)).await?, images })
            }
            None => None,
        };
        let mut collection = Self {
            config,
            clock,
            store,
            journal: Journal::new(&data_dir),
            ledger: prepare::ledger(config)?,
            base,
            dataset: on_a_thread(move || DatasetStore::open(&data_dir)).await?,
            began: clock.now().as_second(),
            covered: Vec::new(),
            look_up: prepare::look_up(config, client),
            waited: IdSet::default(),
            report: CollectReport::of(&config.subreddits),
            fetches: Fetches::default(),
            _lock: lock,
        };
        journal::take_up(&mut collection.dataset, &config.data_dir)?;
        if let Some(base) = &collection.base {
            collection.dataset.tombstones.merge(&base.dataset.tombstones);
        }
        // What a command that forgets posts may not have finished.
        bury(&mut collection.dataset, &config.data_dir)?;
        collection.report.authors_changed = prepare::reapply(config.author, &mut collection.dataset, clock)?;
        Ok(collection)
    }

    async fn collect_all(&mut self, client: &Client, progress: &Progress) -> Result<(), CollectError> {
        let wishes = self.wishes();
        self.begin(&wishes)?;
        let mut walk = source::walk(&self.config.source, client, wishes, self.config.page_size);
        loop {
            let step = walk.next().await;
            match step.map_err(|source| CollectError::Source { source, report: self.report_so_far() })? {
                None => break,
                Some(Step::Begin(of)) => progress.start_posts(&format!("collecting {of}")),
                Some(Step::Posts(batch)) => {
                    self.report.records_unreadable += batch.unreadable;
                    let posts = self.prepare(batch.submissions).await?;
                    self.take(&posts, progress).await?;
                }
                Some(Step::Done(walked)) => self.finish_window(walked, progress),
            }
        }
        let waiting = self.waiting().await?;
        let waiting = self.prepare(waiting).await?;
        self.take(&waiting, progress).await
    }

    /// The window that was asked for and, of its subreddits, the gaps that earlier runs left.
    fn wishes(&self) -> Vec<Wish> {
        let name = self.config.source.name();
        let open = self.ledger.open_gaps();
        let wish = |subreddit: &String| {
            // A listing that did not reach back so far will not do so later.
            let asks = self.ledger.asks().iter().filter(|ask| ask.is_of(subreddit) && ask.source == name);
            let beyond = asks.flat_map(|ask| &ask.gaps).filter(|gap| gap.reason == GapReason::ListingCap);
            let beyond: Vec<Window> = beyond.map(|gap| gap.window).collect();
            let mut windows = vec![self.config.window];
            for open in open.iter().filter(|open| open.subreddit.eq_ignore_ascii_case(subreddit)) {
                let parts = window::without(open.gap.window, &beyond);
                parts.into_iter().for_each(|part| window::add(&mut windows, part));
            }
            Wish { subreddit: subreddit.clone(), windows }
        };
        self.config.subreddits.iter().map(wish).collect()
    }

    /// Writes into the ledger what is about to be asked for.
    fn begin(&mut self, wishes: &[Wish]) -> Result<(), CollectError> {
        let (name, now) = (self.config.source.name(), self.now());
        for Wish { subreddit, windows } in wishes {
            for &window in windows {
                if let Some(window) = self.until_now(window) {
                    self.ledger.begin(subreddit, window, name, now);
                }
            }
        }
        Ok(self.ledger.write()?)
    }

    /// Nobody has posted yet what will be posted later. Of a window that has not begun nothing is left.
    fn until_now(&self, window: Window) -> Option<Window> {
        Window::new(window.since(), window.until().min(self.began)).ok()
    }

    /// The gaps of a window and, where it reaches up to now, that of the posts that may not be shown yet.
    fn with_fresh(&self, window: Window, mut gaps: Vec<Gap>) -> Vec<Gap> {
        let since = window.since().max(self.began - SETTLED_SECONDS);
        let Ok(fresh) = Window::new(since, window.until()) else { return gaps };
        let missing: Vec<_> = gaps.iter().map(|gap| gap.window).collect();
        let parts = window::without(fresh, &missing).into_iter();
        gaps.extend(parts.map(|window| Gap { window, reason: GapReason::Fresh }));
        gaps.sort_unstable();
        gaps
    }

    fn finish_window(&mut self, walked: Walked, progress: &Progress) {
        let Walked { subreddit, window, posts, gaps } = walked;
        let Some(window) = self.until_now(window) else {
            self.covered.push((subreddit, Vec::new()));
            return;
        };
        // Without those of the newest posts, of which every run up to now would tell.
        self.tell_gaps(&subreddit, &gaps, progress);
        let gaps = self.with_fresh(window, gaps);
        let missing: Vec<_> = gaps.iter().map(|gap| gap.window).collect();
        self.covered.push((subreddit.clone(), window::without(window, &missing)));
        self.ledger.note(Ask::done(&subreddit, window, self.config.source.name(), self.now(), posts, gaps));
    }

    fn tell_gaps(&mut self, subreddit: &str, gaps: &[Gap], progress: &Progress) {
        let moment = |second| Timestamp::from_second(second).unwrap_or_default();
        for &Gap { window, reason } in gaps {
            progress.gap(subreddit, moment(window.since()), moment(window.until()), reason.code());
            self.report.gaps.push(SubredditGap { subreddit: subreddit.to_owned(), window, reason });
        }
        let subreddit = subreddit.to_owned();
        self.report.add(SubredditReport { subreddit, gaps: gaps.len() as u64, ..SubredditReport::default() });
    }

    /// To the second, as tables and records have it.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// The subreddits of which neither this run nor the dataset has a post, where the source did not say why.
    fn unknown(&self) -> Vec<String> {
        let records = [Some(&self.dataset), self.base.as_ref().map(|base| &base.dataset)];
        let records = records.into_iter().flatten().filter_map(|dataset| dataset.record.as_ref());
        let known: Vec<&String> = records.flat_map(|record| record.posts_by_subreddit.keys()).collect();
        let has_rows = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let parts = self.report.subreddits.iter();
        let unseen = parts.filter(|part| part.posts_seen == 0 && part.gaps == 0 && !has_rows(&part.subreddit));
        unseen.map(|part| part.subreddit.clone()).collect()
    }

    fn report_so_far(&self) -> Box<CollectReport> {
        Box::new(self.report.clone())
    }

    /// Brings posts and their photos into the dataset.
    async fn take(&mut self, submissions: &[Submission], progress: &Progress) -> Result<(), CollectError> {
        let mut photos = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let of_post = media::photos(submission, self.config.include_over_18, self.config.gallery);
            let last = of_post.len() - 1;
            let wanted = |(at, photo)| Wanted { post: &submission.post, photo, is_last: at == last };
            photos.extend(of_post.into_iter().enumerate().map(wanted));
        }
        let mut waiting = photos.iter();
        let mut results = Vec::with_capacity(photos.len());
        {
            let mut under_way: FuturesUnordered<_> = waiting
                .by_ref()
                .take(self.config.photos.in_flight_max.max(1))
                .map(|wanted| self.judge(wanted))
                .collect();
            while let Some(result) = under_way.next().await {
                if let Ok(judged) = &result {
                    if judged.photo_bytes > 0 {
                        progress.photo(judged.photo_bytes);
                    }
                    progress.advance(u64::from(judged.ends_post));
                }
                results.push(result);
                if let Some(photo) = waiting.next() {
                    under_way.push(self.judge(photo));
                }
            }
        }
        for Submission { post, .. } in submissions {
            let subreddit = post.subreddit.clone();
            self.report.add(SubredditReport { subreddit, posts_seen: 1, ..SubredditReport::default() });
        }
        for result in results {
            self.apply(result?)?;
        }
        let unwritten_max = (self.dataset.written() / 10).clamp(UNWRITTEN_ROWS_MIN, UNWRITTEN_ROWS_MAX);
        if self.dataset.changes() >= unwritten_max {
            self.write().await?;
        }
        Ok(())
    }

    fn apply(&mut self, judged: Judged) -> Result<(), DatasetError> {
        let Judged { id, subreddit, outcome, fetch, may_come, photo_bytes, .. } = judged;
        let mut report = SubredditReport { subreddit, photo_bytes, ..SubredditReport::default() };
        match fetch {
            None => {}
            Some(Fetch::Answered) => self.fetches.answered += 1,
            Some(Fetch::Gone) => self.fetches.gone += 1,
            Some(Fetch::Failed(reason)) => *self.fetches.failed.entry(reason).or_default() += 1,
        }
        if may_come {
            self.report.photos_may_come += 1;
            self.waited.insert(&id);
        }
        match outcome {
            Outcome::Present => report.photos_present = 1,
            Outcome::Missing => self.report.photos_missing += 1,
            Outcome::Changed(row) => {
                self.report.photos_changed += 1;
                self.insert(*row)?;
            }
            Outcome::Stored(row) => {
                report.photos_stored = 1;
                report.posts_new = u64::from(self.insert(*row)?);
            }
            Outcome::Dropped(post) => {
                report.dropped.insert(post.reason.clone(), 1);
                self.dataset.drop_post(post)?;
            }
        }
        self.report.add(report);
        Ok(())
    }

    fn insert(&mut self, row: PostRow) -> Result<bool, DatasetError> {
        journal::insert(&mut self.dataset, self.store.folder(), row)
    }

    async fn write(&mut self) -> Result<(), CollectError> {
        // Before the rows, which say that they are there.
        self.store.sync().await?;
        let collected = Collected {
            retrieved_at: self.now(),
            source: self.config.source.name().to_owned(),
            covered: self.covered.clone(),
        };
        let mut dataset = mem::replace(&mut self.dataset, DatasetStore::empty(&self.config.data_dir));
        let (dataset, written) = on_a_thread(move || {
            let written = dataset.write(collected);
            (dataset, written)
        })
        .await;
        self.dataset = dataset;
        written?;
        // After the rows, of which it says that they are there.
        self.ledger.write()?;
        Ok(self.journal.remove()?)
    }
}
