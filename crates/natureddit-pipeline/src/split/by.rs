//! The ways to divide examples: by the hash of their group, by time, or one by one as TFX does.

use std::collections::BTreeMap;

use natureddit_core::ContentHash;
use serde::Serialize;

use super::{HashBuckets, Split};
use crate::examples::Example;
use crate::examples::columns::to_bytes;

/// What decides on an example's split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum SplitBy {
    /// The hash of its group: whole groups lie together and stay where they are.
    Group,
    /// The hash of its bytes as `tf.train.Example`, as in TFX's ExampleGen: each example lies for itself, so what belongs
    /// together may lie on both sides, and an example whose cells change moves.
    Example,
    /// When its group began, so that the model is judged by what came after it: the oldest groups are learnt from, the
    /// newest judged on. Whole groups lie together: what joins a group later lies with its beginning.
    Time {
        /// Groups that began at this second or later are no longer for training; with `test_from` in place of shares.
        eval_from: Option<i64>,
        /// Groups that began at this second or later are for the test.
        test_from: Option<i64>,
    },
}

/// An example that is to be put into a split.
#[derive(Clone, Copy, Debug)]
pub struct Dealt<'a> {
    /// The example.
    pub example: &'a Example,
    /// When its group began: the time of the group's oldest post, in seconds since the epoch.
    pub group_began: i64,
}

impl SplitBy {
    /// As the settings call it: `group`, `example` or `time`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Example => "example",
            Self::Time { .. } => "time",
        }
    }

    /// The split of each example, in their order. Shares are those of the buckets.
    ///
    /// # Panics
    /// When there is no bucket at all.
    #[must_use]
    pub fn splits(self, buckets: &HashBuckets, examples: &[Dealt<'_>]) -> Vec<Split> {
        match self {
            Self::Group => examples.iter().map(|dealt| buckets.split(&dealt.example.group)).collect(),
            Self::Example => {
                examples.iter().map(|dealt| buckets.split_of(&ContentHash::of(&to_bytes(dealt.example)))).collect()
            }
            Self::Time { eval_from: Some(eval), test_from: Some(test) } => {
                examples.iter().map(|dealt| by_boundaries(dealt.group_began, eval, test)).collect()
            }
            Self::Time { .. } => by_shares(buckets, examples),
        }
    }
}

fn by_boundaries(began: i64, eval_from: i64, test_from: i64) -> Split {
    if began < eval_from {
        Split::Train
    } else if began < test_from {
        Split::Eval
    } else {
        Split::Test
    }
}

/// Deals whole groups, oldest first: one that begins within the first share of the examples is learnt from.
fn by_shares(buckets: &HashBuckets, examples: &[Dealt<'_>]) -> Vec<Split> {
    let mut sizes: BTreeMap<(i64, &str), u64> = BTreeMap::new();
    for dealt in examples {
        *sizes.entry((dealt.group_began, &dealt.example.group)).or_default() += 1;
    }
    let total = u64::from(buckets.train + buckets.eval + buckets.test);
    assert!(total > 0, "there must be a bucket");
    let all = examples.len() as u64;
    let mut before = 0;
    let mut split_of = BTreeMap::new();
    for (key, size) in sizes {
        // Whole numbers, so that a share of exactly so many examples is not missed by rounding.
        let split = if before * total < all * u64::from(buckets.train) {
            Split::Train
        } else if before * total < all * u64::from(buckets.train + buckets.eval) {
            Split::Eval
        } else {
            Split::Test
        };
        split_of.insert(key, split);
        before += size;
    }
    examples.iter().map(|dealt| split_of[&(dealt.group_began, dealt.example.group.as_str())]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::example::Features;
    use crate::wire::tfrecord;

    const BUCKETS: HashBuckets = HashBuckets { train: 8, eval: 1, test: 1 };

    fn example(id: &str, group: &str) -> Example {
        let example = Example::title_alone(id.parse().unwrap(), format!("Title of {id}"), "fauna".into());
        Example { group: group.to_owned(), ..example }
    }

    /// Splits of single-example groups that began at these seconds.
    fn at(by: SplitBy, began: &[i64]) -> Vec<Split> {
        let examples: Vec<Example> = (0..began.len()).map(|at| example(&format!("p{at}"), &format!("p{at}"))).collect();
        let dealt = examples.iter().zip(began).map(|(example, &group_began)| Dealt { example, group_began });
        by.splits(&BUCKETS, &dealt.collect::<Vec<_>>())
    }

    #[test]
    fn the_oldest_are_learnt_from_and_the_newest_judged_on() {
        use Split::{Eval, Test, Train};
        let shares = SplitBy::Time { eval_from: None, test_from: None };
        assert_eq!(at(shares, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0])[..3], [Test, Eval, Train]);
        let boundaries = SplitBy::Time { eval_from: Some(10), test_from: Some(20) };
        assert_eq!(at(boundaries, &[9, 10, 19, 20]), [Train, Eval, Eval, Test]);
    }

    #[test]
    fn tfx_own_way_goes_by_the_bytes_of_each_example() {
        let one = example("a", "group");
        let buckets = |example: &Example| BUCKETS.split_of(&ContentHash::of(&to_bytes(example)));
        let examples: Vec<Example> = (0..40).map(|at| example(&format!("p{at}"), "group")).chain([one]).collect();
        let dealt: Vec<Dealt<'_>> = examples.iter().map(|example| Dealt { example, group_began: 0 }).collect();
        let splits = SplitBy::Example.splits(&BUCKETS, &dealt);
        assert!(splits.iter().zip(&examples).all(|(split, example)| *split == buckets(example)));
        assert!(splits.contains(&Split::Test) && splits.contains(&Split::Train), "one group lies on both sides");
    }

    /// The Examples that a real CsvExampleGen made of 200 rows at 8:1:1, some cells missing.
    #[test]
    fn their_examples_fall_into_their_splits() {
        let Some(shared) = natureddit_testkit::shared("the split of TFX's own examples") else { return };
        let mut counts = BTreeMap::new();
        for split in Split::ALL {
            let folder = shared.join("captures/tfx_out/CsvExampleGen/examples/1").join(split.folder_name());
            for record in tfrecord::read(&folder.join("data_tfrecord-00000-of-00001.gz")).unwrap() {
                let record = record.unwrap();
                let features = Features::from_bytes(&record).unwrap();
                assert_eq!(BUCKETS.split_of(&ContentHash::of(&features.to_bytes())), split, "{features:?}");
                *counts.entry(split).or_insert(0) += 1;
            }
        }
        assert_eq!(counts, BTreeMap::from([(Split::Train, 155), (Split::Eval, 17), (Split::Test, 28)]));
    }

    proptest! {
        #[test]
        fn no_group_crosses_and_time_only_goes_on(
            groups in proptest::collection::vec((0_i64..50, 1_usize..5), 1..30),
        ) {
            let examples: Vec<(Example, i64)> = groups.iter().enumerate().flat_map(|(number, &(began, size))| {
                (0..size).map(move |at| (example(&format!("p{number}-{at}"), &format!("g{number}")), began))
            }).collect();
            let dealt: Vec<Dealt<'_>> =
                examples.iter().map(|(example, began)| Dealt { example, group_began: *began }).collect();
            let splits = SplitBy::Time { eval_from: None, test_from: None }.splits(&BUCKETS, &dealt);
            let mut split_of = BTreeMap::new();
            for (dealt, &split) in dealt.iter().zip(&splits) {
                prop_assert_eq!(*split_of.entry(&dealt.example.group).or_insert(split), split);
            }
            for (one, &split) in dealt.iter().zip(&splits) {
                let mut others = dealt.iter().zip(&splits);
                prop_assert!(others.all(|(other, &later)| other.group_began <= one.group_began || later >= split));
            }
        }
    }
}
