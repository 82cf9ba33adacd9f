//! Temperature scaling: how sure answers are is fitted to how often they are right (Guo et al. 2017,
//! <https://arxiv.org/abs/1706.04599>, section 4.2).

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::head::Head;

/// With fewer eval rows no temperature is fitted: it would follow the luck of a few.
pub const CALIBRATION_ROWS_MIN: usize = 30;

/// The temperatures that are considered, from this one's inverse on.
const TEMPERATURE_MAX: f64 = 10.0;
/// How far the logarithm of a temperature is expected from 0. Where every row is answered right, the likelihood alone would
/// have the answers as sure as can be; against hundreds of rows this expectation weighs nothing.
const LOG_DEVIATION: f64 = 0.2;
/// Each step leaves 0.62 of the range: 40 leave less of it than a 32-bit number tells apart.
const STEPS: usize = 40;

/// How a temperature was fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What the scores are divided by.
    pub temperature: f32,
    /// On how many eval rows it was fitted.
    pub rows: usize,
    /// The mean of `-ln` of the truth's probability over them, without the temperature.
    pub log_loss_before: f64,
    /// The same with it; never higher.
    pub log_loss_after: f64,
}

/// Fits a temperature on rows that the head has not learnt from; `None` where there are too few.
pub(super) fn calibrate(head: &Head, eval: &[Sample<'_>]) -> Option<Calibration> {
    if eval.len() < CALIBRATION_ROWS_MIN {
        return None;
    }
    let rows = eval.iter().map(|sample| Scored::new(&head.scores(sample.features), sample.class.0, sample.weight));
    Some(fit(&rows.collect::<Vec<_>>()))
}

/// A row's scores less that of its truth, and its weight.
struct Scored {
    leads: Vec<f64>,
    weight: f64,
}

impl Scored {
    fn new(scores: &[f32], class: usize, weight: f32) -> Self {
        let truth = f64::from(scores[class]);
        Self { leads: scores.iter().map(|score| f64::from(*score) - truth).collect(), weight: f64::from(weight) }
    }

    /// `-ln` of the truth's probability.
    fn loss(&self, temperature: f64) -> f64 {
        let top = self.leads.iter().copied().fold(f64::NEG_INFINITY, f64::max) / temperature;
        top + self.leads.iter().map(|lead| (lead / temperature - top).exp()).sum::<f64>().ln()
    }
}

fn log_loss(rows: &[Scored], temperature: f64) -> f64 {
    let total: f64 = rows.iter().map(|row| row.weight).sum();
    rows.iter().map(|row| row.weight * row.loss(temperature)).sum::<f64>() / total
}

fn fit(rows: &[Scored]) -> Calibration {
    let cost = |log: f64| log_loss(rows, log.exp()) + (log / LOG_DEVIATION).powi(2) / (2.0 * rows.len() as f64);
    let found = lowest(cost, TEMPERATURE_MAX.ln()).exp() as f32;
    let before = log_loss(rows, 1.0);
    let after = log_loss(rows, f64::from(found));
    // What the search ends at may be worse by a rounding where 1 is the best there is.
    let (temperature, after) = if after < before { (found, after) } else { (1.0, before) };
    Calibration { temperature, rows: rows.len(), log_loss_before: before, log_loss_after: after }
}

/// Where a function with one valley between `-reach` and `reach` is lowest, by golden section (Kiefer 1953,
/// <https://doi.org/10.1090/S0002-9939-1953-0055639-3>). The loss has one: it is convex in the inverse temperature.
fn lowest(function: impl Fn(f64) -> f64, reach: f64) -> f64 {
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-reach, reach);
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..STEPS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = function(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = function(right);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(scores: &[(Vec<f32>, usize)]) -> Vec<Scored> {
        scores.iter().map(|(scores, class)| Scored::new(scores, *class, 1.0)).collect()
    }

    /// Three of four rows are right, so that the best probability is 3/4 and the scores should lie ln 3 apart.
    #[test]
    fn answers_that_are_too_sure_are_softened_to_how_often_they_are_right() {
        let many: Vec<_> = (0..40_000).map(|i| (vec![8.0, 0.0], usize::from(i % 4 == 0))).collect();
        let found = fit(&rows(&many));
        let probability = 1.0 / (1.0 + (-8.0 / f64::from(found.temperature)).exp());
        assert!((probability - 0.75).abs() < 3e-3, "{found:?}");
        assert!(found.log_loss_after < found.log_loss_before);
        let timid: Vec<_> = many.iter().map(|(_, class)| (vec![0.5, 0.0], *class)).collect();
        let found = fit(&rows(&timid));
        assert!((1.0 / (1.0 + (-0.5 / f64::from(found.temperature)).exp()) - 0.75).abs() < 3e-3, "{found:?}");
    }

    #[test]
    fn a_few_rows_that_are_all_right_do_not_make_it_certain() {
        let all_right: Vec<_> = (0..40).map(|_| (vec![2.0, 0.0], 0)).collect();
        let found = fit(&rows(&all_right));
        assert!(found.temperature > 0.3 && found.temperature < 1.0, "{found:?}");
    }

    proptest! {
        #[test]
        fn the_fitted_temperature_is_never_worse_than_none(
            rows in proptest::collection::vec((proptest::collection::vec(-30.0_f32..30.0, 3), 0_usize..3), 1..80),
        ) {
            let found = fit(&super::tests::rows(&rows));
            prop_assert!(found.log_loss_after <= found.log_loss_before, "{found:?}");
            prop_assert!(found.temperature >= 0.09 && found.temperature <= 10.1);
            // What was the highest score is still.
            for (scores, _) in &rows {
                let scaled: Vec<f32> = scores.iter().map(|score| score / found.temperature).collect();
                for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                    prop_assert!(scores[a] < scores[b] || scaled[a] >= scaled[b]);
                    prop_assert!(scores[a] > scores[b] || scaled[a] <= scaled[b]);
                }
            }
        }
    }
}
