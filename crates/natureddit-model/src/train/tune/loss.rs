//! The loss of some rows through head and encoders, and its gradients.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};

use super::TuneError;
use super::tower::{RowInput, Shaped, Title, Towers};
use crate::head::Standard;
use crate::train::network::{Network, floats, forward, right};
use crate::train::rows::Rows;

/// So many rows are in memory at once, with all that is calculated on the way: for a photo that can be 100 MB.
pub(super) const ROWS_AT_ONCE: usize = 4;

/// A row as it is learnt from: a part that is hidden, or that it has not, is not in `input`.
pub(super) struct DrawnRow {
    pub(super) input: RowInput,
    /// How much of its weight is at each class.
    pub(super) target: Vec<f32>,
    pub(super) class: usize,
    /// What its features are multiplied by; empty where they stay.
    pub(super) factors: Vec<f32>,
}

/// The parameters as tensors. A clone shares them.
#[derive(Clone)]
pub(super) struct Parameters {
    pub(super) image: Vec<Tensor<4>>,
    pub(super) text: Vec<Tensor<4>>,
    pub(super) head: Vec<Tensor<2>>,
}

impl Parameters {
    pub(super) fn new(towers: &Towers, network: &Network, values: &[Vec<f32>]) -> Self {
        let device = Device::default();
        let image = towers.image.program.tensors(values, &device);
        let text = towers.text.program.tensors(&values[image.len()..], &device);
        let head = network.tensors(&values[image.len() + text.len()..], &device);
        Self { image, text, head }
    }

    /// The same as what is learnt.
    fn learning(&self) -> Self {
        fn leaves<const D: usize>(tensors: &[Tensor<D>]) -> Vec<Tensor<D>> {
            tensors.iter().map(|tensor| tensor.clone().autodiff().require_grad()).collect()
        }
        Self { image: leaves(&self.image), text: leaves(&self.text), head: leaves(&self.head) }
    }
}

/// What some rows say: sums over them.
pub(super) struct Sums {
    pub(super) loss: f64,
    pub(super) right: usize,
    /// Of the loss by each parameter.
    pub(super) gradients: Vec<Vec<f32>>,
}

impl Sums {
    pub(super) fn zero(parameters: &[Vec<f32>]) -> Self {
        Self { loss: 0.0, right: 0, gradients: parameters.iter().map(|values| vec![0.0; values.len()]).collect() }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.right += other.right;
        self.gradients.iter_mut().zip(&other.gradients).for_each(|(sum, more)| add(sum, more));
    }

    fn add_gradients<const D: usize>(&mut self, first: usize, parameters: &[Tensor<D>], found: &mut Gradients) {
        for (sum, parameter) in self.gradients[first..].iter_mut().zip(parameters) {
            // None where no row has what the parameter is for.
            if let Some(gradient) = parameter.grad_remove(found) {
                add(sum, &floats(gradient));
            }
        }
    }
}

fn add(sum: &mut [f32], more: &[f32]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// What is learnt with.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) towers: &'a Towers,
    pub(super) network: &'a Network,
    pub(super) rows: &'a Rows,
}

impl Model<'_> {
    /// Adds what [`ROWS_AT_ONCE`] rows at most say.
    pub(super) fn learn(&self, parameters: &Parameters, rows: &[DrawnRow], sums: &mut Sums) -> Result<(), TuneError> {
        let device = Device::default().autodiff();
        let parameters = parameters.learning();
        let scores = self.scores(&parameters, rows, &device)?;
        let targets: Vec<f32> = rows.iter().flat_map(|row| row.target.iter().copied()).collect();
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [rows.len(), self.network.classes()]), &device);
        let loss = (log_softmax(scores.clone(), 1) * targets).sum().neg();
        let mut found = loss.backward();
        let (image, text) = (parameters.image.len(), parameters.text.len());
        sums.add_gradients(0, &parameters.image, &mut found);
        sums.add_gradients(image, &parameters.text, &mut found);
        sums.add_gradients(image + text, &parameters.head, &mut found);
        let classes: Vec<usize> = rows.iter().map(|row| row.class).collect();
        sums.loss += f64::from(floats(loss)[0]);
        sums.right += right(&floats(scores), &classes);
        Ok(())
    }

    /// The score of each class, before the temperature: [rows, classes].
    fn scores(&self, parameters: &Parameters, rows: &[DrawnRow], device: &Device) -> Result<Tensor<2>, TuneError> {
        let photos: Vec<&Shaped> = rows.iter().filter_map(|row| row.input.photo.as_ref()).collect();
        let titles: Vec<&Title> = rows.iter().filter_map(|row| row.input.title.as_ref()).collect();
        let Towers { image, text, .. } = self.towers;
        let of_photos = (!photos.is_empty()).then(|| image.photos(&photos, &parameters.image, device)).transpose()?;
        let of_titles = (!titles.is_empty()).then(|| text.titles(&titles, &parameters.text, device)).transpose()?;
        let has_photo: Vec<bool> = rows.iter().map(|row| row.input.photo.is_some()).collect();
        let has_title: Vec<bool> = rows.iter().map(|row| row.input.title.is_some()).collect();
        let photo_part = standardised(&self.rows.image, of_photos, &has_photo, device);
        let title_part = standardised(&self.rows.text, of_titles, &has_title, device);
        let mut features = Tensor::cat(vec![photo_part, title_part], 1);
        let factors: Vec<f32> = rows.iter().flat_map(|row| row.factors.iter().copied()).collect();
        if !factors.is_empty() {
            features = features.clone() * Tensor::from_data(TensorData::new(factors, features.dims()), device);
        }
        let flags = has_photo.iter().zip(&has_title).flat_map(|(photo, title)| [!photo, !title].map(f32::from));
        let flags = TensorData::new(flags.collect::<Vec<f32>>(), [rows.len(), 2]);
        let inputs = Tensor::cat(vec![features, Tensor::from_data(flags, device)], 1);
        Ok(forward(&parameters.head, inputs))
    }
}

/// The standardised features of rows that have some, in order, and zeros for the others: [rows, features]. As
/// [`crate::head::Head::fill_row`] has it.
fn standardised(standard: &Standard, features: Option<Tensor<2>>, has: &[bool], device: &Device) -> Tensor<2> {
    let width = standard.mean.len();
    let Some(features) = features else { return Tensor::zeros([has.len(), width], device) };
    let constant = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, width]), device);
    let count = features.dims()[0];
    let known = (features - constant(&standard.mean)) / constant(&standard.deviation);
    // The last one is for those that have none.
    let all = Tensor::cat(vec![known, Tensor::zeros([1, width], device)], 0);
    let mut next = 0..count as i64;
    let places: Vec<i64> = has.iter().map(|&has| has.then(|| next.next()).flatten().unwrap_or(count as i64)).collect();
    let places = TensorData::new(places, [has.len()]);
    all.select(0, Tensor::<1, Int>::from_data(places, device))
}
