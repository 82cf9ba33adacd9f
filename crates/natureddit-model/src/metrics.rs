//! How good a model is: accuracy, macro-F1, per-class figures, confusion, calibration and selective accuracy, each with
//! a bootstrap interval; and whether one model is better than another on the same posts.
//!
//! `docs/evaluation.md` says of each figure what it means.

mod calibration;
mod counts;
mod figures;
mod paired;
mod precision_recall;
mod resample;
mod selective;

use natureddit_core::{Class, ClassNames};
use serde::{Deserialize, Serialize};

use crate::predictor::Prediction;
use counts::{Confusion, ratio};
use figures::{FigureOf, Figures, IntervalOf, Sample};
use resample::{Groups, interval};

pub use calibration::{RELIABILITY_BINS, ReliabilityBin};
pub use paired::{McNemar, PairedTest, mcnemar, paired_test};
pub use precision_recall::{PrecisionRecall, PrecisionRecallPoint, precision_recall};
pub use selective::{COVERAGES, SelectiveAccuracy, selective_curve};

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

impl Judged {
    fn is_right(&self) -> bool {
        self.truth == self.prediction.class
    }

    /// The probability of the answer, 0 to 1.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        self.prediction.probabilities[self.prediction.class.0]
    }
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
    /// Of the posts said to be of this class, the share that is; 0 where there is none.
    pub precision: f64,
    /// Its interval, from the resamples where it is defined.
    pub precision_interval: [f64; 2],
    /// Of the posts of this class, the share that was found; 0 where there is none.
    pub recall: f64,
    /// Its interval, from the resamples where it is defined.
    pub recall_interval: [f64; 2],
    /// Harmonic mean of both.
    pub f1: f64,
    /// Its interval, from the resamples where it is defined.
    pub f1_interval: [f64; 2],
    /// Precision averaged over recall, when posts are ranked by the probability of this class: see [`precision_recall`].
    pub average_precision: f64,
    /// Its interval, from the resamples where it is defined.
    pub average_precision_interval: [f64; 2],
    /// How many posts of this class there are.
    pub support: u64,
}

/// A model judged on labelled posts. An interval is the bootstrap's by the percentile method (Efron and Tibshirani 1993,
/// An Introduction to the Bootstrap, chapter 13). Whole groups are resampled, because the posts of one tell less than as
/// many posts of strangers (Field and Welsh 2007, <https://doi.org/10.1111/j.1467-9868.2007.00593.x>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// How many posts.
    pub examples: u64,
    /// How many groups they are of.
    pub groups: u64,
    /// The share of resamples inside the intervals.
    pub confidence: f64,
    /// The share of right answers.
    pub accuracy: f64,
    /// Its interval.
    pub accuracy_interval: [f64; 2],
    /// The mean F1 of the classes that occur among these posts or the answers to them, as scikit-learn has it.
    pub macro_f1: f64,
    /// Its interval.
    pub macro_f1_interval: [f64; 2],
    /// Expected calibration error with [`RELIABILITY_BINS`] bins of equal width (Guo et al. 2017,
    /// <https://arxiv.org/abs/1706.04599>).
    pub ece: f64,
    /// Its interval. The bins of a resample hold more noise than those of the posts, so that it lies rather too high.
    pub ece_interval: [f64; 2],
    /// Brier score over all classes, 0 (best) to 2: the mean of the squared distances between the probabilities and the
    /// truth (Brier 1950, <https://doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2>).
    pub brier: f64,
    /// Its interval.
    pub brier_interval: [f64; 2],
    /// The accuracy on the posts the model is surest of, at each of [`COVERAGES`].
    pub selective: Vec<SelectiveAccuracy>,
    /// Confidence beside accuracy, bin by bin.
    pub reliability: Vec<ReliabilityBin>,
    /// One row a class.
    pub per_class: Vec<ClassReport>,
    /// `confusion[truth][answer]`, counts.
    pub confusion: Vec<Vec<u64>>,
    /// The accuracy of always answering the most frequent class of these posts.
    pub majority_accuracy: f64,
    /// The macro-F1 of that answer.
    pub majority_macro_f1: f64,
}

/// Accuracy and macro-F1 of a part of the posts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartMetrics {
    /// How many posts.
    pub examples: u64,
    /// The share of right answers.
    pub accuracy: f64,
    /// Its interval.
    pub accuracy_interval: [f64; 2],
    /// As [`Metrics::macro_f1`].
    pub macro_f1: f64,
    /// Its interval.
    pub macro_f1_interval: [f64; 2],
}

/// Judges answers. With no posts every figure is 0.
///
/// # Panics
/// When a truth or an answer is none of `classes`.
#[must_use]
pub fn evaluate(judged: &[Judged], classes: &ClassNames, bootstrap: &Bootstrap) -> Metrics {
    let groups = Groups::new(judged.iter().map(|judged| judged.group.as_str()));
    let sample = Sample::new(judged, classes.len());
    let whole = sample.figures(&vec![1; judged.len()]);
    let resamples: Vec<Figures> =
        groups.resamples(bootstrap).map(|weights| sample.figures(&groups.of_rows(&weights))).collect();
    let interval = |figure: FigureOf<'_>| interval(resamples.iter().map(figure), bootstrap.confidence);
    let majority = whole.confusion.of_always(whole.confusion.most_frequent());
    Metrics {
        examples: judged.len() as u64,
        groups: groups.len() as u64,
        confidence: bootstrap.confidence,
        accuracy: whole.confusion.accuracy(),
        accuracy_interval: interval(&|f| f.confusion.accuracy()),
        macro_f1: whole.confusion.macro_f1(),
        macro_f1_interval: interval(&|f| f.confusion.macro_f1()),
        ece: whole.ece,
        ece_interval: interval(&|f| f.ece),
        brier: whole.brier,
        brier_interval: interval(&|f| f.brier),
        selective: selective::report(&sample, &whole, &interval),
        reliability: calibration::reliability(judged),
        per_class: classes.classes().map(|class| class_report(class, classes, &whole, &interval)).collect(),
        majority_accuracy: majority.accuracy(),
        majority_macro_f1: majority.macro_f1(),
        confusion: whole.confusion.into_counts(),
    }
}

/// Judges a part of the posts, in less time than [`evaluate`].
///
/// # Panics
/// As [`evaluate`].
#[must_use]
pub fn evaluate_part<'a>(
    judged: impl IntoIterator<Item = &'a Judged>,
    classes: &ClassNames,
    bootstrap: &Bootstrap,
) -> PartMetrics {
    let judged: Vec<&Judged> = judged.into_iter().collect();
    let groups = Groups::new(judged.iter().map(|judged| judged.group.as_str()));
    let pairs: Vec<(usize, usize)> = judged.iter().map(|j| (j.truth.0, j.prediction.class.0)).collect();
    let confusion = |weights: &[u64]| Confusion::weighted(&pairs, weights, classes.len());
    let whole = confusion(&vec![1; pairs.len()]);
    let (accuracies, scores): (Vec<f64>, Vec<f64>) = groups
        .resamples(bootstrap)
        .map(|weights| confusion(&groups.of_rows(&weights)))
        .map(|resample| (resample.accuracy(), resample.macro_f1()))
        .unzip();
    PartMetrics {
        examples: pairs.len() as u64,
        accuracy: whole.accuracy(),
        accuracy_interval: interval(accuracies.into_iter(), bootstrap.confidence),
        macro_f1: whole.macro_f1(),
        macro_f1_interval: interval(scores.into_iter(), bootstrap.confidence),
    }
}

/// The macro-F1 alone, as [`Metrics::macro_f1`].
///
/// # Panics
/// As [`evaluate`].
#[must_use]
pub fn macro_f1(judged: &[Judged], classes: &ClassNames) -> f64 {
    let pairs: Vec<(usize, usize)> = judged.iter().map(|j| (j.truth.0, j.prediction.class.0)).collect();
    Confusion::weighted(&pairs, &vec![1; pairs.len()], classes.len()).macro_f1()
}

fn class_report(class: Class, classes: &ClassNames, whole: &Figures, interval: IntervalOf<'_>) -> ClassReport {
    let undefined_as_zero = |value: f64| if value.is_nan() { 0.0 } else { value };
    let counts = |figures: &Figures| figures.confusion.of(class.0);
    let whole_counts = counts(whole);
    ClassReport {
        name: classes.name(class).to_owned(),
        precision: undefined_as_zero(whole_counts.precision()),
        precision_interval: interval(&|f| counts(f).precision()),
        recall: undefined_as_zero(whole_counts.recall()),
        recall_interval: interval(&|f| counts(f).recall()),
        f1: undefined_as_zero(whole_counts.f1()),
        f1_interval: interval(&|f| counts(f).f1()),
        average_precision: undefined_as_zero(whole.average_precision[class.0]),
        average_precision_interval: interval(&|f| f.average_precision[class.0]),
        support: whole_counts.support,
    }
}

#[cfg(test)]
mod tests;
