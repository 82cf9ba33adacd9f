//! `[examples]`: how posts are divided into splits.

use jiff::Timestamp;

use super::ConfigError;
use super::check::{Checker, TableChecker};
use super::raw::RawExamples;

/// The checked `[examples]`.
#[derive(Clone, Debug)]
pub struct ExamplesConfig {
    /// Photos whose perceptual hashes differ in at most so many bits stay together, 0 to 32.
    pub near_duplicate_distance_max: u32,
    /// What decides on a post's split.
    pub split_by: SplitBy,
    /// Whether examples are written as Parquet as well.
    pub parquet: bool,
    /// The share of each split.
    pub hash_buckets: HashBuckets,
}

/// What decides on a post's split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBy {
    /// The hash of its group.
    Group,
    /// The hash of its own bytes, as in TFX.
    Example,
    /// When its group began.
    Time {
        /// From when on groups are for eval and, later, for test; `None`: by the shares of the splits.
        boundaries: Option<(Timestamp, Timestamp)>,
    },
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
            split_by: split_by(&raw, &at)?,
            parquet: raw.parquet,
            hash_buckets: HashBuckets {
                train: buckets.integer("train", raw.hash_buckets.train, 1..=1_000)?,
                eval: buckets.integer("eval", raw.hash_buckets.eval, 1..=1_000)?,
                test: buckets.integer("test", raw.hash_buckets.test, 1..=1_000)?,
            },
        })
    }
}

fn split_by(raw: &RawExamples, at: &TableChecker<'_>) -> Result<SplitBy, ConfigError> {
    let eval_from = at.moment("time_eval_from", &raw.time_eval_from)?;
    let test_from = at.moment("time_test_from", &raw.time_test_from)?;
    let boundaries = match (eval_from, test_from) {
        (None, None) => None,
        (Some(eval), Some(test)) if eval < test => Some((eval, test)),
        (None, Some(_)) => {
            return Err(at.bad("time_eval_from", &raw.time_eval_from, "set where examples.time_test_from is"));
        }
        (Some(_), _) => {
            let must_be = format!("later than examples.time_eval_from = {:?}", raw.time_eval_from);
            return Err(at.bad("time_test_from", &raw.time_test_from, must_be));
        }
    };
    let words = [("group", SplitBy::Group), ("time", SplitBy::Time { boundaries }), ("example", SplitBy::Example)];
    let split_by = at.one_of("split_by", &raw.split_by, &words)?;
    if boundaries.is_some() && !matches!(split_by, SplitBy::Time { .. }) {
        return Err(at.bad("split_by", &raw.split_by, "\"time\" where examples.time_eval_from is set"));
    }
    Ok(split_by)
}
