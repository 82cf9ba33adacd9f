//! Whether one model is better than another, on the same posts.

use natureddit_core::ClassNames;
use serde::{Deserialize, Serialize};

use super::counts::Confusion;
use super::resample::{Groups, interval};
use super::{Bootstrap, Judged};

/// A candidate beside the champion on the same posts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedTest {
    /// The candidate's macro-F1 less the champion's.
    pub macro_f1_difference: f64,
    /// Its interval, by the percentile method: both models are judged on each resample of the groups.
    pub macro_f1_difference_interval: [f64; 2],
    /// How likely a difference as far from 0, to either side, is by chance: twice the share of resamples on the rarer
    /// side of 0, which is where the interval would end at 0 (Efron and Tibshirani 1993, An Introduction to the
    /// Bootstrap, chapter 15.4). One resample is added to either side, so that it is never 0 (Phipson and Smyth 2010,
    /// <https://doi.org/10.2202/1544-6115.1585>). 1 where nothing was resampled.
    pub p_value: f64,
    /// How far below the champion a candidate may be.
    pub loss_max: f64,
    /// How likely the difference is by chance if the candidate is no further below the champion than that: the share of
    /// resamples in which it is not. Small: the candidate is worse.
    pub loss_p_value: f64,
    /// On the posts that one alone answers rightly.
    pub mcnemar: McNemar,
}

/// McNemar's exact test: whether one of two models alone is right more often than the other (McNemar 1947,
/// <https://doi.org/10.1007/BF02295996>; of classifiers: Dietterich 1998, <https://doi.org/10.1162/089976698300017197>). It
/// takes posts for strangers: where groups are large, the bootstrap is to be trusted instead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Posts that the candidate alone answers rightly.
    pub candidate_only: u64,
    /// Posts that the champion alone answers rightly.
    pub champion_only: u64,
    /// Two-sided, by the binomial distribution; 1 where they never disagree.
    pub p_value: f64,
}

/// Tests a candidate against the champion; both have answered the same posts in the same order.
///
/// # Panics
/// When they have not, or a truth or an answer is none of `classes`.
#[must_use]
pub fn paired_test(
    candidate: &[Judged],
    champion: &[Judged],
    classes: &ClassNames,
    bootstrap: &Bootstrap,
    loss_max: f64,
) -> PairedTest {
    let same = |(a, b): (&Judged, &Judged)| a.truth == b.truth && a.group == b.group;
    assert!(candidate.len() == champion.len() && candidate.iter().zip(champion).all(same), "answers to the same posts");
    let pairs = |judged: &[Judged]| -> Vec<(usize, usize)> {
        judged.iter().map(|judged| (judged.truth.0, judged.prediction.class.0)).collect()
    };
    let (ours, theirs) = (pairs(candidate), pairs(champion));
    let score =
        |pairs: &[(usize, usize)], weights: &[u64]| Confusion::weighted(pairs, weights, classes.len()).macro_f1();
    let difference = |weights: &[u64]| score(&ours, weights) - score(&theirs, weights);

    let groups = Groups::new(candidate.iter().map(|judged| judged.group.as_str()));
    let resampled: Vec<f64> = groups.resamples(bootstrap).map(|drawn| difference(&groups.of_rows(&drawn))).collect();
    let share = |counts: &dyn Fn(f64) -> bool| {
        let count = resampled.iter().filter(|difference| counts(**difference)).count();
        (count + 1) as f64 / (resampled.len() + 1) as f64
    };
    let rarer = f64::min(share(&|difference| difference <= 0.0), share(&|difference| difference >= 0.0));
    let disagree = |only: &[Judged], not: &[Judged]| {
        only.iter().zip(not).filter(|(only, not)| only.is_right() && !not.is_right()).count() as u64
    };
    PairedTest {
        macro_f1_difference: difference(&vec![1; ours.len()]),
        macro_f1_difference_interval: interval(resampled.iter().copied(), bootstrap.confidence),
        p_value: (2.0 * rarer).min(1.0),
        loss_max,
        loss_p_value: share(&|difference| difference >= -loss_max),
        mcnemar: mcnemar(disagree(candidate, champion), disagree(champion, candidate)),
    }
}

/// `min(1, 2 * sum over i <= min(b, c) of C(b + c, i) / 2^(b + c))`.
#[must_use]
pub fn mcnemar(candidate_only: u64, champion_only: u64) -> McNemar {
    let trials = candidate_only + champion_only;
    let fewer = candidate_only.min(champion_only);
    // Logarithms, because 2^-n is 0 in floating point from n = 1075 on.
    let mut log_term = -(trials as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for at in 1..=fewer {
        log_term += ((trials - at + 1) as f64 / at as f64).ln();
        tail += log_term.exp();
    }
    McNemar { candidate_only, champion_only, p_value: (2.0 * tail).min(1.0) }
}
