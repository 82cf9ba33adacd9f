//! The layers of a head while they learn.

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::HeadKind;
use super::rows::{Batch, Rows, Watched};
use crate::head::{Dense, Head};

/// The shapes of the weight [inputs, outputs] and bias [1, outputs] of each layer in turn. The parameters themselves are plain
/// row-major numbers: a step of the optimiser changes them in place, and a checkpoint keeps them as they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    shapes: Vec<[usize; 2]>,
}

/// So many rows are judged at once: more would only need more memory.
const JUDGED_AT_ONCE: usize = 1_024;

/// What a batch says of a network.
pub(super) struct Outcome {
    /// The cross-entropy: the weighted mean where it is learnt from, the weighted sum where it is judged.
    pub(super) loss: f64,
    /// How many rows were answered right.
    pub(super) right: usize,
}

impl Network {
    /// A network that knows nothing: every row gets equal scores. A linear one begins at zero, as its loss is convex and any
    /// start ends alike; a hidden layer begins at random (He et al. 2015, <https://arxiv.org/abs/1502.01852>, equation 10,
    /// for uniform numbers), or all its units would learn the same.
    pub(super) fn new(kind: HeadKind, inputs: usize, classes: usize, rng: &mut ChaCha8Rng) -> (Self, Vec<Vec<f32>>) {
        let shapes = match kind {
            HeadKind::Linear => vec![[inputs, classes], [1, classes]],
            HeadKind::Mlp { hidden, .. } => vec![[inputs, hidden], [1, hidden], [hidden, classes], [1, classes]],
        };
        let mut parameters: Vec<Vec<f32>> = shapes.iter().map(|[rows, columns]| vec![0.0; rows * columns]).collect();
        if let HeadKind::Mlp { .. } = kind {
            let bound = (6.0 / inputs as f32).sqrt();
            parameters[0].iter_mut().for_each(|value| *value = rng.random_range(-bound..bound));
        }
        (Self { shapes }, parameters)
    }

    /// That of a head, and its parameters.
    pub(super) fn of(head: &Head) -> (Self, Vec<Vec<f32>>) {
        let (mut shapes, mut parameters) = (Vec::new(), Vec::new());
        for Dense { weight, bias } in head.hidden.iter().chain([&head.output]) {
            let (inputs, outputs) = (weight.len() / bias.len().max(1), bias.len());
            shapes.extend([[inputs, outputs], [1, outputs]]);
            parameters.extend([transposed(weight, [outputs, inputs]), bias.clone()]);
        }
        (Self { shapes }, parameters)
    }

    fn inputs(&self) -> usize {
        self.shapes[0][0]
    }

    pub(super) fn tensors(&self, parameters: &[Vec<f32>], device: &Device) -> Vec<Tensor<2>> {
        let tensor = |(values, shape): (&Vec<f32>, &[usize; 2])| {
            Tensor::from_data(TensorData::new(values.clone(), *shape), device)
        };
        parameters.iter().zip(&self.shapes).map(tensor).collect()
    }

    /// The gradient of the loss by each parameter.
    pub(super) fn learn(&self, parameters: &[Vec<f32>], batch: Batch, device: &Device) -> (Outcome, Vec<Vec<f32>>) {
        let Batch { inputs, targets, classes, weight } = batch;
        let rows = classes.len();
        let parameters: Vec<Tensor<2>> =
            self.tensors(parameters, device).into_iter().map(Tensor::require_grad).collect();
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [rows, self.classes()]), device);
        let scores = forward(&parameters, Tensor::from_data(TensorData::new(inputs, [rows, self.inputs()]), device));
        // A target row holds the row's weight, so that the sum is already weighted.
        let loss = (log_softmax(scores.clone(), 1) * targets).sum().neg() / weight as f32;
        let gradients = loss.backward();
        let gradient = |parameter: &Tensor<2>| match parameter.grad(&gradients) {
            Some(gradient) => floats(gradient),
            None => panic!("the loss does not depend on a parameter"),
        };
        let outcome = Outcome { loss: f64::from(floats(loss)[0]), right: right(&floats(scores), &classes) };
        (outcome, parameters.iter().map(gradient).collect())
    }

    /// Loss and right answers on rows that are not learnt from. The sums are made here, in order: over many rows the backend
    /// would add in the order in which its threads happen to end.
    fn judge(&self, parameters: &[Vec<f32>], batch: &Batch, device: &Device) -> Outcome {
        let (inputs, classes, chunk) = (self.inputs(), self.classes(), JUDGED_AT_ONCE);
        let parameters = self.tensors(parameters, device);
        let (mut total, mut hits) = (0.0, 0);
        let rows = batch.inputs.chunks(chunk * inputs).zip(batch.targets.chunks(chunk * classes));
        for ((inputs_of, targets), truth) in rows.zip(batch.classes.chunks(chunk)) {
            let data = TensorData::new(inputs_of.to_vec(), [truth.len(), inputs]);
            let scores = floats(forward(&parameters, Tensor::from_data(data, device)));
            hits += right(&scores, truth);
            let losses = scores.chunks_exact(classes).zip(targets.chunks_exact(classes));
            total += losses.map(|(scores, targets)| cross_entropy(scores, targets)).sum::<f64>();
        }
        Outcome { loss: total, right: hits }
    }

    /// The mean loss over what is watched of so many rows, and the share of whole ones that is answered right; `None` where
    /// there are none.
    pub(super) fn judge_watched(&self, parameters: &[Vec<f32>], watched: &Watched, rows: usize) -> Option<(f64, f64)> {
        let judge = |batch| self.judge(parameters, batch, &Device::default());
        let [whole, hidden] = [&watched.whole, &watched.hidden].map(judge);
        let loss = (whole.loss + hidden.loss) / (watched.whole.weight + watched.hidden.weight);
        (rows > 0).then(|| (loss, whole.right as f64 / rows as f64))
    }

    /// How many lists of parameters it has.
    pub(super) fn layers_len(&self) -> usize {
        self.shapes.len()
    }

    pub(super) fn classes(&self) -> usize {
        self.shapes[self.shapes.len() - 1][1]
    }

    /// As a head, without a temperature.
    pub(super) fn head(&self, parameters: &[Vec<f32>], rows: &Rows) -> Head {
        let layers = parameters.chunks_exact(2).zip(self.shapes.chunks_exact(2));
        let mut layers: Vec<Dense> = layers
            .map(|(values, shapes)| Dense { weight: transposed(&values[0], shapes[0]), bias: values[1].clone() })
            .collect();
        let output = layers.pop().unwrap_or(Dense { weight: vec![], bias: vec![] });
        let (image, text) = (rows.image.clone(), rows.text.clone());
        Head { image, text, hidden: layers.pop(), output, temperature: 1.0 }
    }
}

/// A matrix of so many rows and columns turned, row-major before and after.
fn transposed(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// The mean of what the parameters were after each step of a pass, which is what is judged and kept: where the last few rows
/// pull does not show in it (Polyak and Juditsky 1992, <https://doi.org/10.1137/0330046>).
#[derive(Default)]
pub(super) struct Mean {
    parameters: Vec<Vec<f32>>,
    steps: usize,
}

impl Mean {
    /// Counts the parameters as they are now.
    pub(super) fn add(&mut self, parameters: &[Vec<f32>]) {
        self.steps += 1;
        if self.steps == 1 {
            parameters.clone_into(&mut self.parameters);
            return;
        }
        // No sum is kept: over many steps it would lose what the last ones add.
        let share = 1.0 / self.steps as f32;
        let means = self.parameters.iter_mut().flatten();
        means.zip(parameters.iter().flatten()).for_each(|(mean, value)| *mean += share * (value - *mean));
    }

    pub(super) fn parameters(self) -> Vec<Vec<f32>> {
        self.parameters
    }
}

/// The scores: [rows, classes].
pub(super) fn forward(parameters: &[Tensor<2>], inputs: Tensor<2>) -> Tensor<2> {
    let mut values = inputs;
    for (at, layer) in parameters.chunks_exact(2).enumerate() {
        let inputs = if at == 0 { values } else { relu(values) };
        values = inputs.matmul(layer[0].clone()) + layer[1].clone();
    }
    values
}

/// `-sum over classes of target * ln softmax(score)`.
fn cross_entropy(scores: &[f32], targets: &[f32]) -> f64 {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - top).exp()).sum();
    let terms = scores.iter().zip(targets);
    terms.map(|(score, target)| f64::from(*target) * (sum.ln() - f64::from(score - top))).sum()
}

/// How many rows have their highest score at their class; of equal ones the first counts, as an answer has it.
pub(super) fn right(scores: &[f32], classes: &[usize]) -> usize {
    let best = |scores: &[f32]| (0..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best });
    let rows = scores.chunks_exact((scores.len() / classes.len().max(1)).max(1)).zip(classes);
    rows.filter(|(scores, class)| best(scores) == **class).count()
}

/// The values of a tensor, row-major.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    match tensor.into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => panic!("a tensor of 32-bit floats holds something else: {error:?}"),
    }
}
