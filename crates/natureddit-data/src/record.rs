//! `dataset.toml`: what a dataset holds, where it comes from and when it was collected.

use std::collections::BTreeMap;

use jiff::Timestamp;
use natureddit_core::{Clock, ContentHash, ContentHasher, PostId};
use serde::{Deserialize, Serialize};

use crate::dataset::{DroppedPost, PostRow};
use crate::window::{self, Window};

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
    /// How many photos there are; a gallery may have several.
    #[serde(default)]
    pub photos: u64,
    /// How many posts, or pictures of galleries, were dropped.
    pub dropped: u64,
    /// Of `posts.csv`.
    pub posts_sha256: ContentHash,
    /// Over the name and SHA-256 of every photo, in the order of `posts.csv`.
    pub images_hash: ContentHash,
    /// How many posts each subreddit has.
    pub posts_by_subreddit: BTreeMap<String, u64>,
    /// How many posts were dropped for each reason.
    pub dropped_by_reason: BTreeMap<String, u64>,
    /// Which windows of each subreddit were collected whole: without gaps, and not beyond the moment of collecting.
    pub windows: BTreeMap<String, Vec<Window>>,
}

/// What a collection adds to the record.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    pub(crate) retrieved_at: Timestamp,
    pub(crate) source: String,
    /// What was collected of each subreddit that was walked to its end.
    pub(crate) covered: Vec<(String, Vec<Window>)>,
}

impl Collected {
    /// Nothing was collected: the record keeps its time and source.
    pub(crate) fn nothing(old: Option<&DatasetRecord>, clock: &Clock) -> Self {
        let now = Timestamp::from_second(clock.now().as_second()).unwrap_or_default();
        Self {
            retrieved_at: old.map_or(now, |record| record.retrieved_at),
            source: old.map_or_else(String::new, |record| record.source.clone()),
            covered: Vec::new(),
        }
    }
}

/// What the rows of `posts.csv` add up to, in their order.
#[derive(Clone, Default)]
pub(crate) struct PostTally {
    posts: u64,
    photos: u64,
    by_subreddit: BTreeMap<String, u64>,
    images: ContentHasher,
    last: Option<PostId>,
}

impl PostTally {
    pub(crate) fn add(&mut self, row: &PostRow) {
        self.photos += 1;
        self.images.part(&row.img_name).part(row.sha256.as_bytes());
        // The photos of a post stand beside each other.
        if self.last.as_ref() != Some(&row.post.id) {
            self.last = Some(row.post.id.clone());
            self.posts += 1;
            count(&mut self.by_subreddit, &row.post.subreddit);
        }
    }
}

impl std::fmt::Debug for PostTally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostTally").field("posts", &self.posts).field("photos", &self.photos).finish_non_exhaustive()
    }
}

/// What the rows of `dropped.csv` add up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct DropTally {
    dropped: u64,
    by_reason: BTreeMap<String, u64>,
}

impl DropTally {
    pub(crate) fn add(&mut self, post: &DroppedPost) {
        self.dropped += 1;
        count(&mut self.by_reason, &post.reason);
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => _ = counts.insert(name.to_owned(), 1),
    }
}

impl DatasetRecord {
    /// The record of a dataset as it is now. Where nothing changed it is the old one, with its old time.
    pub(crate) fn new(
        old: Option<&Self>,
        (posts, dropped): (PostTally, DropTally),
        posts_sha256: ContentHash,
        collected: Collected,
    ) -> Self {
        let mut windows = old.map(|record| record.windows.clone()).unwrap_or_default();
        for (subreddit, parts) in collected.covered {
            let covered = windows.entry(subreddit).or_default();
            parts.into_iter().for_each(|part| window::add(covered, part));
        }
        let record = Self {
            retrieved_at: collected.retrieved_at,
            source: collected.source,
            posts: posts.posts,
            photos: posts.photos,
            dropped: dropped.dropped,
            posts_sha256,
            images_hash: posts.images.finish(),
            posts_by_subreddit: posts.by_subreddit,
            dropped_by_reason: dropped.by_reason,
            windows,
        };
        match old {
            Some(old) if (Self { retrieved_at: old.retrieved_at, ..record.clone() }) == *old => old.clone(),
            _ => record,
        }
    }
}
