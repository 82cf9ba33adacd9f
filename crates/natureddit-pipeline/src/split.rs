//! Which examples the model learns from, is tuned on, and is judged by.
//!
//! By default a group's split is a hash bucket, as TFX splits: it depends on nothing but the group's key, so it stays
//! when other examples come or go. [`SplitBy`] has the other ways.

mod by;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

pub use by::{Dealt, SplitBy};
use natureddit_core::ContentHash;
use serde::{Deserialize, Serialize};

/// A part of the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Learned from.
    Train,
    /// Looked at while learning: early stopping, calibration.
    Eval,
    /// Looked at once, to judge.
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 3] = [Self::Train, Self::Eval, Self::Test];

    /// Its name: `train`, `eval`, `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
            Self::Test => "test",
        }
    }

    /// The name of its folder in an artifact, as in TFX: `Split-train`.
    #[must_use]
    pub fn folder_name(self) -> &'static str {
        match self {
            Self::Train => "Split-train",
            Self::Eval => "Split-eval",
            Self::Test => "Split-test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many hash buckets each split gets: 8, 1 and 1 are 80 %, 10 % and 10 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HashBuckets {
    /// The first buckets.
    pub train: u32,
    /// The next.
    pub eval: u32,
    /// The last.
    pub test: u32,
}

impl HashBuckets {
    /// The split of everything with this group key.
    ///
    /// # Panics
    /// When there is no bucket at all.
    #[must_use]
    pub fn split(&self, group: &str) -> Split {
        self.split_of(&ContentHash::of(group.as_bytes()))
    }

    /// The split of what has this hash.
    ///
    /// # Panics
    /// When there is no bucket at all.
    #[must_use]
    pub fn split_of(&self, hash: &ContentHash) -> Split {
        let bucket = hash_bucket(hash, self.train + self.eval + self.test);
        if bucket < self.train {
            Split::Train
        } else if bucket < self.train + self.eval {
            Split::Eval
        } else {
            Split::Test
        }
    }
}

/// The hash as one 256-bit number modulo `total`, which is how TFX's ExampleGen puts an example into a bucket.
///
/// # Panics
/// When `total` is zero.
#[must_use]
pub fn hash_bucket(hash: &ContentHash, total: u32) -> u32 {
    let total = u64::from(total);
    let bucket = hash.as_bytes().iter().fold(0, |rest, &byte| (rest * 256 + u64::from(byte)) % total);
    u32::try_from(bucket).unwrap_or_default()
}

/// Deals whole groups into `k` folds of nearly equal size: for each row its fold, 0 to `k - 1`. Largest groups first,
/// each into the smallest fold; what is as large goes by the hash of its key, so the order of rows does not matter.
///
/// # Panics
/// When `k` is zero.
#[must_use]
pub fn folds(groups: &[&str], k: usize) -> Vec<usize> {
    assert!(k > 0, "there must be a fold");
    let mut sizes = HashMap::new();
    for &group in groups {
        *sizes.entry(group).or_insert(0_usize) += 1;
    }
    let mut order: Vec<(&str, usize)> = sizes.into_iter().collect();
    order.sort_by_cached_key(|&(group, size)| (Reverse(size), ContentHash::of(group.as_bytes())));
    let mut filled = vec![0; k];
    let mut fold_of = HashMap::with_capacity(order.len());
    for (group, size) in order {
        let smallest = (0..k).min_by_key(|&fold| filled[fold]).unwrap_or_default();
        filled[smallest] += size;
        fold_of.insert(group, smallest);
    }
    groups.iter().map(|group| fold_of[group]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const EIGHT_ONE_ONE: HashBuckets = HashBuckets { train: 8, eval: 1, test: 1 };

    #[test]
    fn many_groups_are_dealt_about_eight_to_one_to_one() {
        let mut counts = BTreeMap::new();
        for at in 0..20_000 {
            *counts.entry(EIGHT_ONE_ONE.split(&format!("post{at}"))).or_insert(0_u32) += 1;
        }
        // Five standard deviations of a binomial are under 300.
        for (split, expected) in [(Split::Train, 16_000), (Split::Eval, 2_000), (Split::Test, 2_000)] {
            assert!(counts[&split].abs_diff(expected) < 300, "{split}: {}", counts[&split]);
        }
    }

    /// The numbers were made with Python: `int(hashlib.sha256(b"...").hexdigest(), 16) % 10`.
    #[test]
    fn a_bucket_is_the_whole_hash_as_one_number() {
        let bucket = |text: &str| hash_bucket(&ContentHash::of(text.as_bytes()), 10);
        assert_eq!([bucket("1ske7bm"), bucket("abc"), bucket("")], [3, 5, 9]);
    }

    #[test]
    fn a_group_in_the_last_bucket_is_tested_on() {
        let last_only = HashBuckets { train: 0, eval: 0, test: 1 };
        assert_eq!(last_only.split("any"), Split::Test);
    }

    proptest! {
        #[test]
        fn folds_hold_whole_groups_and_are_balanced(
            groups in proptest::collection::vec("[a-t]", 1..80),
            k in 1_usize..6,
            by in any::<proptest::sample::Index>(),
        ) {
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            let dealt = folds(&groups, k);
            let mut fold_of = BTreeMap::new();
            for (group, &fold) in groups.iter().zip(&dealt) {
                prop_assert_eq!(*fold_of.entry(group).or_insert(fold), fold);
                prop_assert!(fold < k);
            }
            let size = |wanted: usize| dealt.iter().filter(|&&fold| fold == wanted).count();
            let sizes: Vec<usize> = (0..k).map(size).collect();
            let largest = fold_of.keys().map(|group| groups.iter().filter(|g| g == group).count()).max().unwrap_or(0);
            let (low, high) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            prop_assert!(high - low <= largest, "{sizes:?}");

            let mut turned = groups.clone();
            turned.rotate_left(by.index(groups.len()));
            let mut turned_dealt = folds(&turned, k);
            turned_dealt.rotate_right(by.index(groups.len()));
            prop_assert_eq!(turned_dealt, dealt);
        }
    }
}
