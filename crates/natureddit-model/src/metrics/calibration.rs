//! Whether a confidence of 80 % is right four times out of five.

use serde::{Deserialize, Serialize};

use super::{Judged, ratio};

/// How many bins of equal width confidence is divided into; 15 as in Guo et al. 2017, <https://arxiv.org/abs/1706.04599>.
pub const RELIABILITY_BINS: usize = 15;

/// The posts that were answered with about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Where the bin begins and ends; a confidence at its end is of the next bin, 1 of the last.
    pub range: [f64; 2],
    /// How many posts.
    pub examples: u64,
    /// Their mean confidence; 0 where there is none.
    pub confidence: f64,
    /// The share of right answers; 0 where there is none.
    pub accuracy: f64,
}

/// The bin of an answer's confidence, and the confidence.
pub(super) fn bin(judged: &Judged) -> (usize, f64) {
    let confidence = f64::from(judged.confidence());
    (((confidence * RELIABILITY_BINS as f64) as usize).min(RELIABILITY_BINS - 1), confidence)
}

/// `sum over bins of |right - sum of confidences|`, by the number of rows: Guo et al. 2017, equation 3.
pub(super) fn expected_error<'a>(rows: impl Iterator<Item = ((&'a (usize, f64), bool), &'a u64)>) -> f64 {
    let mut bins = [(0_u64, 0.0_f64); RELIABILITY_BINS];
    let mut total = 0;
    for (((bin, confidence), right), weight) in rows {
        bins[*bin].0 += u64::from(right) * weight;
        bins[*bin].1 += confidence * *weight as f64;
        total += weight;
    }
    bins.iter().map(|(right, confidence)| (*right as f64 - confidence).abs()).sum::<f64>() / total.max(1) as f64
}

/// `sum over classes of (probability - truth)^2`, the truth being 1 at one class and 0 at the others.
pub(super) fn squared_distance(judged: &Judged) -> f64 {
    let difference = |(class, &p): (usize, &f32)| f64::from(p) - f64::from(u8::from(class == judged.truth.0));
    judged.prediction.probabilities.iter().enumerate().map(|p| difference(p).powi(2)).sum()
}

pub(super) fn reliability(judged: &[Judged]) -> Vec<ReliabilityBin> {
    let mut bins = [(0_u64, 0_u64, 0.0_f64); RELIABILITY_BINS];
    for judged in judged {
        let (bin, confidence) = bin(judged);
        bins[bin].0 += 1;
        bins[bin].1 += u64::from(judged.is_right());
        bins[bin].2 += confidence;
    }
    let edge = |bin: usize| bin as f64 / RELIABILITY_BINS as f64;
    (0..)
        .zip(bins)
        .map(|(bin, (examples, right, confidence))| ReliabilityBin {
            range: [edge(bin), edge(bin + 1)],
            examples,
            confidence: confidence / examples.max(1) as f64,
            accuracy: ratio(right, examples),
        })
        .collect()
}
