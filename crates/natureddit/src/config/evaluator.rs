//! `[evaluator]`: how a model is judged and what it must reach to be blessed.

use super::ConfigError;
use super::check::{Checker, SHARE};
use super::raw::RawEvaluator;

/// The checked `[evaluator]`.
#[derive(Clone, Debug)]
pub struct EvaluatorConfig {
    /// Resamplings behind every confidence interval.
    pub bootstrap_samples: usize,
    /// The confidence of the intervals, 0.5 to 0.999.
    pub confidence: f64,
    /// The fewest examples a test split may have.
    pub test_examples_min: usize,
    /// How much macro-F1 must exceed that of always naming the most frequent class.
    pub majority_gain_min: f64,
    /// How far macro-F1 may fall below that of the model in use.
    pub champion_loss_max: f64,
}

impl EvaluatorConfig {
    pub(super) fn check(raw: RawEvaluator, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        let at = checker.table("evaluator");
        Ok(Self {
            bootstrap_samples: at.integer("bootstrap_samples", raw.bootstrap_samples, 100..=100_000)?,
            confidence: at.number("confidence", raw.confidence, 0.5..=0.999)?,
            test_examples_min: at.integer("test_examples_min", raw.test_examples_min, 1..=1_000_000)?,
            majority_gain_min: at.number("majority_gain_min", raw.majority_gain_min, SHARE)?,
            champion_loss_max: at.number("champion_loss_max", raw.champion_loss_max, SHARE)?,
        })
    }
}
