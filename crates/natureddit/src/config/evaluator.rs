//! `[evaluator]`: how a model is judged and what it must reach to be blessed.

use super::ConfigError;
use super::check::{Checker, SHARE};
use super::raw::RawEvaluator;

/// The checked `[evaluator]`. A threshold that no model can miss is `None`.
#[derive(Clone, Debug)]
pub struct EvaluatorConfig {
    /// Resamplings behind every confidence interval.
    pub bootstrap_samples: usize,
    /// The confidence of the intervals, 0.5 to 0.999.
    pub confidence: f64,
    /// The fewest examples a test split may have.
    pub test_examples_min: usize,
    /// The fewest of them of each class.
    pub class_examples_min: usize,
    /// How much macro-F1 must exceed that of always naming the most frequent class.
    pub majority_gain_min: f64,
    /// The least macro-F1.
    pub macro_f1_min: Option<f64>,
    /// The least accuracy.
    pub accuracy_min: Option<f64>,
    /// The least recall of each class.
    pub recall_min: Option<f64>,
    /// The largest expected calibration error.
    pub ece_max: Option<f64>,
    /// The fewest examples of a slice for it to count.
    pub slice_examples_min: usize,
    /// The least macro-F1 of a slice that counts.
    pub slice_macro_f1_min: Option<f64>,
    /// The least accuracy of a slice that counts.
    pub slice_accuracy_min: Option<f64>,
    /// How far macro-F1 may fall below that of the model in use.
    pub champion_loss_max: f64,
    /// The largest p-value of a larger loss that counts; more than 0, and 1 where every one counts.
    pub champion_p_max: f64,
    /// How far macro-F1 with encoders in eight bits may fall below that with the same in floats.
    pub quantisation_loss_max: f64,
    /// The largest p-value of a larger loss that counts; more than 0, and 1 where every one counts.
    pub quantisation_p_max: f64,
    /// The most posts of each split that both are compared on.
    pub quantisation_posts_max: usize,
    /// Wrong answers in the report.
    pub mistakes_max: usize,
    /// The long side of their photos, in pixels.
    pub thumbnail_side_max: u32,
}

impl EvaluatorConfig {
    pub(super) fn check(raw: RawEvaluator, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const COUNT: std::ops::RangeInclusive<i64> = 1..=1_000_000;
        let at = checker.table("evaluator");
        let least = |key, value| at.number(key, value, SHARE).map(|min| Some(min).filter(|min| *min > 0.0));
        Ok(Self {
            bootstrap_samples: at.integer("bootstrap_samples", raw.bootstrap_samples, 100..=100_000)?,
            confidence: at.number("confidence", raw.confidence, 0.5..=0.999)?,
            test_examples_min: at.integer("test_examples_min", raw.test_examples_min, COUNT)?,
            class_examples_min: at.integer("class_examples_min", raw.class_examples_min, COUNT)?,
            majority_gain_min: at.number("majority_gain_min", raw.majority_gain_min, SHARE)?,
            macro_f1_min: least("macro_f1_min", raw.macro_f1_min)?,
            accuracy_min: least("accuracy_min", raw.accuracy_min)?,
            recall_min: least("recall_min", raw.recall_min)?,
            ece_max: Some(at.number("ece_max", raw.ece_max, SHARE)?).filter(|max| *max < 1.0),
            slice_examples_min: at.integer("slice_examples_min", raw.slice_examples_min, COUNT)?,
            slice_macro_f1_min: least("slice_macro_f1_min", raw.slice_macro_f1_min)?,
            slice_accuracy_min: least("slice_accuracy_min", raw.slice_accuracy_min)?,
            champion_loss_max: at.number("champion_loss_max", raw.champion_loss_max, SHARE)?,
            champion_p_max: at.number("champion_p_max", raw.champion_p_max, 0.0001..=1.0)?,
            quantisation_loss_max: at.number("quantisation_loss_max", raw.quantisation_loss_max, SHARE)?,
            quantisation_p_max: at.number("quantisation_p_max", raw.quantisation_p_max, 0.0001..=1.0)?,
            quantisation_posts_max: at.integer(
                "quantisation_posts_max",
                raw.quantisation_posts_max,
                100..=1_000_000,
            )?,
            mistakes_max: at.integer("mistakes_max", raw.mistakes_max, 0..=200)?,
            thumbnail_side_max: at.integer("thumbnail_side_max", raw.thumbnail_side_max, 16..=1_024)?,
        })
    }
}
