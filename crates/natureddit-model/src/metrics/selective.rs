//! How good a model is on the posts it is surest of, where the others go to a person: risk against coverage (El-Yaniv and
//! Wiener 2010, <https://www.jmlr.org/papers/v11/el-yaniv10a.html>).

use serde::{Deserialize, Serialize};

use super::Judged;
use super::figures::{Figures, IntervalOf, Ranked, Sample, ranked, tied};

/// The shares of posts at which selective accuracy is told.
pub const COVERAGES: [f64; 3] = [0.8, 0.9, 0.95];

/// The accuracy on the share of posts that the model is surest of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectiveAccuracy {
    /// The share of posts that are answered.
    pub coverage: f64,
    /// The share of right answers among them. Where posts of the same confidence are cut through, as many of them are
    /// counted as are still to come, each with the accuracy of them all: what any order of them gives on average.
    pub accuracy: f64,
    /// Its interval.
    pub interval: [f64; 2],
    /// The lowest confidence that is answered.
    pub threshold: f64,
}

/// The accuracy at one coverage.
pub(super) struct Selected {
    /// NaN where there are no posts.
    pub(super) accuracy: f64,
    pub(super) threshold: f32,
}

/// The accuracy on the surest `coverage` of the rows: so many of them, rounded up, and at least one.
pub(super) fn selective_accuracy(by_confidence: &[Ranked], weights: &[u64], coverage: f64) -> Selected {
    let total: u64 = weights.iter().sum();
    // What rounding adds to the product must not add a row.
    let wanted = (total as f64 * coverage - 1e-9).ceil().max(1.0);
    let (mut rows, mut hits, mut threshold) = (0.0, 0.0, 0.0);
    for tie in tied(by_confidence, weights) {
        let taken = f64::min(tie.rows as f64, wanted - rows);
        hits += taken * tie.hits as f64 / tie.rows as f64;
        rows += taken;
        threshold = tie.score;
        if rows >= wanted {
            break;
        }
    }
    Selected { accuracy: hits / rows, threshold }
}

pub(super) fn report(sample: &Sample, whole: &Figures, interval: IntervalOf<'_>) -> Vec<SelectiveAccuracy> {
    let once = vec![1; sample.by_confidence.len()];
    let at = |(place, coverage): (usize, f64)| SelectiveAccuracy {
        coverage,
        accuracy: if whole.selective[place].is_nan() { 0.0 } else { whole.selective[place] },
        interval: interval(&|figures| figures.selective[place]),
        threshold: f64::from(selective_accuracy(&sample.by_confidence, &once, coverage).threshold),
    };
    COVERAGES.into_iter().enumerate().map(at).collect()
}

/// Coverage and accuracy at every confidence that occurs, from the surest posts to all of them.
#[must_use]
pub fn selective_curve(judged: &[Judged]) -> Vec<[f64; 2]> {
    let rows = ranked(judged, |judged| (judged.confidence(), judged.is_right()));
    let once = vec![1; rows.len()];
    let (mut answered, mut right) = (0, 0);
    let points = tied(&rows, &once).map(|tie| {
        answered += tie.rows;
        right += tie.hits;
        [answered as f64 / judged.len() as f64, right as f64 / answered as f64]
    });
    points.collect()
}
