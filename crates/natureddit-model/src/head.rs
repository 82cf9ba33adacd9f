//! The fusion head: one linear layer over the standardised features of photo and title.

use std::path::Path;

use crate::encoder::Features;
use crate::weights::{Tensor, Tensors, WeightsError, expect, read_safetensors, write_safetensors};

/// Mean and deviation of each feature of one modality over the training rows that have it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standard {
    pub(crate) mean: Vec<f32>,
    pub(crate) deviation: Vec<f32>,
}

/// Below this a feature is constant and its deviation is not divided by.
const DEVIATION_MIN: f32 = 1e-6;

impl Standard {
    /// Measures the rows; each has `width` features.
    pub(crate) fn measure<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, width: usize) -> Self {
        let count = rows.clone().count().max(1) as f64;
        let mut mean = vec![0.0_f64; width];
        rows.clone().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x)));
        mean.iter_mut().for_each(|m| *m /= count);
        let mut variance = vec![0.0_f64; width];
        rows.for_each(|row| {
            variance.iter_mut().zip(row).zip(&mean).for_each(|((v, &x), m)| *v += (f64::from(x) - m).powi(2));
        });
        let deviation = |v: &f64| Some((v / count).sqrt() as f32).filter(|&d| d > DEVIATION_MIN).unwrap_or(1.0);
        Self { mean: mean.iter().map(|&m| m as f32).collect(), deviation: variance.iter().map(deviation).collect() }
    }

    fn apply(&self, row: &[f32], into: &mut [f32]) {
        for (((z, x), mean), deviation) in into.iter_mut().zip(row).zip(&self.mean).zip(&self.deviation) {
            *z = (x - mean) / deviation;
        }
    }
}

/// A linear classifier over `[photo features, title features, photo missing, title missing]`; a missing modality is
/// all zeros, its mean, and sets its flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub(crate) image: Standard,
    pub(crate) text: Standard,
    /// [classes, inputs], row-major.
    pub(crate) weight: Vec<f32>,
    /// [classes].
    pub(crate) bias: Vec<f32>,
}

impl Head {
    /// How many numbers the linear layer takes: both modalities and the two flags.
    pub(crate) fn inputs(image: &Standard, text: &Standard) -> usize {
        image.mean.len() + text.mean.len() + 2
    }

    /// The input row of the linear layer.
    pub(crate) fn row(image: &Standard, text: &Standard, photo: Option<&[f32]>, title: Option<&[f32]>) -> Vec<f32> {
        let mut row = vec![0.0; Self::inputs(image, text)];
        let (photo_part, rest) = row.split_at_mut(image.mean.len());
        let (title_part, missing) = rest.split_at_mut(text.mean.len());
        match photo {
            Some(values) => image.apply(values, photo_part),
            None => missing[0] = 1.0,
        }
        match title {
            Some(values) => text.apply(values, title_part),
            None => missing[1] = 1.0,
        }
        row
    }

    /// The probability of each class; they sum to 1.
    #[must_use]
    pub fn probabilities(&self, features: &Features) -> Vec<f32> {
        let row = Self::row(&self.image, &self.text, features.image.as_deref(), features.text.as_deref());
        let score = |(weights, bias): (&[f32], &f32)| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>() + bias;
        softmax(self.weight.chunks_exact(row.len()).zip(&self.bias).map(score).collect())
    }

    /// Writes the head as safetensors.
    pub(crate) fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let flat = |data: &Vec<f32>| Tensor { shape: vec![data.len()], data: data.clone() };
        let classes = self.bias.len();
        let weight = Tensor { shape: vec![classes, self.weight.len() / classes], data: self.weight.clone() };
        let tensors = [
            ("image.mean", flat(&self.image.mean)),
            ("image.deviation", flat(&self.image.deviation)),
            ("text.mean", flat(&self.text.mean)),
            ("text.deviation", flat(&self.text.deviation)),
            ("weight", weight),
            ("bias", flat(&self.bias)),
        ];
        write_safetensors(path, &tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect())
    }

    /// Reads a head of `classes` over encoders with so many features.
    pub(crate) fn read(path: &Path, classes: usize, image: usize, text: usize) -> Result<Self, WeightsError> {
        let tensors = read_safetensors(path)?;
        // From such a value on every answer would be no number.
        let wrong = |(name, tensor): &(&String, &Tensor)| {
            let least = if name.ends_with(".deviation") { f32::MIN_POSITIVE } else { f32::MIN };
            tensor.data.iter().any(|value| !(least..=f32::MAX).contains(value))
        };
        if let Some((name, _)) = tensors.iter().find(wrong) {
            return Err(WeightsError::Format {
                path: path.to_owned(),
                reason: format!("{name} has a value that is not finite, or a deviation that is not positive"),
            });
        }
        let standard = |tensors: &Tensors, name: &str, width: usize| -> Result<Standard, WeightsError> {
            let part = |part: &str| expect(tensors, &format!("{name}.{part}"), &[width]).map(|t| t.data.clone());
            Ok(Standard { mean: part("mean")?, deviation: part("deviation")? })
        };
        Ok(Self {
            image: standard(&tensors, "image", image)?,
            text: standard(&tensors, "text", text)?,
            weight: expect(&tensors, "weight", &[classes, image + text + 2])?.data.clone(),
            bias: expect(&tensors, "bias", &[classes])?.data.clone(),
        })
    }
}

/// `exp(x) / sum(exp(x))`, shifted by the maximum so that nothing overflows.
fn softmax(mut scores: Vec<f32>) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - top).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let standard = |mean: f32| Standard { mean: vec![mean], deviation: vec![2.0] };
        let weight = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 0.0];
        Head { image: standard(1.0), text: standard(0.0), weight, bias: vec![0.0, 0.0] }
    }

    #[test]
    fn a_missing_photo_is_its_mean_and_a_flag() {
        let with = head().probabilities(&Features { image: Some(vec![1.0]), text: Some(vec![0.0]) });
        assert_eq!(with, [0.5, 0.5]);
        let without = head().probabilities(&Features { image: None, text: Some(vec![0.0]) });
        assert!((without[1] / without[0] - 3.0_f32.exp()).abs() < 1e-3);
    }

    #[test]
    fn a_head_that_would_answer_with_no_number_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        let breaks: [fn(&mut Head); 3] =
            [|h| h.weight[3] = f32::NAN, |h| h.bias[0] = f32::INFINITY, |h| h.text.deviation[0] = 0.0];
        for (break_it, name) in breaks.into_iter().zip(["weight", "bias", "text.deviation"]) {
            let mut head = head();
            break_it(&mut head);
            head.write(&path).unwrap();
            let error = Head::read(&path, 2, 1, 1).unwrap_err().to_string();
            assert!(error.contains(&format!(": {name} has a value")), "{error}");
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        assert_eq!(softmax(vec![1000.0, 0.0]), [1.0, 0.0]);
    }

    #[test]
    fn a_head_survives_its_file_and_a_wrong_width_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        head().write(&path).unwrap();
        assert_eq!(Head::read(&path, 2, 1, 1).unwrap(), head());
        let error = Head::read(&path, 2, 4, 1).unwrap_err().to_string();
        assert_eq!(error, "weights lack image.mean with shape [4], found Some([1])");
    }
}
