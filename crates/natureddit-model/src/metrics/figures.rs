//! Every figure of a sample of posts at once, so that a resample costs one walk.

use super::counts::Confusion;
use super::selective::{COVERAGES, selective_accuracy};
use super::{Judged, calibration, precision_recall};

/// Which figure.
pub(super) type FigureOf<'a> = &'a dyn Fn(&Figures) -> f64;

/// What gives the interval of a figure.
pub(super) type IntervalOf<'a> = &'a dyn Fn(FigureOf<'_>) -> [f64; 2];

/// Posts in the orders in which the figures walk through them.
pub(super) struct Sample {
    /// Truth and answer of each row.
    pairs: Vec<(usize, usize)>,
    /// The bin of calibration and the confidence of each row.
    bins: Vec<(usize, f64)>,
    /// The squared distance between each row's probabilities and its truth.
    distances: Vec<f64>,
    /// The rows, the surest first.
    pub(super) by_confidence: Vec<Ranked>,
    /// The rows for each class, the likeliest of it first.
    by_class: Vec<Vec<Ranked>>,
}

/// A row at its place in an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked {
    pub(super) row: usize,
    /// What it is ordered by.
    pub(super) score: f32,
    /// Whether the answer is right, or the row is of the class.
    pub(super) hit: bool,
}

/// The figures of a sample or a resample; NaN where one is not defined.
pub(super) struct Figures {
    pub(super) confusion: Confusion,
    pub(super) ece: f64,
    pub(super) brier: f64,
    /// At each of [`COVERAGES`].
    pub(super) selective: Vec<f64>,
    /// Of each class.
    pub(super) average_precision: Vec<f64>,
}

impl Sample {
    pub(super) fn new(judged: &[Judged], classes: usize) -> Self {
        let by_class =
            |class: usize| ranked(judged, |judged| (judged.prediction.probabilities[class], judged.truth.0 == class));
        Self {
            pairs: judged.iter().map(|j| (j.truth.0, j.prediction.class.0)).collect(),
            bins: judged.iter().map(calibration::bin).collect(),
            distances: judged.iter().map(calibration::squared_distance).collect(),
            by_confidence: ranked(judged, |judged| (judged.confidence(), judged.is_right())),
            by_class: (0..classes).map(by_class).collect(),
        }
    }

    /// The figures where each row counts so many times.
    pub(super) fn figures(&self, weights: &[u64]) -> Figures {
        let rows: u64 = weights.iter().sum();
        let right = self.pairs.iter().map(|(truth, answer)| truth == answer);
        let squares = self.distances.iter().zip(weights).map(|(square, &weight)| square * weight as f64);
        Figures {
            confusion: Confusion::weighted(&self.pairs, weights, self.by_class.len()),
            ece: calibration::expected_error(self.bins.iter().zip(right).zip(weights)),
            brier: squares.sum::<f64>() / rows.max(1) as f64,
            selective: COVERAGES.map(|share| selective_accuracy(&self.by_confidence, weights, share).accuracy).to_vec(),
            average_precision: self.by_class.iter().map(|rows| precision_recall::average(rows, weights)).collect(),
        }
    }
}

/// The rows by a score, the highest first. Rows of the same score are walked through as one, so that their order does
/// not matter.
pub(super) fn ranked(judged: &[Judged], score: impl Fn(&Judged) -> (f32, bool)) -> Vec<Ranked> {
    let mut rows: Vec<Ranked> = judged
        .iter()
        .enumerate()
        .map(|(row, judged)| {
            let (score, hit) = score(judged);
            Ranked { row, score, hit }
        })
        .collect();
    rows.sort_by(|a, b| b.score.total_cmp(&a.score));
    rows
}

/// The rows that share a score: how many there are, and how many of them are hits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tied {
    pub(super) score: f32,
    pub(super) rows: u64,
    pub(super) hits: u64,
}

/// Rows in order, those of one score together; scores without a row are left out.
pub(super) fn tied<'a>(rows: &'a [Ranked], weights: &'a [u64]) -> impl Iterator<Item = Tied> + 'a {
    let tie = |rows: &[Ranked]| {
        let count = |ranked: &Ranked| weights[ranked.row];
        Tied {
            score: rows[0].score,
            rows: rows.iter().map(count).sum(),
            hits: rows.iter().filter(|ranked| ranked.hit).map(count).sum(),
        }
    };
    rows.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()).map(tie).filter(|tied| tied.rows > 0)
}
