//! `[examples]`: how posts are divided into splits.

use super::ConfigError;
use super::check::Checker;
use super::raw::RawExamples;

/// The checked `[examples]`.
#[derive(Clone, Debug)]
pub struct ExamplesConfig {
    /// Photos whose perceptual hashes differ in at most so many bits stay together, 0 to 32.
    pub near_duplicate_distance_max: u32,
    /// The share of each split.
    pub hash_buckets: HashBuckets,
}

/// The share of each split in buckets of the hash by which groups of posts are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashBuckets {
    /// Learnt from; at least 1.
    pub train: u32,
    /// Watched while training; at least 1.
    pub eval: u32,
    /// Judged on; at least 1.
    pub test: u32,
}

impl ExamplesConfig {
    pub(super) fn check(raw: RawExamples, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("examples");
        let buckets = checker.table("examples.hash_buckets");
        Ok(Self {
            near_duplicate_distance_max: at.integer(
                "near_duplicate_distance_max",
                raw.near_duplicate_distance_max,
                0..=32,
            )?,
            hash_buckets: HashBuckets {
                train: buckets.integer("train", raw.hash_buckets.train, 1..=1_000)?,
                eval: buckets.integer("eval", raw.hash_buckets.eval, 1..=1_000)?,
                test: buckets.integer("test", raw.hash_buckets.test, 1..=1_000)?,
            },
        })
    }
}
