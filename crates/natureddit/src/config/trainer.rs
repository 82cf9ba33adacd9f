//! `[trainer]`: how the head on top of the embeddings is trained, and whether the encoders learn with it.

use std::ops::RangeInclusive;

use natureddit_pipeline::components::transform::PrecisionConfig;

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

/// Which layers the head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadLayers {
    /// One.
    Linear,
    /// A hidden one before it.
    Mlp,
}

/// What learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tune {
    /// The head.
    Head,
    /// The head and the last blocks of the encoders.
    LastBlocks,
    /// The head and the encoders.
    All,
}

/// What a learning rate may be.
pub(super) const LEARNING_RATE: RangeInclusive<f64> = 1e-9..=1.0;
/// What a batch may hold.
pub(super) const BATCH_SIZE: RangeInclusive<i64> = 1..=65_536;
/// The most of `text_dropout` and `image_dropout` together: what is left is learnt from whole.
pub(super) const DROPOUTS_MAX: f64 = 0.9;
/// What label smoothing may be: at 1 a label would say nothing.
pub(super) const LABEL_SMOOTHING: RangeInclusive<f64> = 0.0..=0.9;

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
    /// Which layers the head has.
    pub head: HeadLayers,
    /// The units of the hidden layer, where there is one.
    pub hidden_units: usize,
    /// The share of inputs that is dropped before the hidden layer, 0 to 0.9.
    pub hidden_dropout: f64,
    /// How much of a label is spread over all classes, 0 to 0.9.
    pub label_smoothing: f64,
    /// How much the examples of a class count.
    pub class_weights: ClassWeights,
    /// Epochs without a better result before training stops.
    pub early_stopping_patience: usize,
    /// How much a title without a photo counts beside a whole post, 0 to 1.
    pub extra_title_weight: f64,
    /// Training is kept after every so many epochs; 0 never.
    pub checkpoint_every_epochs: usize,
    /// What learns.
    pub tune: Tune,
    /// The step size of the encoders where they learn, above 0 and at most 1.
    pub tune_learning_rate: f64,
    /// The most rounds over the training split in which the encoders learn.
    pub tune_epochs_max: usize,
    /// Examples a step of them.
    pub tune_batch_size: usize,
    /// Where random numbers start.
    pub seed: u64,
}

impl TrainerConfig {
    pub(super) fn check(
        raw: RawTrainer,
        precision: PrecisionConfig,
        checker: &Checker<'_>,
    ) -> Result<Self, ConfigError> {
        const CLASS_WEIGHTS: [(&str, ClassWeights); 2] =
            [("balanced", ClassWeights::Balanced), ("none", ClassWeights::None)];
        const TUNES: [(&str, Tune); 3] = [("head", Tune::Head), ("last_blocks", Tune::LastBlocks), ("all", Tune::All)];
        const HEADS: [(&str, HeadLayers); 2] = [("linear", HeadLayers::Linear), ("mlp", HeadLayers::Mlp)];
        let at = checker.table("trainer");
        let text_dropout = at.number("text_dropout", raw.text_dropout, SHARE)?;
        let image_dropout = at.number("image_dropout", raw.image_dropout, SHARE)?;
        if text_dropout + image_dropout > DROPOUTS_MAX {
            let must_be =
                format!("so that it and trainer.text_dropout = {text_dropout} are at most {DROPOUTS_MAX} together");
            return Err(at.bad("image_dropout", image_dropout, must_be));
        }
        let tune = at.one_of("tune", &raw.tune, &TUNES)?;
        if tune != Tune::Head && precision != PrecisionConfig::Fp32 {
            // Encoders in eight bits have no gradients.
            return Err(at.bad("tune", &raw.tune, "\"head\", unless model.precision = \"fp32\""));
        }
        Ok(Self {
            epochs_max: at.integer("epochs_max", raw.epochs_max, 1..=10_000)?,
            batch_size: at.integer("batch_size", raw.batch_size, BATCH_SIZE)?,
            learning_rate: at.number("learning_rate", raw.learning_rate, LEARNING_RATE)?,
            weight_decay: at.number("weight_decay", raw.weight_decay, SHARE)?,
            text_dropout,
            image_dropout,
            head: at.one_of("head", &raw.head, &HEADS)?,
            hidden_units: at.integer("hidden_units", raw.hidden_units, 1..=8_192)?,
            hidden_dropout: at.number("hidden_dropout", raw.hidden_dropout, 0.0..=0.9)?,
            label_smoothing: at.number("label_smoothing", raw.label_smoothing, LABEL_SMOOTHING)?,
            class_weights: at.one_of("class_weights", &raw.class_weights, &CLASS_WEIGHTS)?,
            early_stopping_patience: at.integer("early_stopping_patience", raw.early_stopping_patience, 1..=10_000)?,
            extra_title_weight: at.number("extra_title_weight", raw.extra_title_weight, SHARE)?,
            checkpoint_every_epochs: at.integer("checkpoint_every_epochs", raw.checkpoint_every_epochs, 0..=10_000)?,
            tune,
            tune_learning_rate: at.number("tune_learning_rate", raw.tune_learning_rate, LEARNING_RATE)?,
            tune_epochs_max: at.integer("tune_epochs_max", raw.tune_epochs_max, 1..=10_000)?,
            tune_batch_size: at.integer("tune_batch_size", raw.tune_batch_size, BATCH_SIZE)?,
            seed: at.integer("seed", raw.seed, 0..=i64::MAX)?,
        })
    }
}
