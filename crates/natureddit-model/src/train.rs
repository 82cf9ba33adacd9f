//! Training of the fusion head on cached features: weighted softmax regression, AdamW, cosine schedule, modality
//! dropout, early stopping on the eval split. Everything random comes from one seed.

use std::time::{Duration, Instant};

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use natureddit_core::{Class, ClassNames, Progress};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::encoder::{EncoderPair, Features};
use crate::head::{Head, Standard};

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
    /// Mean loss over the eval rows; `None` when there are none.
    pub eval_loss: Option<f64>,
    /// The share of the eval rows that are answered right after the pass; `None` when there are none.
    pub eval_accuracy: Option<f64>,
}

/// A trained head and how it came about.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The head of the best epoch.
    pub head: Head,
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch the head is from, counted from 0.
    pub best_epoch: usize,
    /// When each epoch ended, since training began.
    pub epoch_ends: Vec<Duration>,
}

/// Why there is nothing to train on.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrainError {
    /// A class without a row cannot be learnt.
    #[error("no training row of class {0:?}")]
    ClassMissing(String),
    /// A loss that is not a number: the rate is too high or a feature is not finite.
    #[error("training diverged in epoch {0}")]
    Diverged(usize),
}

#[derive(Module, Debug)]
struct Linear {
    /// [inputs, classes].
    weight: Param<Tensor<2>>,
    /// [1, classes].
    bias: Param<Tensor<2>>,
}

impl Linear {
    /// Zeros: the loss is convex, so any start ends alike, and this one needs no seed.
    fn zeros(inputs: usize, classes: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([inputs, classes], device)),
            bias: Param::from_tensor(Tensor::zeros([1, classes], device)),
        }
    }

    /// Weighted mean cross-entropy, and the scores it comes from: [rows, classes].
    fn loss(&self, batch: &Batch, device: &Device) -> (Tensor<1>, Tensor<2>) {
        let rows = batch.weights.len();
        let classes = self.bias.dims()[1];
        let inputs =
            Tensor::<2>::from_data(TensorData::new(batch.inputs.clone(), [rows, batch.inputs.len() / rows]), device);
        let targets = Tensor::<2>::from_data(TensorData::new(batch.targets.clone(), [rows, classes]), device);
        let scores = inputs.matmul(self.weight.val()) + self.bias.val();
        // A target row holds the row's weight at its class, so the sum is already weighted.
        let total: f32 = batch.weights.iter().sum();
        ((log_softmax(scores.clone(), 1) * targets).sum().neg() / total, scores)
    }

    /// Loss and accuracy on rows that are not learnt from.
    fn judge(&self, batch: &Batch, device: &Device) -> (f64, f64) {
        let (loss, scores) = self.loss(batch, device);
        (f64::from(floats(loss)[0]), batch.right(scores) as f64 / batch.classes.len() as f64)
    }

    fn head(&self, image: &Standard, text: &Standard) -> Head {
        let [inputs, classes] = self.weight.dims();
        let columns = floats(self.weight.val());
        let weight = (0..classes).flat_map(|class| (0..inputs).map(move |input| (class, input)));
        let weight = weight.map(|(class, input)| columns[input * classes + class]).collect();
        Head { image: image.clone(), text: text.clone(), weight, bias: floats(self.bias.val()) }
    }
}

/// Rows as the linear layer takes them.
struct Batch {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    classes: Vec<Class>,
}

impl Batch {
    /// How many rows have their highest score at their class.
    fn right(&self, scores: Tensor<2>) -> usize {
        let width = self.targets.len() / self.classes.len().max(1);
        let scores = floats(scores);
        let rows = scores.chunks_exact(width.max(1)).zip(&self.classes);
        rows.filter(|(scores, class)| best(scores) == class.0).count()
    }
}

/// Trains a head for `classes` over the features of `encoders`.
///
/// # Errors
/// [`TrainError::ClassMissing`] when a class has no training row; [`TrainError::Diverged`] when the loss stops being
/// a number.
pub fn train_head(
    train: &[Sample<'_>],
    eval: &[Sample<'_>],
    classes: &ClassNames,
    encoders: &EncoderPair,
    config: &TrainerConfig,
    progress: &Progress,
) -> Result<Trained, TrainError> {
    let class_weights = class_weights(train, classes, config.class_weights)?;
    let image = Standard::measure(train.iter().filter_map(|s| s.features.image.as_deref()), encoders.image.features);
    let text = Standard::measure(train.iter().filter_map(|s| s.features.text.as_deref()), encoders.text.features);
    let rows = Rows { image: &image, text: &text, class_weights: &class_weights };

    let device = Device::default().autodiff();
    let mut model = Linear::zeros(Head::inputs(&image, &text), classes.len(), &device);
    let mut optimizer: ModuleOptimizer = AdamWConfig::new().with_weight_decay(config.weight_decay).init();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut order: Vec<usize> = (0..train.len()).collect();
    let eval_batch = rows.batch(eval.iter(), &mut None);

    let (mut epochs, mut epoch_ends, began) = (Vec::new(), Vec::new(), Instant::now());
    let mut best: Option<(f64, usize, Head)> = None;
    progress.start("training the head", Some(config.epochs_max as u64));
    for epoch in 0..config.epochs_max {
        let rate = learning_rate(config, epoch);
        order.shuffle(&mut rng);
        let (mut total, mut right) = (0.0, 0);
        for indices in order.chunks(config.batch_size) {
            let dropout = Dropout { image: config.image_dropout, text: config.text_dropout, rng: &mut rng };
            let batch = rows.batch(indices.iter().map(|&i| &train[i]), &mut Some(dropout));
            let (loss, scores) = model.loss(&batch, &device);
            total += f64::from(floats(loss.clone())[0]) * indices.len() as f64;
            right += batch.right(scores);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(rate, model, gradients);
        }
        let judged_by = (!eval.is_empty()).then(|| model.judge(&eval_batch, &device));
        let done = Epoch {
            train_loss: total / train.len() as f64,
            train_accuracy: right as f64 / train.len() as f64,
            eval_loss: judged_by.map(|(loss, _)| loss),
            eval_accuracy: judged_by.map(|(_, accuracy)| accuracy),
        };
        let judged = done.eval_loss.unwrap_or(done.train_loss);
        if !judged.is_finite() {
            return Err(TrainError::Diverged(epoch));
        }
        epochs.push(done);
        epoch_ends.push(began.elapsed());
        progress.advance(1);
        // Without eval rows there is nothing to stop by: the last epoch is the one kept.
        if eval.is_empty() || best.as_ref().is_none_or(|(loss, ..)| judged < *loss) {
            best = Some((judged, epoch, model.head(&image, &text)));
        } else if best.as_ref().is_some_and(|(_, at, _)| epoch - at >= config.patience) {
            break;
        }
    }
    progress.finish();
    let (_, best_epoch, head) = best.ok_or(TrainError::Diverged(0))?;
    Ok(Trained { head, epochs, best_epoch, epoch_ends })
}

/// From the configured rate to zero along half a cosine.
fn learning_rate(config: &TrainerConfig, epoch: usize) -> f64 {
    let done = epoch as f64 / config.epochs_max as f64;
    config.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

/// Rows over (classes times rows of the class), as in scikit-learn's `balanced`; all 1 when switched off.
fn class_weights(train: &[Sample<'_>], classes: &ClassNames, balanced: bool) -> Result<Vec<f32>, TrainError> {
    let mut mass = vec![0.0_f32; classes.len()];
    train.iter().for_each(|sample| mass[sample.class.0] += sample.weight);
    if let Some(class) = classes.classes().find(|class| mass[class.0] <= 0.0) {
        return Err(TrainError::ClassMissing(classes.name(class).to_owned()));
    }
    let total: f32 = mass.iter().sum();
    Ok(mass.iter().map(|m| if balanced { total / (classes.len() as f32 * m) } else { 1.0 }).collect())
}

struct Dropout<'a> {
    image: f64,
    text: f64,
    rng: &'a mut ChaCha8Rng,
}

impl Dropout<'_> {
    /// Hides at most one modality, and only where both are there.
    fn apply<'f>(&mut self, features: &'f Features) -> (Option<&'f [f32]>, Option<&'f [f32]>) {
        let (photo, title) = (features.image.as_deref(), features.text.as_deref());
        let draw: f64 = self.rng.random();
        match (photo, title) {
            (Some(_), Some(_)) if draw < self.image => (None, title),
            (Some(_), Some(_)) if draw < self.image + self.text => (photo, None),
            both => both,
        }
    }
}

struct Rows<'a> {
    image: &'a Standard,
    text: &'a Standard,
    class_weights: &'a [f32],
}

impl Rows<'_> {
    fn batch<'s>(&self, samples: impl Iterator<Item = &'s Sample<'s>>, dropout: &mut Option<Dropout<'_>>) -> Batch {
        let mut batch = Batch { inputs: Vec::new(), targets: Vec::new(), weights: Vec::new(), classes: Vec::new() };
        for sample in samples {
            let (photo, title) = match dropout {
                Some(dropout) => dropout.apply(sample.features),
                None => (sample.features.image.as_deref(), sample.features.text.as_deref()),
            };
            batch.inputs.extend(Head::row(self.image, self.text, photo, title));
            let weight = sample.weight * self.class_weights[sample.class.0];
            let start = batch.targets.len();
            batch.targets.resize(start + self.class_weights.len(), 0.0);
            batch.targets[start + sample.class.0] = weight;
            batch.weights.push(weight);
            batch.classes.push(sample.class);
        }
        batch
    }
}

/// Where the highest score is; of equal ones the first, as an answer has it.
fn best(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}

/// The values of a tensor, row-major.
fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
