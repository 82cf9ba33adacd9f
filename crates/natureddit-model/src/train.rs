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
mod tune;

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
pub use tune::{
    Prepare, TuneConfig, TuneError, TuneSetting, TuneSplit, Tuned, TunedEncoders, TunedLayers, tune_encoders,
};

use crate::encoder::{EncoderPair, Features, NotFinite};
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
    parameters: Vec<Vec<f32>>,
    optimizer: AdamW,
    rng: ChaCha8Rng,
    epochs: Vec<Epoch>,
    epoch_ends: Vec<Duration>,
    best: Option<Best>,
}

/// What is trained: how its parameters, which the state has, change and are judged.
trait Learner {
    type Error: From<TrainError>;

    /// Learns from each training row once; `None` where it was stopped on the way. Nothing of the state but `epochs` and
    /// `best` is of use then.
    fn pass(&mut self, state: &mut State) -> Result<Option<Pass>, Self::Error>;

    /// The mean loss over the eval rows and the share that is answered right; `None` where there are none.
    fn judge(&mut self, parameters: &[Vec<f32>]) -> Result<Option<(f64, f64)>, Self::Error>;
}

/// What a pass over the training rows gives.
struct Pass {
    /// The mean over the rows.
    loss: f64,
    /// The share of the rows that were answered right.
    accuracy: f64,
    /// What is judged and kept.
    parameters: Vec<Vec<f32>>,
}

/// How long a training goes on.
struct Course {
    epochs_max: usize,
    /// Passes without a better eval loss before it stops; `None` where no eval rows tell.
    patience: Option<usize>,
}

/// Where a training is kept, and what tells it from others.
type Kept<'a> = Option<(&'a Checkpoints, ContentHash)>;

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
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let (network, parameters) = Network::new(config.head, rows.inputs(), classes.len(), &mut rng);
    let watched = rows.watched(eval, config);
    let mut learner = HeadLearner { network, train, eval, rows: &rows, watched, config, progress: control.progress };
    let mut state = State::new(parameters, rng);
    let kept = control.checkpoints.map(|kept| (kept, checkpoint::identity(&rows, [train, eval], config)));
    state.resume(kept);
    control.progress.start("training the head", Some(config.epochs_max as u64));
    control.progress.advance(state.epochs.len() as u64);
    let course = Course { epochs_max: config.epochs_max, patience: (!eval.is_empty()).then_some(config.patience) };
    let stopped = state.run(&mut learner, &course, control, kept)?;
    control.progress.finish();
    let State { epochs, epoch_ends, best, .. } = state;
    let Some(best) = best else { return Err(TrainError::Diverged(0)) };
    let mut head = learner.network.head(&best.parameters, &rows);
    let calibration = temperature::calibrate(&head, eval);
    head.temperature = calibration.map_or(1.0, |fitted| fitted.temperature);
    Ok(Trained { head, calibration, stopped, epochs, best_epoch: best.epoch, epoch_ends })
}

fn check_finite(split: &'static str, samples: &[Sample<'_>]) -> Result<(), TrainError> {
    for (row, Sample { features, .. }) in samples.iter().enumerate() {
        features.check_finite().map_err(|NotFinite(part)| TrainError::NotFinite { split, row, part })?;
    }
    Ok(())
}

impl State {
    fn new(parameters: Vec<Vec<f32>>, rng: ChaCha8Rng) -> Self {
        let optimizer = AdamW::new(&parameters);
        Self { parameters, optimizer, rng, epochs: Vec::new(), epoch_ends: Vec::new(), best: None }
    }

    /// Goes to where the checkpoint of the same training left off, if there is one.
    fn resume(&mut self, kept: Kept<'_>) {
        if let Some((checkpoints, training)) = kept {
            checkpoints.resume(training, self);
        }
    }

    /// Trains until it is over, and says whether it was stopped before.
    fn run<L: Learner>(
        &mut self,
        learner: &mut L,
        course: &Course,
        control: &Control<'_>,
        kept: Kept<'_>,
    ) -> Result<bool, L::Error> {
        let (before, began) = (self.epoch_ends.last().copied().unwrap_or_default(), Instant::now());
        let (mut stopped, mut reason) = (false, checkpoint::Reason::default());
        while !stopped && !self.is_over(course) {
            let whole = self.epoch(learner, course)?;
            if whole {
                self.epoch_ends.push(before + began.elapsed());
            }
            stopped = !whole || (control.is_stopped() && !self.is_over(course));
            if let Some((checkpoints, training)) = kept.filter(|_| whole)
                && (stopped || self.epochs.len().is_multiple_of(checkpoints.every_epochs.max(1)))
                && let Err(error) = checkpoints.write(training, self)
                && let Some(error) = reason.news(&error)
            {
                tracing::warn!(error, "the training is not kept, and would begin anew if it were interrupted");
            }
        }
        if let Some((checkpoints, _)) = kept.filter(|_| !stopped)
            && let Err(error) = checkpoints.remove()
        {
            let error = checkpoint::with_causes(&error);
            tracing::warn!(error, "the checkpoint of a training that has ended stays");
        }
        Ok(stopped)
    }

    /// Whether all epochs were run, or the eval rows have been answered no better for long enough.
    fn is_over(&self, course: &Course) -> bool {
        let done = self.epochs.len();
        let waited = self.best.as_ref().map_or(0, |best| done - 1 - best.epoch);
        done >= course.epochs_max || course.patience.is_some_and(|patience| waited >= patience)
    }

    /// One pass over the training rows, and one over the eval rows; `false` where it was stopped on the way.
    fn epoch<L: Learner>(&mut self, learner: &mut L, course: &Course) -> Result<bool, L::Error> {
        let epoch = self.epochs.len();
        let Some(Pass { loss: train_loss, accuracy: train_accuracy, parameters }) = learner.pass(self)? else {
            return Ok(false);
        };
        let judged = learner.judge(&parameters)?;
        let (eval_loss, eval_accuracy) = judged.unzip();
        let loss = eval_loss.unwrap_or(train_loss);
        if !loss.is_finite() {
            return Err(TrainError::Diverged(epoch).into());
        }
        self.epochs.push(Epoch { train_loss, train_accuracy, eval_loss, eval_accuracy });
        // Without eval rows there is nothing to choose by: the last epoch is the one kept.
        if course.patience.is_none() || self.best.as_ref().is_none_or(|best| loss < best.loss) {
            self.best = Some(Best { epoch, loss, parameters });
        }
        Ok(true)
    }
}

/// Trains a head on features.
struct HeadLearner<'a> {
    network: Network,
    train: &'a [Sample<'a>],
    eval: &'a [Sample<'a>],
    rows: &'a Rows,
    watched: Watched,
    config: &'a TrainerConfig,
    progress: &'a Progress,
}

impl Learner for HeadLearner<'_> {
    type Error = TrainError;

    fn pass(&mut self, state: &mut State) -> Result<Option<Pass>, TrainError> {
        let device = Device::default().autodiff();
        let Self { network, train, rows, config, .. } = self;
        let rate = learning_rate(config.learning_rate, state.epochs.len(), config.epochs_max) as f32;
        let State { parameters, optimizer, rng, .. } = state;
        let order = shuffled(train.len(), rng);
        let (mut loss, mut right) = (0.0, 0);
        let prepare = |places: &[usize]| rows.noisy(places.iter().map(|&at| &train[at]), config, rng);
        let mut mean = network::Mean::default();
        in_advance(order.chunks(config.batch_size), prepare, |batch| {
            let rows = batch.classes.len() as f64;
            let (outcome, gradients) = network.learn(parameters, batch, &device);
            loss += outcome.loss * rows;
            right += outcome.right;
            optimizer.step(parameters, &gradients, rate, config.weight_decay);
            mean.add(parameters);
        });
        self.progress.advance(1);
        let rows = train.len() as f64;
        Ok(Some(Pass { loss: loss / rows, accuracy: right as f64 / rows, parameters: mean.parameters() }))
    }

    fn judge(&mut self, parameters: &[Vec<f32>]) -> Result<Option<(f64, f64)>, TrainError> {
        Ok(self.network.judge_watched(parameters, &self.watched, self.eval.len()))
    }
}

/// The places of so many rows in a random order. Anew from the rows' own order, so that a checkpoint need not keep the last one.
fn shuffled(rows: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(rng);
    order
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
fn learning_rate(begin: f64, epoch: usize, epochs_max: usize) -> f64 {
    let done = epoch as f64 / epochs_max as f64;
    begin * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}
