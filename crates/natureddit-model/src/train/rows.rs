//! Rows as the network takes them: standardised, some of them with a part hidden.

use natureddit_core::ClassNames;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{HeadKind, Sample, TrainError, TrainerConfig};
use crate::encoder::{EncoderPair, Features};
use crate::head::{Head, Standard};

/// Some rows.
#[derive(Default)]
pub(super) struct Batch {
    /// [rows, inputs], row-major.
    pub(super) inputs: Vec<f32>,
    /// [rows, classes]: how much of each row's weight is at each class.
    pub(super) targets: Vec<f32>,
    /// The place of each row's class.
    pub(super) classes: Vec<usize>,
    /// The sum of the rows' weights.
    pub(super) weight: f64,
}

/// The eval rows, each whole at its class.
#[derive(Default)]
pub(super) struct Watched {
    /// As they are.
    pub(super) whole: Batch,
    /// Those with a photo and a title once more with either alone; the weights are as often as training hides the other.
    pub(super) hidden: Batch,
}

/// How rows become numbers; measured on the training rows.
pub(super) struct Rows {
    pub(super) image: Standard,
    pub(super) text: Standard,
    /// What a row of each class counts beside its own weight.
    pub(super) class_weights: Vec<f32>,
}

impl Rows {
    pub(super) fn measure(
        train: &[Sample<'_>],
        classes: &ClassNames,
        encoders: &EncoderPair,
        config: &TrainerConfig,
    ) -> Result<Self, TrainError> {
        let class_weights = class_weights(train, classes, config.class_weights)?;
        let photos = train.iter().filter_map(|sample| sample.features.image.as_deref());
        let titles = train.iter().filter_map(|sample| sample.features.text.as_deref());
        let image = Standard::measure(photos, encoders.image.features);
        Ok(Self { image, text: Standard::measure(titles, encoders.text.features), class_weights })
    }

    /// How many numbers a row has.
    pub(super) fn inputs(&self) -> usize {
        Head::inputs(&self.image, &self.text)
    }

    /// The rows that are watched. What is learnt is to answer posts with a part hidden as well, and a head that answers whole
    /// ones best may not yet, or no longer, answer the others well.
    pub(super) fn watched(&self, samples: &[Sample<'_>], config: &TrainerConfig) -> Watched {
        let mut watched = Watched::default();
        let (title_alone, photo_alone) = (config.image_dropout as f32, config.text_dropout as f32);
        for sample in samples {
            let (photo, title) = (sample.features.image.as_deref(), sample.features.text.as_deref());
            let push = |batch: &mut Batch, part, share: f32| {
                if share > 0.0 {
                    self.push(batch, &Sample { weight: sample.weight * share, ..*sample }, part, 0.0);
                }
            };
            if photo.is_none() || title.is_none() {
                push(&mut watched.whole, (photo, title), 1.0);
                continue;
            }
            push(&mut watched.whole, (photo, title), 1.0 - title_alone - photo_alone);
            push(&mut watched.hidden, (None, title), title_alone);
            push(&mut watched.hidden, (photo, None), photo_alone);
        }
        watched
    }

    /// The rows as they are learnt from: with parts hidden, inputs dropped, labels smoothed.
    pub(super) fn noisy<'s>(
        &self,
        samples: impl ExactSizeIterator<Item = &'s Sample<'s>>,
        config: &TrainerConfig,
        rng: &mut ChaCha8Rng,
    ) -> Batch {
        let mut batch = Batch::default();
        batch.inputs.reserve_exact(samples.len() * self.inputs());
        for sample in samples {
            self.push(&mut batch, sample, hide(sample.features, config, rng), config.label_smoothing as f32);
            if let HeadKind::Mlp { dropout, .. } = config.head {
                self.drop_inputs(&mut batch, dropout, rng);
            }
        }
        batch
    }

    fn push(&self, batch: &mut Batch, sample: &Sample<'_>, part: (Option<&[f32]>, Option<&[f32]>), smoothing: f32) {
        let (start, inputs) = (batch.inputs.len(), self.inputs());
        batch.inputs.resize(start + inputs, 0.0);
        Head::fill_row((&self.image, &self.text), part.0, part.1, &mut batch.inputs[start..]);

        batch.weight += f64::from(self.push_target(&mut batch.targets, sample, smoothing));
        batch.classes.push(sample.class.0);
    }

    /// Adds how much of a row's weight is at each class, and gives the weight.
    pub(super) fn push_target(&self, targets: &mut Vec<f32>, sample: &Sample<'_>, smoothing: f32) -> f32 {
        let (start, classes) = (targets.len(), self.class_weights.len());
        let weight = sample.weight * self.class_weights[sample.class.0];
        targets.resize(start + classes, weight * smoothing / classes as f32);
        targets[start + sample.class.0] += weight * (1.0 - smoothing);
        weight
    }

    /// Drops inputs of the last row. The flags of what is missing stay.
    fn drop_inputs(&self, batch: &mut Batch, share: f64, rng: &mut ChaCha8Rng) {
        let start = batch.inputs.len() - self.inputs();
        let values = &mut batch.inputs[start..];
        let flags = values.len() - 2;
        values[..flags].iter_mut().zip(dropped(share, rng)).for_each(|(value, factor)| *value *= factor);
    }
}

/// What inputs are multiplied by: a share of them by zero and the others by so much more that their sum is the same in the mean
/// (Srivastava et al. 2014, <https://jmlr.org/papers/v15/srivastava14a.html>).
pub(super) fn dropped(share: f64, rng: &mut ChaCha8Rng) -> impl Iterator<Item = f32> {
    let (scale, limit) = ((1.0 / (1.0 - share)) as f32, (share * f64::from(u32::MAX)) as u32);
    std::iter::repeat_with(move || match share > 0.0 {
        true if rng.random::<u32>() < limit => 0.0,
        true => scale,
        false => 1.0,
    })
}

/// Hides at most one modality, and only where both are there.
pub(super) fn hide<'f>(
    features: &'f Features,
    config: &TrainerConfig,
    rng: &mut ChaCha8Rng,
) -> (Option<&'f [f32]>, Option<&'f [f32]>) {
    let (photo, title) = (features.image.as_deref(), features.text.as_deref());
    let draw: f64 = rng.random();
    match (photo, title) {
        (Some(_), Some(_)) if draw < config.image_dropout => (None, title),
        (Some(_), Some(_)) if draw < config.image_dropout + config.text_dropout => (photo, None),
        both => both,
    }
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
