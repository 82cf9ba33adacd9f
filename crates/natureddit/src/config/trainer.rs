//! `[trainer]`: how the head on top of the embeddings is trained.

use std::ops::RangeInclusive;

use super::ConfigError;
use super::check::{Checker, SHARE};
use super::raw::RawTrainer;

/// How much the examples of a class count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassWeights {
    /// In inverse proportion to the class's frequency.
    Balanced,
    /// All alike.
    None,
}

/// What a learning rate may be.
pub(super) const LEARNING_RATE: RangeInclusive<f64> = 1e-9..=1.0;
/// What a batch may hold.
pub(super) const BATCH_SIZE: RangeInclusive<i64> = 1..=65_536;

/// The checked `[trainer]`.
#[derive(Clone, Debug)]
pub struct TrainerConfig {
    /// The most rounds over the training split.
    pub epochs_max: usize,
    /// Examples a step.
    pub batch_size: usize,
    /// The optimiser's step size, above 0 and at most 1.
    pub learning_rate: f64,
    /// How strongly weights are pulled towards zero, 0 to 1.
    pub weight_decay: f64,
    /// The share of examples whose title is hidden; with `image_dropout` at most 0.9.
    pub text_dropout: f64,
    /// The share of examples whose photo is hidden.
    pub image_dropout: f64,
    /// How much the examples of a class count.
    pub class_weights: ClassWeights,
    /// Epochs without a better result before training stops.
    pub early_stopping_patience: usize,
    /// How much a title without a photo counts beside a whole post, 0 to 1.
    pub extra_title_weight: f64,
    /// Where random numbers start.
    pub seed: u64,
}

impl TrainerConfig {
    pub(super) fn check(raw: RawTrainer, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const CLASS_WEIGHTS: [(&str, ClassWeights); 2] =
            [("balanced", ClassWeights::Balanced), ("none", ClassWeights::None)];
        let at = checker.table("trainer");
        let text_dropout = at.number("text_dropout", raw.text_dropout, SHARE)?;
        let image_dropout = at.number("image_dropout", raw.image_dropout, SHARE)?;
        if text_dropout + image_dropout > 0.9 {
            let must_be = format!("so that it and trainer.text_dropout = {text_dropout} are at most 0.9 together");
            return Err(at.bad("image_dropout", image_dropout, must_be));
        }
        Ok(Self {
            epochs_max: at.integer("epochs_max", raw.epochs_max, 1..=10_000)?,
            batch_size: at.integer("batch_size", raw.batch_size, BATCH_SIZE)?,
            learning_rate: at.number("learning_rate", raw.learning_rate, LEARNING_RATE)?,
            weight_decay: at.number("weight_decay", raw.weight_decay, SHARE)?,
            text_dropout,
            image_dropout,
            class_weights: at.one_of("class_weights", &raw.class_weights, &CLASS_WEIGHTS)?,
            early_stopping_patience: at.integer("early_stopping_patience", raw.early_stopping_patience, 1..=10_000)?,
            extra_title_weight: at.number("extra_title_weight", raw.extra_title_weight, SHARE)?,
            seed: at.integer("seed", raw.seed, 0..=i64::MAX)?,
        })
    }
}
