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
    /// Where posts may be missing.
    pub gaps: Vec<SubredditGap>,
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
