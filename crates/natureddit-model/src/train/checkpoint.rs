//! A training on disk, so that one that was interrupted goes on where it was and ends as if it had not been.

use std::path::PathBuf;
use std::time::Duration;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, ContentHasher};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::adam_w::AdamW;
use super::rows::Rows;
use super::{Epoch, Sample, State, TrainerConfig};
use crate::weights::{Tensor, Tensors, WeightsError, read_described, write_described};

/// Raised when a checkpoint of before cannot be gone on from: other steps, or another form.
const VERSION: u32 = 3;

/// Where a training is kept while it lasts.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The file. It is removed when the training has ended.
    pub path: PathBuf,
    /// It is written after every so many epochs, and when the training is stopped.
    pub every_epochs: usize,
}

/// What a checkpoint holds besides parameters.
#[derive(Serialize, Deserialize)]
struct Record {
    training: ContentHash,
    steps: i32,
    seed: [u8; 32],
    /// How many 32-bit words were drawn; as text, since JSON has no number of 128 bits.
    drawn: String,
    epochs: Vec<Epoch>,
    epoch_ends: Vec<Duration>,
    best_epoch: usize,
    best_loss: f64,
}

const LISTS: [&str; 4] = ["parameter", "first_moment", "second_moment", "best"];

impl Checkpoints {
    /// Writes the state between two epochs.
    pub(super) fn write(&self, training: ContentHash, state: &State) -> Result<(), WeightsError> {
        let State { parameters, optimizer, rng, epochs, epoch_ends, best } = state;
        let Some(best) = best else { return Ok(()) };
        let lists = [parameters, &optimizer.first, &optimizer.second, &best.parameters];
        let mut tensors = Tensors::new();
        for (name, list) in LISTS.into_iter().zip(lists) {
            let flat = |values: &Vec<f32>| Tensor { shape: vec![values.len()], data: values.clone() };
            tensors.extend(list.iter().enumerate().map(|(at, values)| (format!("{name}.{at}"), flat(values))));
        }
        let record = Record {
            training,
            steps: optimizer.steps,
            seed: rng.get_seed(),
            drawn: rng.get_word_pos().to_string(),
            epochs: epochs.clone(),
            epoch_ends: epoch_ends.clone(),
            best_epoch: best.epoch,
            best_loss: best.loss,
        };
        let record = serde_json::to_string(&record).map_err(|error| self.unusable(error.to_string()))?;
        let content = content_of(&record, &tensors);
        write_described(&self.path, &tensors, &format!("{content}\n{record}"))
    }

    /// Puts `state`, one before the first epoch, to where the checkpoint of the same training left off. What is there and
    /// is none is left to be written over: it can only save time.
    pub(super) fn resume(&self, training: ContentHash, state: &mut State) {
        match self.read(training, state) {
            Ok(true) => tracing::info!(epochs = state.epochs.len(), "the training goes on from its checkpoint"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "the checkpoint is not used, and training begins anew");
            }
        }
    }

    fn read(&self, training: ContentHash, state: &mut State) -> Result<bool, WeightsError> {
        let found = match read_described(&self.path) {
            Err(WeightsError::File(error)) if error.is_not_found() => return Ok(false),
            found => found?,
        };
        let (mut tensors, description) = found;
        let (content, record) = description.split_once('\n').unwrap_or_default();
        if content != content_of(record, &tensors).to_string() {
            return Err(self.unusable("its content is not what was written".to_owned()));
        }
        let record: Record = serde_json::from_str(record).map_err(|error| self.unusable(error.to_string()))?;
        if record.training != training {
            tracing::info!("the checkpoint is of other rows or settings, and training begins anew");
            return Ok(false);
        }
        let lists = LISTS.map(|name| take_list(&mut tensors, name));
        let sizes = |list: &[Vec<f32>]| list.iter().map(Vec::len).collect::<Vec<_>>();
        if lists.iter().any(|list| sizes(list) != sizes(&state.parameters)) {
            return Err(self.unusable("its parameters are not those of the network".to_owned()));
        }
        let drawn = record.drawn.parse().map_err(|_| self.unusable(format!("{:?} is no position", record.drawn)))?;
        let [parameters, first, second, best] = lists;
        state.parameters = parameters;
        state.optimizer = AdamW { steps: record.steps, first, second };
        state.rng = ChaCha8Rng::from_seed(record.seed);
        state.rng.set_word_pos(drawn);
        state.best = Some(super::Best { epoch: record.best_epoch, loss: record.best_loss, parameters: best });
        (state.epochs, state.epoch_ends) = (record.epochs, record.epoch_ends);
        Ok(true)
    }

    /// Removes the file of a training that has ended.
    pub(super) fn remove(&self) -> Result<(), FsError> {
        fs::optional(fs::remove_file(&self.path)).map(|_| ())
    }

    fn unusable(&self, reason: String) -> WeightsError {
        WeightsError::Format { path: self.path.clone(), reason }
    }
}

/// Why a training is not kept, as it was told last.
#[derive(Default)]
pub(super) struct Reason(Option<String>);

impl Reason {
    /// The error with its causes; `None` where it was told, for a full disk is full after every epoch.
    pub(super) fn news(&mut self, error: &WeightsError) -> Option<String> {
        let told = with_causes(error);
        (self.0.as_ref() != Some(&told)).then(|| self.0.insert(told).clone())
    }
}

/// An error and all that led to it, on one line.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a checkpoint says of its own content, for numbers that a disk has changed are numbers still.
fn content_of(record: &str, tensors: &Tensors) -> ContentHash {
    let mut hasher = ContentHasher::new();
    hasher.part(record);
    for (name, tensor) in tensors {
        hasher.part(name).part(bytes(&tensor.data));
    }
    hasher.finish()
}

fn take_list(tensors: &mut Tensors, name: &str) -> Vec<Vec<f32>> {
    (0..).map_while(|at| tensors.remove(&format!("{name}.{at}"))).map(|tensor| tensor.data).collect()
}

/// What tells a training from others: its settings, and its rows by their classes, weights and first features, and by mean
/// and deviation of every feature.
pub(super) fn identity(rows: &Rows, splits: [&[Sample<'_>]; 2], config: &TrainerConfig) -> ContentHash {
    let mut hasher = ContentHasher::new();
    // The settings are numbers and names, which have a JSON form.
    hasher.part(VERSION.to_le_bytes()).part(serde_json::to_vec(config).unwrap_or_default());
    for numbers in [&rows.image.mean, &rows.image.deviation, &rows.text.mean, &rows.text.deviation, &rows.class_weights]
    {
        hasher.part(bytes(numbers));
    }
    for split in splits {
        let row = |sample: &Sample<'_>| {
            let first =
                |part: &Option<Vec<f32>>| part.as_ref().and_then(|part| part.first()).copied().unwrap_or(f32::NAN);
            [sample.class.0 as f32, sample.weight, first(&sample.features.image), first(&sample.features.text)]
        };
        hasher.part(bytes(&split.iter().flat_map(row).collect::<Vec<_>>()));
    }
    hasher.finish()
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
