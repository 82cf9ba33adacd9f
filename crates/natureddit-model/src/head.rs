//! The fusion head: one or two layers over the standardised features of photo and title.

mod file;

use crate::encoder::Features;

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

/// `weight x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    /// [outputs, inputs], row-major.
    pub(crate) weight: Vec<f32>,
    /// [outputs].
    pub(crate) bias: Vec<f32>,
}

impl Dense {
    fn apply(&self, row: &[f32]) -> Vec<f32> {
        let weights = self.weight.chunks_exact(row.len().max(1));
        weights.zip(&self.bias).map(|(weights, bias)| dot(row, weights) + bias).collect()
    }

    pub(crate) fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }
}

/// A classifier over `[photo features, title features, photo missing, title missing]`; a missing modality is all zeros,
/// its mean, and sets its flag. Linear, or with a hidden layer of rectified units.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub(crate) image: Standard,
    pub(crate) text: Standard,
    /// `None` for a linear head.
    pub(crate) hidden: Option<Dense>,
    /// From the hidden layer, or from the input row where there is none, to a score for each class.
    pub(crate) output: Dense,
    /// What the scores are divided by, positive; 1 where none was fitted.
    pub(crate) temperature: f32,
}

impl Head {
    /// How many numbers the first layer takes: both modalities and the two flags.
    pub(crate) fn inputs(image: &Standard, text: &Standard) -> usize {
        image.mean.len() + text.mean.len() + 2
    }

    /// Fills the input row of the first layer, which is all zeros before.
    pub(crate) fn fill_row(
        (image, text): (&Standard, &Standard),
        photo: Option<&[f32]>,
        title: Option<&[f32]>,
        row: &mut [f32],
    ) {
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
    }

    /// The score of each class, before the temperature.
    pub(crate) fn scores(&self, features: &Features) -> Vec<f32> {
        let mut row = vec![0.0; Self::inputs(&self.image, &self.text)];
        let standards = (&self.image, &self.text);
        Self::fill_row(standards, features.image.as_deref(), features.text.as_deref(), &mut row);
        let Some(hidden) = &self.hidden else { return self.output.apply(&row) };
        let mut units = hidden.apply(&row);
        units.iter_mut().for_each(|unit| *unit = unit.max(0.0));
        self.output.apply(&units)
    }

    /// The probability of each class; they sum to 1.
    #[must_use]
    pub fn probabilities(&self, features: &Features) -> Vec<f32> {
        softmax(self.scores(features).into_iter().map(|score| score / self.temperature).collect())
    }

    /// What the scores are divided by before they become probabilities (Guo et al. 2017,
    /// <https://arxiv.org/abs/1706.04599>); 1 where none was fitted.
    #[must_use]
    pub fn temperature(&self) -> f32 {
        self.temperature
    }
}

/// So many sums run beside each other: one alone waits for each addition before the next.
const LANES: usize = 16;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
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

    fn standards() -> (Standard, Standard) {
        let standard = |mean: f32| Standard { mean: vec![mean], deviation: vec![2.0] };
        (standard(1.0), standard(0.0))
    }

    fn linear() -> Head {
        let (image, text) = standards();
        let weight = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 0.0];
        Head { image, text, hidden: None, output: Dense { weight, bias: vec![0.0, 0.0] }, temperature: 1.0 }
    }

    #[test]
    fn a_missing_photo_is_its_mean_and_a_flag() {
        let with = linear().probabilities(&Features { image: Some(vec![1.0]), text: Some(vec![0.0]) });
        assert_eq!(with, [0.5, 0.5]);
        let without = linear().probabilities(&Features { image: None, text: Some(vec![0.0]) });
        assert!((without[1] / without[0] - 3.0_f32.exp()).abs() < 1e-3);
    }

    #[test]
    fn a_hidden_unit_counts_only_what_is_above_zero() {
        let (image, text) = standards();
        // One unit follows the photo, the other its opposite.
        let hidden = Dense { weight: vec![1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0], bias: vec![0.0, 0.5] };
        let output = Dense { weight: vec![1.0, 0.0, 0.0, 1.0], bias: vec![0.0, 0.25] };
        let head = Head { image, text, hidden: Some(hidden), output, temperature: 1.0 };
        let scores = |photo: f32| head.scores(&Features { image: Some(vec![photo]), text: Some(vec![0.0]) });
        assert_eq!(scores(7.0), [3.0, 0.25]);
        assert_eq!(scores(-3.0), [0.0, 2.75]);
    }

    #[test]
    fn a_temperature_changes_how_sure_an_answer_is_and_not_which() {
        let features = Features { image: Some(vec![5.0]), text: Some(vec![0.0]) };
        let of = |temperature| Head { temperature, ..linear() }.probabilities(&features);
        let (sharp, plain, soft) = (of(0.5), of(1.0), of(2.0));
        assert!(sharp[0] > plain[0] && plain[0] > soft[0] && soft[0] > 0.5);
        assert!((soft[0] / soft[1] - 1.0_f32.exp()).abs() < 1e-5);
    }

    #[test]
    fn a_dot_product_is_the_sum_of_the_products() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..37).map(|i| (i as f32, (i % 5) as f32 - 2.0)).unzip();
        assert_eq!(dot(&a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>());
    }

    #[test]
    fn large_scores_do_not_overflow() {
        assert_eq!(softmax(vec![1000.0, 0.0]), [1.0, 0.0]);
    }
}
