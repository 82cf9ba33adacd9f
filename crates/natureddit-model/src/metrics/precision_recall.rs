//! Precision and recall of a class, as the probability from which it counts as found sinks.

use natureddit_core::Class;

use super::Judged;
use super::figures::{Ranked, ranked, tied};

/// The curve of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// From the highest probability that occurs to the lowest.
    pub points: Vec<PrecisionRecallPoint>,
    /// The area below the curve as steps; 0 where there is no post of the class.
    pub average_precision: f64,
}

/// What is found when a class counts as found from a probability on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecallPoint {
    /// That probability.
    pub threshold: f32,
    /// Of the posts that are found, the share of the class.
    pub precision: f64,
    /// Of the posts of the class, the share that is found.
    pub recall: f64,
}

/// The curve of a class over all posts, and `sum of (recall_n - recall_{n-1}) * precision_n`, which is scikit-learn's
/// `average_precision_score`. Nothing is interpolated (Davis and Goadrich 2006, <https://doi.org/10.1145/1143844.1143874>).
#[must_use]
pub fn precision_recall(judged: &[Judged], class: Class) -> PrecisionRecall {
    let rows = ranked(judged, |judged| (judged.prediction.probabilities[class.0], judged.truth == class));
    let once = vec![1; rows.len()];
    let average = average(&rows, &once);
    let points = curve(&rows, &once).collect();
    PrecisionRecall { points, average_precision: if average.is_nan() { 0.0 } else { average } }
}

/// Average precision of weighted rows; NaN where there is none of the class.
pub(super) fn average(rows: &[Ranked], weights: &[u64]) -> f64 {
    let positives: u64 = rows.iter().filter(|ranked| ranked.hit).map(|ranked| weights[ranked.row]).sum();
    let (mut area, mut found, mut hits) = (0.0, 0, 0);
    for tie in tied(rows, weights) {
        found += tie.rows;
        hits += tie.hits;
        area += tie.hits as f64 * hits as f64 / found as f64;
    }
    area / positives as f64
}

fn curve<'a>(rows: &'a [Ranked], weights: &'a [u64]) -> impl Iterator<Item = PrecisionRecallPoint> + 'a {
    let positives: u64 = rows.iter().filter(|ranked| ranked.hit).map(|ranked| weights[ranked.row]).sum();
    let (mut found, mut hits) = (0, 0);
    tied(rows, weights).map(move |tie| {
        found += tie.rows;
        hits += tie.hits;
        PrecisionRecallPoint {
            threshold: tie.score,
            precision: hits as f64 / found as f64,
            recall: super::ratio(hits, positives),
        }
    })
}
