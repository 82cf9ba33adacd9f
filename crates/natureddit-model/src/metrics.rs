//! How good a model is: accuracy, macro-F1 with a bootstrap interval, per-class figures, confusion, calibration.

use std::collections::BTreeMap;

use natureddit_core::{Class, ClassNames};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::predictor::Prediction;

/// An answer beside the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What the post shows.
    pub truth: Class,
    /// What the model said.
    pub prediction: Prediction,
    /// Which posts belong together, as an author's do: they are resampled as one.
    pub group: String,
}

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How many resamples.
    pub samples: usize,
    /// The share of resamples inside the interval, 0.95 for 95 %.
    pub confidence: f64,
    /// The seed of the resampling.
    pub seed: u64,
}

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class.
    pub name: String,
    /// Of the posts said to be of this class, the share that is.
    pub precision: f64,
    /// Of the posts of this class, the share that was found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// How many posts of this class there are.
    pub support: u64,
}

/// A model judged on labelled posts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// How many posts.
    pub examples: u64,
    /// The share of right answers.
    pub accuracy: f64,
    /// The mean F1 of the classes that occur among these posts or the answers to them, as scikit-learn has it.
    pub macro_f1: f64,
    /// The bootstrap interval of `macro_f1`, percentile method. Whole groups are resampled, because the posts of one
    /// tell less than as many posts of strangers (Field and Welsh 2007, <https://doi.org/10.1111/j.1467-9868.2007.00593.x>).
    pub macro_f1_interval: [f64; 2],
    /// The share of resamples inside the interval.
    pub confidence: f64,
    /// Expected calibration error with 15 bins of equal width (Guo et al. 2017, <https://arxiv.org/abs/1706.04599>).
    pub ece: f64,
    /// One row a class.
    pub per_class: Vec<ClassReport>,
    /// `confusion[truth][answer]`, counts.
    pub confusion: Vec<Vec<u64>>,
    /// The accuracy of always answering the most frequent class of these posts.
    pub majority_accuracy: f64,
    /// The macro-F1 of that answer.
    pub majority_macro_f1: f64,
}

const ECE_BINS: usize = 15;

/// Judges answers. With no posts every figure is 0.
///
/// # Panics
/// When a truth or an answer is none of `classes`.
#[must_use]
pub fn evaluate(judged: &[Judged], classes: &ClassNames, bootstrap: &Bootstrap) -> Metrics {
    let pairs: Vec<(usize, usize)> = judged.iter().map(|j| (j.truth.0, j.prediction.class.0)).collect();
    let confusion = confusion(pairs.iter().copied(), classes.len());
    let per_class: Vec<ClassReport> = classes.classes().map(|class| class_report(&confusion, class, classes)).collect();
    let majority = per_class.iter().enumerate().max_by_key(|(_, report)| report.support).map_or(0, |(class, _)| class);
    let majority = self::confusion(pairs.iter().map(|&(truth, _)| (truth, majority)), classes.len());
    Metrics {
        examples: judged.len() as u64,
        accuracy: accuracy(&confusion),
        macro_f1: macro_f1(&confusion),
        macro_f1_interval: macro_f1_interval(&grouped(judged), classes.len(), bootstrap),
        confidence: bootstrap.confidence,
        ece: expected_calibration_error(judged),
        majority_accuracy: accuracy(&majority),
        majority_macro_f1: macro_f1(&majority),
        per_class,
        confusion,
    }
}

fn confusion(pairs: impl Iterator<Item = (usize, usize)>, classes: usize) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; classes]; classes];
    pairs.for_each(|(truth, answer)| counts[truth][answer] += 1);
    counts
}

fn accuracy(confusion: &[Vec<u64>]) -> f64 {
    let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    ratio(right, confusion.iter().flatten().sum())
}

/// Of a class: right answers, answers, posts.
fn counts(confusion: &[Vec<u64>], class: usize) -> (u64, u64, u64) {
    let answers = confusion.iter().map(|row| row[class]).sum();
    (confusion[class][class], answers, confusion[class].iter().sum())
}

fn class_report(confusion: &[Vec<u64>], class: Class, classes: &ClassNames) -> ClassReport {
    let (right, answers, support) = counts(confusion, class.0);
    ClassReport {
        name: classes.name(class).to_owned(),
        precision: ratio(right, answers),
        recall: ratio(right, support),
        f1: ratio(2 * right, answers + support),
        support,
    }
}

/// The mean F1 of the classes that occur among the posts or the answers.
fn macro_f1(confusion: &[Vec<u64>]) -> f64 {
    let occurring = (0..confusion.len()).map(|class| counts(confusion, class)).filter(|(_, a, s)| a + s > 0);
    let scores: Vec<f64> = occurring.map(|(right, answers, support)| ratio(2 * right, answers + support)).collect();
    if scores.is_empty() { 0.0 } else { scores.iter().sum::<f64>() / scores.len() as f64 }
}

/// The truths and answers of each group, in an order that does not depend on that of the posts.
fn grouped(judged: &[Judged]) -> Vec<Vec<(usize, usize)>> {
    let mut groups: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for Judged { truth, prediction, group } in judged {
        groups.entry(group).or_default().push((truth.0, prediction.class.0));
    }
    groups.into_values().collect()
}

fn macro_f1_interval(groups: &[Vec<(usize, usize)>], classes: usize, bootstrap: &Bootstrap) -> [f64; 2] {
    if groups.is_empty() || bootstrap.samples == 0 {
        return [0.0, 0.0];
    }
    let mut rng = ChaCha8Rng::seed_from_u64(bootstrap.seed);
    let mut scores: Vec<f64> = (0..bootstrap.samples)
        .map(|_| {
            let resample = (0..groups.len()).flat_map(|_| &groups[rng.random_range(0..groups.len())]);
            macro_f1(&confusion(resample.copied(), classes))
        })
        .collect();
    scores.sort_by(f64::total_cmp);
    let at = |share: f64| scores[((scores.len() - 1) as f64 * share).round() as usize];
    let tail = (1.0 - bootstrap.confidence) / 2.0;
    [at(tail), at(1.0 - tail)]
}

fn expected_calibration_error(judged: &[Judged]) -> f64 {
    let mut bins = [(0_u64, 0_u64, 0.0_f64); ECE_BINS];
    for Judged { truth, prediction, .. } in judged {
        let confidence = f64::from(prediction.probabilities[prediction.class.0]);
        let bin = &mut bins[((confidence * ECE_BINS as f64) as usize).min(ECE_BINS - 1)];
        bin.0 += 1;
        bin.1 += u64::from(*truth == prediction.class);
        bin.2 += confidence;
    }
    let gap = |&(_count, right, confidence): &(u64, u64, f64)| (right as f64 - confidence).abs();
    bins.iter().map(gap).sum::<f64>() / judged.len().max(1) as f64
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use proptest::prelude::*;

    fn classes() -> ClassNames {
        ClassNames::new(["a", "b", "c"].map(str::to_owned).to_vec()).unwrap()
    }

    /// A post of a group of its own.
    fn judged(truth: usize, probabilities: [f32; 3]) -> Judged {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let group = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        Judged { truth: Class(truth), prediction: Prediction::new(probabilities.to_vec()), group }
    }

    const BOOTSTRAP: Bootstrap = Bootstrap { samples: 200, confidence: 0.95, seed: 1 };

    /// By hand: F1 of a is 2·2/(3+3), of b 2·2/(3+2), of c 0; their mean is 22/45.
    #[test]
    fn macro_f1_is_the_mean_of_the_classes() {
        let sure = |class: usize| std::array::from_fn(|i| if i == class { 1.0 } else { 0.0 });
        let rows = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (2, 0)];
        let rows: Vec<Judged> = rows.iter().map(|&(truth, answer)| judged(truth, sure(answer))).collect();
        let metrics = evaluate(&rows, &classes(), &BOOTSTRAP);
        assert!((metrics.macro_f1 - 22.0 / 45.0).abs() < 1e-12);
        assert!((metrics.accuracy - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(metrics.confusion, [[2, 1, 0], [0, 2, 0], [1, 0, 0]]);
        assert!((metrics.majority_accuracy - 0.5).abs() < 1e-12);
        let [low, high] = metrics.macro_f1_interval;
        assert!(low <= metrics.macro_f1 && metrics.macro_f1 <= high);
    }

    #[test]
    fn calibration_error_is_the_gap_between_confidence_and_accuracy() {
        let rows: Vec<Judged> = (0..4).map(|i| judged(usize::from(i >= 2), [0.75, 0.25, 0.0])).collect();
        assert!((evaluate(&rows, &classes(), &BOOTSTRAP).ece - 0.25).abs() < 1e-6);
    }

    /// A class that neither occurs nor is answered says nothing; one that is answered wrongly counts with 0.
    #[test]
    fn an_absent_class_does_not_count() {
        let rows = [judged(0, [1.0, 0.0, 0.0]), judged(0, [1.0, 0.0, 0.0]), judged(1, [0.0, 1.0, 0.0])];
        let metrics = evaluate(&rows, &classes(), &BOOTSTRAP);
        assert!((metrics.macro_f1 - 1.0).abs() < 1e-12);
        assert_eq!((metrics.per_class[2].f1, metrics.per_class[2].support), (0.0, 0));
        // Resamples without the second class are whole, too.
        assert_eq!(metrics.macro_f1_interval, [1.0, 1.0]);

        let wrong = [rows[0].clone(), rows[1].clone(), judged(1, [0.0, 0.0, 1.0])];
        assert!((evaluate(&wrong, &classes(), &BOOTSTRAP).macro_f1 - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn posts_of_one_group_are_no_independent_evidence() {
        let answers = |right: bool| if right { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
        // Six authors of ten posts each; of one, every answer is wrong.
        let alone: Vec<Judged> = (0..60).map(|at| judged(0, answers(at >= 10))).collect();
        let mut together = alone.clone();
        (0..).zip(&mut together).for_each(|(at, post)| post.group = format!("author {}", at / 10));
        let width = |rows: &[Judged]| {
            let [low, high] = evaluate(rows, &classes(), &BOOTSTRAP).macro_f1_interval;
            high - low
        };
        assert!(width(&together) > 1.5 * width(&alone), "{} and {}", width(&together), width(&alone));
        let mut turned = together.clone();
        turned.rotate_left(25);
        assert!((width(&turned) - width(&together)).abs() < 1e-12, "the order of posts does not matter");
    }

    #[test]
    fn nothing_to_judge_is_all_zero() {
        let metrics = evaluate(&[], &classes(), &BOOTSTRAP);
        assert_eq!((metrics.examples, metrics.accuracy, metrics.macro_f1, metrics.ece), (0, 0.0, 0.0, 0.0));
    }

    proptest! {
        #[test]
        fn every_figure_lies_between_zero_and_one(rows in proptest::collection::vec((0_usize..3, 0.0_f32..1.0), 1..40)) {
            let rows: Vec<Judged> = rows.iter().map(|&(truth, p)| judged(truth, [p, (1.0 - p) / 2.0, (1.0 - p) / 2.0])).collect();
            let m = evaluate(&rows, &classes(), &BOOTSTRAP);
            for figure in [m.accuracy, m.macro_f1, m.ece, m.majority_accuracy, m.macro_f1_interval[0], m.macro_f1_interval[1]] {
                prop_assert!((0.0..=1.0).contains(&figure));
            }
        }
    }
}
