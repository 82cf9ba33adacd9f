//! What a collection did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::gap::GapReason;
use crate::window::Window;

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CollectReport {
    /// Posts of the window that the source gave.
    pub posts_seen: u64,
    /// Posts of the window that were deleted and are not collected again.
    pub posts_forgotten: u64,
    /// Posts that were not in the dataset before.
    pub posts_new: u64,
    /// Photos fetched and stored, of new posts and in place of files that were gone or changed.
    pub photos_stored: u64,
    /// Photos that were there already and not fetched.
    pub photos_present: u64,
    /// Photos that somebody changed and whose original cannot be had; their rows describe the changed files now.
    pub photos_changed: u64,
    /// Photos of posts in the dataset that are gone or broken and cannot be had again; the rows are kept.
    pub photos_missing: u64,
    /// Of the dropped posts and missing photos those whose reason may pass, so that the same command may bring them.
    pub photos_may_come: u64,
    /// Posts of the window that are not in the dataset, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Records without a usable id or time.
    pub records_unreadable: u64,
    /// Rows that were there and whose authors were hashed or dropped, as the settings have it since.
    pub authors_changed: u64,
    /// Subreddits of which neither this run nor the dataset has a post, and nothing says why: their names may be misspelt.
    pub subreddits_unknown: Vec<String>,
    /// The bytes of the photos that were stored.
    pub photo_bytes: u64,
    /// Where posts may be missing.
    pub gaps: Vec<SubredditGap>,
    /// The same by subreddit, in the order in which they were asked for.
    pub subreddits: Vec<SubredditReport>,
}

/// What a collection did in one subreddit; the names mean what they mean in [`CollectReport`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubredditReport {
    /// The subreddit.
    pub subreddit: String,
    /// Posts that the source gave.
    pub posts_seen: u64,
    /// Posts that were not in the dataset before.
    pub posts_new: u64,
    /// Photos fetched and stored.
    pub photos_stored: u64,
    /// Photos that were there already.
    pub photos_present: u64,
    /// The bytes of the photos that were stored.
    pub photo_bytes: u64,
    /// Posts that are not in the dataset, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// How many times there are of which posts may be missing.
    pub gaps: u64,
}

impl CollectReport {
    /// Of these subreddits nothing was seen yet.
    pub(super) fn of(subreddits: &[String]) -> Self {
        let none = |subreddit: &String| SubredditReport { subreddit: subreddit.clone(), ..SubredditReport::default() };
        Self { subreddits: subreddits.iter().map(none).collect(), ..Self::default() }
    }

    /// Adds what else was done in a subreddit, to it and to the whole.
    pub(super) fn add(&mut self, more: SubredditReport) {
        self.posts_seen += more.posts_seen;
        self.posts_new += more.posts_new;
        self.photos_stored += more.photos_stored;
        self.photos_present += more.photos_present;
        self.photo_bytes += more.photo_bytes;
        for (reason, count) in &more.dropped {
            *self.dropped.entry(reason.clone()).or_default() += count;
        }
        match self.subreddits.iter_mut().find(|part| part.subreddit.eq_ignore_ascii_case(&more.subreddit)) {
            Some(part) => part.add(more),
            None => self.subreddits.push(more),
        }
    }
}

impl SubredditReport {
    fn add(&mut self, more: Self) {
        self.posts_seen += more.posts_seen;
        self.posts_new += more.posts_new;
        self.photos_stored += more.photos_stored;
        self.photos_present += more.photos_present;
        self.photo_bytes += more.photo_bytes;
        self.gaps += more.gaps;
        for (reason, count) in more.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
    }
}

/// A time of which the source may not have given every post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubredditGap {
    /// The subreddit.
    pub subreddit: String,
    /// The time.
    #[serde(flatten)]
    pub window: Window,
    /// Why.
    pub reason: GapReason,
}

/// How the fetches of a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fetches {
    /// Those that brought a file, whatever is in it.
    pub(super) answered: u64,
    /// Those of photos that are not there any more.
    pub(super) gone: u64,
    /// The others, by reason.
    pub(super) failed: BTreeMap<String, u64>,
}

impl Fetches {
    /// How many failed and the most frequent reason, when nothing was answered at all.
    pub(super) fn all_failed(&self) -> Option<(u64, &str)> {
        let (reason, _) = self.failed.iter().max_by_key(|(_, count)| **count)?;
        (self.answered == 0).then(|| (self.gone + self.failed.values().sum::<u64>(), reason.as_str()))
    }
}
