//! A convolution and the batch norm behind it as one convolution.

use crate::weights::{Weights, WeightsError};

/// The convolution `{convolution}.weight` and the norm `{norm}.*` behind it, as PyTorch names their tensors.
pub(super) struct NormedConvolution<'n> {
    pub(super) convolution: &'n str,
    pub(super) norm: &'n str,
    /// Outputs, inputs a group, height, width.
    pub(super) shape: [usize; 4],
    /// What is added to the variance.
    pub(super) epsilon: f32,
}

impl NormedConvolution<'_> {
    /// The weight and bias that do both: `w' = w * g`, `b' = beta - mean * g`, `g = gamma / sqrt(var + eps)`.
    pub(super) fn folded(&self, weights: &Weights) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
        let [outputs, inputs, height, width] = self.shape;
        let kernel = weights.tensor(&format!("{}.weight", self.convolution), &self.shape)?;
        let part = |key: &str| weights.tensor(&format!("{}.{key}", self.norm), &[outputs]);
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let gain = |(gamma, variance): (&f32, &f32)| gamma / (variance + self.epsilon).sqrt();
        let gains: Vec<f32> = gamma.data.iter().zip(&variance.data).map(gain).collect();
        let channels = kernel.data.chunks_exact(inputs * height * width).zip(&gains);
        let weight = channels.flat_map(|(channel, gain)| channel.iter().map(move |w| w * gain)).collect();
        let shifts = beta.data.iter().zip(&mean.data).zip(&gains);
        Ok((weight, shifts.map(|((beta, mean), gain)| beta - mean * gain).collect()))
    }
}
