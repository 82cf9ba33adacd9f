//! `dataset.toml`: what a dataset holds, where it comes from and when it was collected.

use std::collections::BTreeMap;

use jiff::Timestamp;
use natureddit_core::{Clock, ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, PostRow};
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
    /// Over the name and SHA-256 of every photo, sorted by name.
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
    pub(crate) fn nothing(dataset: &Dataset, clock: &Clock) -> Self {
        let now = Timestamp::from_second(clock.now().as_second()).unwrap_or_default();
        let old = dataset.record.as_ref();
        Self {
            retrieved_at: old.map_or(now, |record| record.retrieved_at),
            source: old.map_or_else(String::new, |record| record.source.clone()),
            covered: Vec::new(),
        }
    }
}

impl DatasetRecord {
    /// The record of a dataset as it is now. Where nothing changed it is the old one, with its old time.
    pub(crate) fn new(dataset: &Dataset, posts_sha256: ContentHash, collected: Collected) -> Self {
        let old = dataset.record.as_ref();
        let mut windows = old.map(|record| record.windows.clone()).unwrap_or_default();
        for (subreddit, parts) in collected.covered {
            let covered = windows.entry(subreddit).or_default();
            parts.into_iter().for_each(|part| window::add(covered, part));
        }
        let record = Self {
            retrieved_at: collected.retrieved_at,
            source: collected.source,
            posts: dataset.post_count() as u64,
            photos: dataset.posts.len() as u64,
            dropped: dataset.dropped.len() as u64,
            posts_sha256,
            images_hash: images_hash(dataset),
            posts_by_subreddit: counts(one_of_each_post(dataset).map(|row| &row.post.subreddit)),
            dropped_by_reason: counts(dataset.dropped.values().map(|post| &post.reason)),
            windows,
        };
        match old {
            Some(old) if (Self { retrieved_at: old.retrieved_at, ..record.clone() }) == *old => old.clone(),
            _ => record,
        }
    }
}

/// The first row of every post.
fn one_of_each_post(dataset: &Dataset) -> impl Iterator<Item = &PostRow> {
    let mut last = None;
    dataset.posts.values().filter(move |row| last.replace(&row.post.id) != Some(&row.post.id))
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
