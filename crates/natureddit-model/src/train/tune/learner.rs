//! Passes over the rows.

use burn::tensor::{Device, Tensor};
use natureddit_core::Class;
use rand_chacha::ChaCha8Rng;

use super::lanes::{Lanes, SHARES};
use super::loss::{DrawnRow, Model, Parameters, ROWS_AT_ONCE, Sums};
use super::tower::{Inputs, RowInput, Towers};
use super::{DIFFERENCE_MAX, TuneConfig, TuneError};
use crate::encoder::Features;
use crate::train::network::{Network, floats};
use crate::train::rows::{Rows, dropped, hide};
use crate::train::{Control, HeadKind, Learner, Pass, Sample, State, TrainerConfig, learning_rate, shuffled};

pub(super) const TRAIN: usize = 0;
pub(super) const EVAL: usize = 1;

/// Trains the encoders with the head: their parameters are those of the image encoder, the text encoder and the head.
pub(super) struct TuneLearner<'a> {
    pub(super) towers: &'a Towers,
    pub(super) network: Network,
    pub(super) rows: &'a Rows,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) lanes: &'a Lanes,
    pub(super) trainer: &'a TrainerConfig,
    pub(super) tune: &'a TuneConfig,
    pub(super) control: &'a Control<'a>,
}

/// What chance has made of a row.
struct Draw {
    row: usize,
    shows: [bool; 2],
    target: Vec<f32>,
    factors: Vec<f32>,
}

impl Learner for TuneLearner<'_> {
    type Error = TuneError;

    fn pass(&mut self, state: &mut State) -> Result<Option<Pass>, TuneError> {
        let epoch = state.epochs.len();
        let rate = learning_rate(self.tune.learning_rate, epoch, self.tune.epochs_max);
        let order = shuffled(self.samples(TRAIN).len(), &mut state.rng);
        let batches = order.len().div_ceil(self.tune.batch_size);
        let (mut loss, mut right) = (0.0, 0);
        for (at, batch) in order.chunks(self.tune.batch_size).enumerate() {
            if self.control.is_stopped() {
                return Ok(None);
            }
            // Full steps by gradients of few rows would undo at first what the encoders know.
            let warm = if epoch == 0 { (at + 1) as f64 / batches as f64 } else { 1.0 };
            let (sums, weight) = self.sums(batch, state)?;
            let scale = (1.0 / weight) as f32;
            let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * scale).collect();
            let gradients: Vec<Vec<f32>> = sums.gradients.into_iter().map(scaled).collect();
            state.optimizer.step(&mut state.parameters, &gradients, (rate * warm) as f32, self.trainer.weight_decay);
            loss += sums.loss / weight * batch.len() as f64;
            right += sums.right;
            self.control.progress.advance(batch.len() as u64);
        }
        let rows = order.len() as f64;
        let parameters = state.parameters.clone();
        Ok(Some(Pass { loss: loss / rows, accuracy: right as f64 / rows, parameters }))
    }

    fn judge(&mut self, parameters: &[Vec<f32>]) -> Result<Option<(f64, f64)>, TuneError> {
        let eval = self.samples(EVAL);
        let features = self.features(EVAL, eval.len(), parameters)?;
        let samples: Vec<Sample<'_>> =
            eval.iter().zip(&features).map(|(sample, features)| Sample { features, ..*sample }).collect();
        let head = &parameters[self.head_begins(parameters)..];
        Ok(self.network.judge_watched(head, &self.rows.watched(&samples, self.trainer), samples.len()))
    }
}

impl<'a> TuneLearner<'a> {
    pub(super) fn samples(&self, split: usize) -> &'a [Sample<'a>] {
        self.inputs.splits[split].samples
    }

    pub(super) fn head_begins(&self, parameters: &[Vec<f32>]) -> usize {
        parameters.len() - self.network.layers_len()
    }

    /// What the rows of a batch say, and the sum of their weights.
    fn sums(&self, batch: &[usize], state: &mut State) -> Result<(Sums, f64), TuneError> {
        let mut weight = 0.0;
        let draws: Vec<Draw> = batch.iter().map(|&row| self.draw(row, &mut state.rng, &mut weight)).collect();
        let model = Model { towers: self.towers, network: &self.network, rows: self.rows };
        let parameters = Parameters::new(self.towers, &self.network, &state.parameters);
        let shares: Vec<&[Draw]> = draws.chunks(draws.len().div_ceil(SHARES)).collect();
        let learnt = self.lanes.calculate(shares.len(), |share| {
            let mut sums = Sums::zero(&state.parameters);
            for some in shares[share].chunks(ROWS_AT_ONCE) {
                let rows = some.iter().map(|draw| self.drawn(draw)).collect::<Result<Vec<_>, _>>()?;
                model.learn(&parameters, &rows, &mut sums)?;
            }
            Ok::<_, TuneError>(sums)
        })?;
        let mut learnt = learnt.into_iter();
        let mut sums = learnt.next().unwrap_or_else(|| Sums::zero(&state.parameters));
        learnt.for_each(|more| sums.add(&more));
        Ok((sums, weight))
    }

    fn draw(&self, row: usize, rng: &mut ChaCha8Rng, weight: &mut f64) -> Draw {
        let sample = &self.samples(TRAIN)[row];
        let (photo, title) = hide(sample.features, self.trainer, rng);
        let mut target = Vec::new();
        *weight += f64::from(self.rows.push_target(&mut target, sample, self.trainer.label_smoothing as f32));
        let factors = match self.trainer.head {
            HeadKind::Mlp { dropout, .. } => dropped(dropout, rng).take(self.rows.inputs() - 2).collect(),
            HeadKind::Linear => Vec::new(),
        };
        Draw { row, shows: [photo.is_some(), title.is_some()], target, factors }
    }

    fn drawn(&self, draw: &Draw) -> Result<DrawnRow, TuneError> {
        let RowInput { photo, title } = self.inputs.row(TRAIN, draw.row)?.into_owned();
        let [shows_photo, shows_title] = draw.shows;
        let input = RowInput { photo: photo.filter(|_| shows_photo), title: title.filter(|_| shows_title) };
        let Class(class) = self.samples(TRAIN)[draw.row].class;
        Ok(DrawnRow { input, target: draw.target.clone(), class, factors: draw.factors.clone() })
    }

    /// The features of the first rows of a split with these parameters, in order.
    pub(super) fn features(
        &self,
        split: usize,
        rows: usize,
        parameters: &[Vec<f32>],
    ) -> Result<Vec<Features>, TuneError> {
        let (device, parameters) = (Device::default(), Parameters::new(self.towers, &self.network, parameters));
        let made = self.lanes.calculate(rows.div_ceil(ROWS_AT_ONCE), |chunk| {
            let places = chunk * ROWS_AT_ONCE..rows.min((chunk + 1) * ROWS_AT_ONCE);
            let inputs = places.map(|row| self.inputs.row(split, row)).collect::<Result<Vec<_>, _>>()?;
            let photos: Vec<_> = inputs.iter().filter_map(|input| input.photo.as_ref()).collect();
            let titles: Vec<_> = inputs.iter().filter_map(|input| input.title.as_ref()).collect();
            let Towers { image, text, .. } = self.towers;
            let photos = (!photos.is_empty()).then(|| image.photos(&photos, &parameters.image, &device)).transpose()?;
            let titles = (!titles.is_empty()).then(|| text.titles(&titles, &parameters.text, &device)).transpose()?;
            let (mut photos, mut titles) = (rows_of(photos), rows_of(titles));
            let features = inputs.iter().map(|input| Features {
                image: input.photo.as_ref().and_then(|_| photos.next()),
                text: input.title.as_ref().and_then(|_| titles.next()),
            });
            Ok::<_, TuneError>(features.collect::<Vec<_>>())
        })?;
        Ok(made.concat())
    }

    /// How far the features of the first training rows are from those they have by ONNX Runtime.
    pub(super) fn difference(&self, parameters: &[Vec<f32>]) -> Result<f32, TuneError> {
        let known: Vec<&Features> = self.samples(TRAIN).iter().take(COMPARED).map(|sample| sample.features).collect();
        let found = self.features(TRAIN, known.len(), parameters)?;
        self.compare(known.into_iter().zip(&found))
    }

    /// The largest difference of two features, over 1 and their magnitude.
    pub(super) fn compare<'f>(
        &self,
        pairs: impl Iterator<Item = (&'f Features, &'f Features)>,
    ) -> Result<f32, TuneError> {
        let (mut photos, mut titles) = (0.0_f32, 0.0_f32);
        for (known, found) in pairs {
            photos = photos.max(gap(known.image.as_deref(), found.image.as_deref()));
            titles = titles.max(gap(known.text.as_deref(), found.text.as_deref()));
        }
        for (tower, difference) in [(&self.towers.image, photos), (&self.towers.text, titles)] {
            if difference > DIFFERENCE_MAX {
                return Err(TuneError::Differs { encoder: tower.encoder, difference });
            }
        }
        Ok(photos.max(titles))
    }
}

/// So many rows are compared between burn and ONNX Runtime.
pub(super) const COMPARED: usize = 8;

fn rows_of(features: Option<Tensor<2>>) -> impl Iterator<Item = Vec<f32>> {
    let width = features.as_ref().map_or(1, |features| features.dims()[1]);
    let values = features.map(floats).unwrap_or_default();
    values.chunks_exact(width).map(<[f32]>::to_vec).collect::<Vec<_>>().into_iter()
}

/// What is no number is infinitely far.
fn gap(known: Option<&[f32]>, found: Option<&[f32]>) -> f32 {
    let pairs = known.unwrap_or_default().iter().zip(found.unwrap_or_default());
    let gaps = pairs.map(|(known, found)| (known - found).abs() / (1.0 + known.abs()));
    gaps.fold(0.0, |worst: f32, gap| if gap.is_nan() { f32::INFINITY } else { worst.max(gap) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_over_the_magnitude_and_of_no_number_without_bound() {
        assert_eq!(gap(Some(&[1.0, -9.0]), Some(&[1.0, -8.0])), 0.1);
        assert_eq!(gap(Some(&[1.0, 2.0]), Some(&[f32::NAN, 2.0])), f32::INFINITY);
        assert_eq!(gap(None, Some(&[1.0])), 0.0);
    }
}
