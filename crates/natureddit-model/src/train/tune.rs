//! Fine-tuning: the encoders learn with the head, all of their weights or those of their last blocks.
//!
//! It begins with a head that was trained on the features as they were. What comes before the last blocks is calculated once,
//! by ONNX Runtime. The rest is calculated by burn from the same ONNX graphs and written back into them. Rows are dealt to
//! threads in shares that do not depend on how many threads there are, and each share is calculated by one thread alone, so
//! that the outcome does not depend on it either.

mod export;
mod lanes;
mod learner;
mod loss;
mod tower;

use std::error::Error;

use natureddit_core::{ClassNames, ContentHash, ContentHasher};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::rows::Rows;
use super::{Calibration, Control, Course, Epoch, Learner as _, Sample, State, TrainError, Trained};
use super::{TrainerConfig, checkpoint};
use crate::encoder::{EncoderFiles, EncoderPair};
use crate::head::Head;
use crate::preprocess::Prepared;
use crate::runtime::{Runtime, RuntimeError};
use crate::weights::WeightsError;
pub use export::TunedEncoders;
use lanes::Lanes;
use learner::TuneLearner;
use tower::{Inputs, Towers};

/// Which weights of the encoders learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunedLayers {
    /// Those of the last stage of a ResNet, the last block of an EfficientNet with what follows it, the last layer of a BERT.
    LastBlocks,
    /// All. Batch norms are part of their convolutions: their statistics stay as they were.
    All,
}

/// How encoders are tuned; what is not named here is as in the head's [`TrainerConfig`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneConfig {
    /// Which weights learn.
    pub layers: TunedLayers,
    /// AdamW's rate at its height, after the first pass; a cosine takes it to zero at `epochs_max`.
    pub learning_rate: f64,
    /// The most passes over the training rows.
    pub epochs_max: usize,
    /// Rows a step.
    pub batch_size: usize,
}

/// Gives the row of a split at that place as the encoders take it: with a photo and a title where its features are of both.
pub type Prepare<'a> = dyn Fn(usize) -> Result<Prepared, Box<dyn Error + Send + Sync>> + Sync + 'a;

/// Some labelled rows, by the features the encoders gave before they were tuned and by what these were made of.
#[derive(Clone, Copy)]
pub struct TuneSplit<'a> {
    /// The rows.
    pub samples: &'a [Sample<'a>],
    /// Asked for a row whenever its photo is needed: with [`TunedLayers::All`] once a pass.
    pub prepare: &'a Prepare<'a>,
}

/// What a tuning works with.
#[derive(Clone, Copy, Debug)]
pub struct TuneSetting<'a> {
    /// The classes.
    pub classes: &'a ClassNames,
    /// The encoders as they are.
    pub encoders: &'a EncoderPair,
    /// Their weights.
    pub files: &'a EncoderFiles,
    /// ONNX Runtime.
    pub runtime: &'a Runtime,
    /// How the head was trained.
    pub trainer: &'a TrainerConfig,
    /// How the encoders are tuned.
    pub tune: &'a TuneConfig,
    /// How many threads are used; more than four bring nothing.
    pub threads: usize,
}

/// What came of a tuning.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The head of the best epoch, with its temperature; the one it began with where no epoch was better.
    pub head: Head,
    /// The encoders of the best epoch; `None` where no epoch answered the eval rows better than the encoders as they were.
    pub encoders: Option<TunedEncoders>,
    /// How the temperature was fitted.
    pub calibration: Option<Calibration>,
    /// Whether it was stopped before its time. It goes on when it is called again with the same checkpoint.
    pub stopped: bool,
    /// The eval loss before it, as in [`Epoch::eval_loss`].
    pub eval_loss_before: Option<f64>,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch the encoders are from, counted from 0.
    pub best_epoch: Option<usize>,
    /// The largest difference between a feature by burn and by ONNX Runtime, before: see [`Tuned::difference_after`].
    pub difference_before: f32,
    /// The same of the exported encoders; 0 where there are none. Over 1 and the feature's magnitude, on a few rows.
    pub difference_after: f32,
}

/// Why nothing was tuned.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The training itself failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An encoder whose graph this program has not made.
    #[error("the {0} comes as an ONNX file, and only encoders that are built from weights can be tuned")]
    Foreign(&'static str),
    /// A graph that cannot be calculated.
    #[error("the {encoder} cannot be tuned: {reason}")]
    Graph {
        /// Which encoder.
        encoder: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A row could not be prepared.
    #[error("row {row} of the {split} split cannot be read")]
    Row {
        /// Which rows: `train` or `eval`.
        split: &'static str,
        /// The row's place among them, counted from 0.
        row: usize,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row has features of what it has not itself.
    #[error("row {row} of the {split} split has features of a {part} and no {part}")]
    Missing {
        /// Which rows: `train` or `eval`.
        split: &'static str,
        /// The row's place among them, counted from 0.
        row: usize,
        /// `photo` or `title`.
        part: &'static str,
    },
    /// The encoder gives other features than those it is said to give, or than it gave before it was written down.
    #[error("the {encoder} and its ONNX graph differ by {difference} in a feature")]
    Differs {
        /// Which encoder.
        encoder: &'static str,
        /// By how much, over 1 and the feature's magnitude.
        difference: f32,
    },
    /// The weights are not usable.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// ONNX Runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A larger difference is none of rounding.
const DIFFERENCE_MAX: f32 = 1e-3;

/// Tunes the encoders with a head that [`super::train_head`] gave for the same rows and settings. The outcome answers the eval
/// rows better than before, or is what it was.
///
/// # Errors
/// [`TuneError`].
pub fn tune_encoders(
    trained: &Trained,
    [train, eval]: [TuneSplit<'_>; 2],
    setting: &TuneSetting<'_>,
    control: &Control<'_>,
) -> Result<Tuned, TuneError> {
    let TuneSetting { classes, encoders, trainer, tune, .. } = *setting;
    let lanes = Lanes::new(setting.threads);
    let towers = Towers::build(setting)?;
    let rows = Rows::measure(train.samples, classes, encoders, trainer)?;
    let inputs = Inputs::gather(&towers, [train, eval], setting, control.progress)?;
    let (network, head) = Network::of(&trained.head);
    let parameters = [towers.image.program.parameters(), towers.text.program.parameters(), head].concat();
    let mut learner =
        TuneLearner { towers: &towers, network, rows: &rows, inputs: &inputs, lanes: &lanes, trainer, tune, control };
    let difference_before = learner.difference(&parameters)?;

    let before = learner.judge(&parameters)?.map(|(loss, _)| loss);
    let mut state = State::new(parameters, ChaCha8Rng::seed_from_u64(trainer.seed));
    let kept = control.checkpoints.map(|kept| (kept, identity(&rows, [train, eval], setting)));
    state.resume(kept);
    control.progress.start("tuning the encoders", Some((tune.epochs_max * train.samples.len()) as u64));
    control.progress.advance((state.epochs.len() * train.samples.len()) as u64);
    let patience = (!eval.samples.is_empty()).then_some(trainer.patience);
    let stopped = state.run(&mut learner, &Course { epochs_max: tune.epochs_max, patience }, control, kept)?;
    control.progress.finish();

    let (epochs, best) = (state.epochs, state.best);
    let better = best.filter(|best| before.is_none_or(|before| best.loss < before));
    let mut tuned = Tuned {
        head: trained.head.clone(),
        encoders: None,
        calibration: trained.calibration,
        stopped,
        eval_loss_before: before,
        epochs,
        best_epoch: better.as_ref().map(|best| best.epoch),
        difference_before,
        difference_after: 0.0,
    };
    if let Some(best) = better {
        learner.export(&best.parameters, setting, &mut tuned)?;
    }
    Ok(tuned)
}

/// What tells a tuning from others: as for a head, and the encoders and how they are tuned.
fn identity(rows: &Rows, [train, eval]: [TuneSplit<'_>; 2], setting: &TuneSetting<'_>) -> ContentHash {
    let mut hasher = ContentHasher::new();
    hasher.part("tuning").part(checkpoint::identity(rows, [train.samples, eval.samples], setting.trainer).as_bytes());
    // The settings are numbers and names, which have a JSON form.
    hasher.part(serde_json::to_vec(setting.tune).unwrap_or_default());
    hasher.part(setting.encoders.image_hash().as_bytes()).part(setting.encoders.text_hash().as_bytes()).finish()
}
