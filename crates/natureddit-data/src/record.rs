//! `dataset.toml`: what a dataset holds, where it comes from and when it was collected.

use std::collections::BTreeMap;

use jiff::Timestamp;
use natureddit_core::{ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::paging::Window;

/// The record of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRecord {
    /// When what is here was first seen to be so.
    pub retrieved_at: Timestamp,
    /// The source of the latest collection.
    pub source: String,
    /// How many posts there are.
    pub posts: u64,
    /// How many posts were dropped.
    pub dropped: u64,
    /// Of `posts.csv`.
    pub posts_sha256: ContentHash,
    /// Over the name and SHA-256 of every photo, sorted by name.
    pub images_hash: ContentHash,
    /// How many posts each subreddit has.
    pub posts_by_subreddit: BTreeMap<String, u64>,
    /// How many posts were dropped for each reason.
    pub dropped_by_reason: BTreeMap<String, u64>,
    /// Which windows of each subreddit were collected to their end; joined where they touch.
    pub windows: BTreeMap<String, Vec<Window>>,
}

/// What a collection adds to the record.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    pub(crate) retrieved_at: Timestamp,
    pub(crate) source: &'static str,
    /// The subreddits whose window was collected to its end.
    pub(crate) subreddits: Vec<String>,
    pub(crate) window: Window,
}

impl DatasetRecord {
    /// The record of a dataset as it is now. Where nothing changed it is the old one, with its old time.
    pub(crate) fn new(dataset: &Dataset, posts_sha256: ContentHash, collected: Collected) -> Self {
        let old = dataset.record.as_ref();
        let mut windows = old.map(|record| record.windows.clone()).unwrap_or_default();
        for subreddit in collected.subreddits {
            add_window(windows.entry(subreddit).or_default(), collected.window);
        }
        let record = Self {
            retrieved_at: collected.retrieved_at,
            source: collected.source.to_owned(),
            posts: dataset.posts.len() as u64,
            dropped: dataset.dropped.len() as u64,
            posts_sha256,
            images_hash: images_hash(dataset),
            posts_by_subreddit: counts(dataset.posts.values().map(|row| &row.post.subreddit)),
            dropped_by_reason: counts(dataset.dropped.values().map(|post| &post.reason)),
            windows,
        };
        match old {
            Some(old) if (Self { retrieved_at: old.retrieved_at, ..record.clone() }) == *old => old.clone(),
            _ => record,
        }
    }
}

fn images_hash(dataset: &Dataset) -> ContentHash {
    let photos: BTreeMap<_, _> = dataset.posts.values().map(|row| (&row.img_name, row.sha256)).collect();
    let mut hasher = ContentHasher::new();
    for (name, sha256) in photos {
        hasher.part(name).part(sha256.as_bytes());
    }
    hasher.finish()
}

fn counts<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.clone()).or_default() += 1;
    }
    counts
}

/// Adds a window to sorted windows that do not touch each other, and keeps them so.
fn add_window(windows: &mut Vec<Window>, window: Window) {
    windows.push(window);
    windows.sort_by_key(|window| window.since());
    windows.dedup_by(|next, joined| {
        let both = joined.join(*next);
        both.is_some_and(|both| {
            *joined = both;
            true
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_touch_are_one() {
        let window = |since, until| Window::new(since, until).unwrap();
        let mut windows = Vec::new();
        for (since, until) in [(10, 20), (30, 40), (20, 25), (12, 13), (50, 60), (39, 50)] {
            add_window(&mut windows, window(since, until));
        }
        assert_eq!(windows, [window(10, 25), window(30, 60)]);
    }
}
