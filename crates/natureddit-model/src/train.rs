//! Training of the fusion head on cached features: softmax regression or one hidden layer, AdamW, cosine schedule, modality
//! dropout, early stopping and a temperature by the eval split. Everything random comes from one seed, and the number of
//! threads changes no bit of the outcome.

mod adam_w;
mod checkpoint;
mod network;
mod rows;
mod temperature;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use natureddit_core::{Class, ClassNames, ContentHash, Progress};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use checkpoint::Checkpoints;
pub use temperature::{CALIBRATION_ROWS_MIN, Calibration};

use crate::encoder::{EncoderPair, Features};
use crate::head::Head;
use adam_w::AdamW;
use network::Network;
use rows::{Rows, Watched};

/// Which layers a head has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One: softmax regression.
    #[default]
    Linear,
    /// Two, with dropout before them and rectified units between.
    Mlp {
        /// How many hidden units.
        hidden: usize,
        /// The share of inputs that is set to zero in training.
        dropout: f64,
    },
}

/// How the head is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainerConfig {
    /// The most passes over the training rows.
    pub epochs_max: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// AdamW's rate at the start; a cosine takes it to zero at `epochs_max`.
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f32,
    /// The share of rows with both whose photo is hidden.
    pub image_dropout: f64,
    /// The share of rows with both whose title is hidden.
    pub text_dropout: f64,
    /// How much of each row's weight is spread evenly over all classes (Szegedy et al. 2016,
    /// <https://arxiv.org/abs/1512.00567>, section 7); 0 for none. Eval losses are taken without it.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Which layers the head has.
    #[serde(default)]
    pub head: HeadKind,
    /// Rows count by the inverse frequency of their class.
    pub class_weights: bool,
    /// Passes without a better eval loss before training stops.
    pub patience: usize,
    /// The seed of shuffling and dropout.
    pub seed: u64,
}

/// A labelled row.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// What the encoders say of it.
    pub features: &'a Features,
    /// What it shows.
    pub class: Class,
    /// How much it counts; 1 for an ordinary row.
    pub weight: f32,
}

/// One pass over the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss over the training rows, with dropout.
    pub train_loss: f64,
    /// The share of the training rows that were answered right, each as the pass saw it: with dropout, and before the step
    /// that learnt from it. All rows count alike.
    pub train_accuracy: f64,
    /// Mean loss over the eval rows, whole and with parts hidden as often as in training; `None` when there are none.
    pub eval_loss: Option<f64>,
    /// The share of the eval rows that are answered right after the pass, with nothing hidden; `None` when there are none.
    pub eval_accuracy: Option<f64>,
}

/// A trained head and how it came about.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The head of the best epoch, with its temperature.
    pub head: Head,
    /// How the temperature was fitted; `None` with fewer eval rows than [`CALIBRATION_ROWS_MIN`], and it is 1 then.
    pub calibration: Option<Calibration>,
    /// Whether training was stopped before its time. It goes on when it is called again with the same checkpoint.
    pub stopped: bool,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch the head is from, counted from 0.
    pub best_epoch: usize,
    /// When each epoch ended, since training began.
    pub epoch_ends: Vec<Duration>,
}

/// Why nothing was learnt.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrainError {
    /// A class without a row cannot be learnt.
    #[error("no training row of class {0:?}")]
    ClassMissing(String),
    /// A feature that is no number is of a broken encoder or file. The row is not left out in silence: where one is broken
    /// others may be.
    #[error("the {part} features of row {row} of the {split} split are not all finite numbers")]
    NotFinite {
        /// Which rows: `train` or `eval`.
        split: &'static str,
        /// The row's place among them, counted from 0.
        row: usize,
        /// Which features: `photo` or `title`.
        part: &'static str,
    },
    /// A loss that is not a number: the rate is too high.
    #[error("training diverged in epoch {0}")]
    Diverged(usize),
}

/// Who watches a training, and may stop it.
#[derive(Clone, Copy, Debug)]
pub struct Control<'a> {
    /// Is told of every epoch.
    pub progress: &'a Progress,
    /// Once it is set, training ends after the epoch under way, and what was best so far is returned.
    pub stop: Option<&'a AtomicBool>,
    /// Where training is kept while it lasts.
    pub checkpoints: Option<&'a Checkpoints>,
}

impl<'a> Control<'a> {
    /// Nobody stops it, and nothing is kept.
    #[must_use]
    pub fn new(progress: &'a Progress) -> Self {
        Self { progress, stop: None, checkpoints: None }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// All that a training is between two epochs.
struct State {
    network: Network,
    optimizer: AdamW,
    rng: ChaCha8Rng,
    epochs: Vec<Epoch>,
    epoch_ends: Vec<Duration>,
    best: Option<Best>,
}

/// The parameters of the best epoch.
struct Best {
    epoch: usize,
    loss: f64,
    parameters: Vec<Vec<f32>>,
}

/// Trains a head for `classes` over the features of `encoders`. With the same rows, settings and seed it is the same head to
/// the last bit.
///
/// A class with one row is learnt. Without eval rows the last epoch is the one kept, and no temperature is fitted.
///
/// # Errors
/// [`TrainError::ClassMissing`] when a class has no training row; [`TrainError::NotFinite`] for a row with a feature that is
/// no number or infinite; [`TrainError::Diverged`] when the loss stops being a number.
pub fn train_head(
    train: &[Sample<'_>],
    eval: &[Sample<'_>],
    classes: &ClassNames,
    encoders: &EncoderPair,
    config: &TrainerConfig,
    control: &Control<'_>,
) -> Result<Trained, TrainError> {
    check_finite("train", train)?;
    check_finite("eval", eval)?;
    let rows = Rows::measure(train, classes, encoders, config)?;
    let mut state = State::new(config, rows.inputs(), classes.len());
    let kept = control.checkpoints.map(|kept| (kept, checkpoint::identity(&rows, [train, eval], config)));
    if let Some((checkpoints, training)) = kept {
        checkpoints.resume(training, &mut state);
    }
    let stopped = state.run(&Splits { train, eval, rows: &rows }, config, control, kept)?;
    let State { mut network, epochs, epoch_ends, best, .. } = state;
    let Some(best) = best else { return Err(TrainError::Diverged(0)) };
    network.parameters = best.parameters;
    let mut head = network.head(&rows);
    let calibration = temperature::calibrate(&head, eval);
    head.temperature = calibration.map_or(1.0, |fitted| fitted.temperature);
    Ok(Trained { head, calibration, stopped, epochs, best_epoch: best.epoch, epoch_ends })
}

fn check_finite(split: &'static str, samples: &[Sample<'_>]) -> Result<(), TrainError> {
    for (row, Sample { features, .. }) in samples.iter().enumerate() {
        let broken = |part: &Option<Vec<f32>>| part.iter().flatten().any(|value| !value.is_finite());
        if let Some((_, part)) =
            [(&features.image, "photo"), (&features.text, "title")].into_iter().find(|p| broken(p.0))
        {
            return Err(TrainError::NotFinite { split, row, part });
        }
    }
    Ok(())
}

/// What is learnt from and what is watched.
struct Splits<'a> {
    train: &'a [Sample<'a>],
    eval: &'a [Sample<'a>],
    rows: &'a Rows,
}

impl State {
    fn new(config: &TrainerConfig, inputs: usize, classes: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let network = Network::new(config.head, inputs, classes, &mut rng);
        let optimizer = AdamW::new(&network.parameters);
        Self { network, optimizer, rng, epochs: Vec::new(), epoch_ends: Vec::new(), best: None }
    }

    /// Trains until it is over, and says whether it was stopped before.
    fn run(
        &mut self,
        splits: &Splits<'_>,
        config: &TrainerConfig,
        control: &Control<'_>,
        kept: Option<(&Checkpoints, ContentHash)>,
    ) -> Result<bool, TrainError> {
        let eval = splits.rows.watched(splits.eval, config);
        let (before, began) = (self.epoch_ends.last().copied().unwrap_or_default(), Instant::now());
        control.progress.start("training the head", Some(config.epochs_max as u64));
        control.progress.advance(self.epochs.len() as u64);
        let mut stopped = false;
        while !stopped && !self.is_over(config, splits) {
            self.epoch(splits, &eval, config)?;
            self.epoch_ends.push(before + began.elapsed());
            control.progress.advance(1);
            stopped = control.is_stopped() && !self.is_over(config, splits);
            if let Some((checkpoints, training)) = kept
                && (stopped || self.epochs.len().is_multiple_of(checkpoints.every_epochs.max(1)))
                && let Err(error) = checkpoints.write(training, self)
            {
                tracing::warn!(%error, "the training is not kept, and would begin anew if it were interrupted");
            }
        }
        if let Some((checkpoints, _)) = kept.filter(|_| !stopped)
            && let Err(error) = checkpoints.remove()
        {
            tracing::warn!(%error, "the checkpoint of a training that has ended stays");
        }
        control.progress.finish();
        Ok(stopped)
    }

    /// Whether all epochs were run, or the eval rows have been answered no better for long enough.
    fn is_over(&self, config: &TrainerConfig, splits: &Splits<'_>) -> bool {
        let done = self.epochs.len();
        let waited = self.best.as_ref().map_or(0, |best| done - 1 - best.epoch);
        done >= config.epochs_max || (!splits.eval.is_empty() && waited >= config.patience)
    }

    /// One pass over the training rows, and one over the eval rows.
    fn epoch(&mut self, splits: &Splits<'_>, eval: &Watched, config: &TrainerConfig) -> Result<(), TrainError> {
        let epoch = self.epochs.len();
        let Pass { loss: train_loss, accuracy: train_accuracy, mean } =
            self.pass(splits, config, learning_rate(config, epoch));
        let judged = (!splits.eval.is_empty()).then(|| {
            let [whole, hidden] = [&eval.whole, &eval.hidden].map(|rows| mean.judge(rows, &Device::default()));
            (whole.loss + hidden.loss, whole.right)
        });
        let done = Epoch {
            train_loss,
            train_accuracy,
            eval_loss: judged.map(|(loss, _)| loss / (eval.whole.weight + eval.hidden.weight)),
            eval_accuracy: judged.map(|(_, right)| right as f64 / splits.eval.len() as f64),
        };
        let loss = done.eval_loss.unwrap_or(train_loss);
        if !loss.is_finite() {
            return Err(TrainError::Diverged(epoch));
        }
        self.epochs.push(done);
        // Without eval rows there is nothing to choose by: the last epoch is the one kept.
        if splits.eval.is_empty() || self.best.as_ref().is_none_or(|best| loss < best.loss) {
            self.best = Some(Best { epoch, loss, parameters: mean.parameters });
        }
        Ok(())
    }

    /// Learns from each training row once.
    fn pass(&mut self, splits: &Splits<'_>, config: &TrainerConfig, rate: f64) -> Pass {
        let device = Device::default().autodiff();
        // Anew from the rows' own order, so that a checkpoint need not keep the last one.
        let mut order: Vec<usize> = (0..splits.train.len()).collect();
        order.shuffle(&mut self.rng);
        let (mut loss, mut right) = (0.0, 0);
        let mut mean = network::Mean::default();
        let Self { network, optimizer, rng, .. } = self;
        let prepare = |places: &[usize]| {
            let samples = places.iter().map(|&at| &splits.train[at]);
            splits.rows.noisy(samples, config, rng)
        };
        in_advance(order.chunks(config.batch_size), prepare, |batch| {
            let rows = batch.classes.len() as f64;
            let (outcome, gradients) = network.learn(batch, &device);
            loss += outcome.loss * rows;
            right += outcome.right;
            optimizer.step(&mut network.parameters, &gradients, rate as f32, config.weight_decay);
            mean.add(network);
        });
        let rows = splits.train.len() as f64;
        Pass { loss: loss / rows, accuracy: right as f64 / rows, mean: mean.of(network) }
    }
}

/// What a pass over the training rows gives.
struct Pass {
    /// The mean over the rows.
    loss: f64,
    /// The share of the rows that were answered right.
    accuracy: f64,
    /// The network with the mean of what its parameters were after each step, which is what is judged and kept: where the last
    /// few rows pull does not show in it (Polyak and Juditsky 1992, <https://doi.org/10.1137/0330046>).
    mean: Network,
}

/// Consumes what is made of each item, in order, while another thread makes what comes next: to gather and standardise rows takes
/// about as long as to learn from them.
fn in_advance<I: Send, T: Send>(
    items: impl Iterator<Item = I> + Send,
    make: impl FnMut(I) -> T + Send,
    consume: impl FnMut(T),
) {
    let (sender, receiver) = mpsc::sync_channel(MADE_IN_ADVANCE);
    thread::scope(|scope| {
        // The receiver is gone only where its thread panicked.
        scope.spawn(move || items.map(make).try_for_each(|made| sender.send(made)));
        receiver.into_iter().for_each(consume);
    });
}

/// So many batches wait to be learnt from.
const MADE_IN_ADVANCE: usize = 4;

/// From the configured rate to zero along half a cosine.
fn learning_rate(config: &TrainerConfig, epoch: usize) -> f64 {
    let done = epoch as f64 / config.epochs_max as f64;
    config.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}
