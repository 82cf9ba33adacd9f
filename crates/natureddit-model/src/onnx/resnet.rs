//! A ResNet without its classifier: `pixels` [batch, 3, size, size] -> `features` [batch, the last stage's channels].
//!
//! Architecture: He et al. 2015, <https://arxiv.org/abs/1512.03385>; the names of tensors and where a stage shrinks are
//! those of Hugging Face's `ResNetModel` (version 1.5: a bottleneck shrinks in its 3 x 3 convolution).

use super::batch_norm::NormedConvolution;
use super::graph::{Attribute, GraphBuilder, Name};
use crate::weights::{Weights, WeightsError};

/// The sizes of the network, as in its `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResNet {
    /// Channels behind the stem.
    pub(crate) stem: usize,
    /// Output channels of each stage.
    pub(crate) channels: Vec<usize>,
    /// Blocks of each stage.
    pub(crate) depths: Vec<usize>,
    /// What a block is.
    pub(crate) block: Block,
    /// Whether the first stage halves the photo as the others do.
    pub(crate) first_stage_shrinks: bool,
    /// Whether a bottleneck shrinks in its first convolution.
    pub(crate) bottleneck_shrinks_first: bool,
    /// The side of the photo, in pixels.
    pub(crate) size: u32,
}

/// What a residual block is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Two convolutions of 3 x 3.
    Basic,
    /// 1 x 1 to a quarter of the channels, 3 x 3, and back by 1 x 1.
    Bottleneck,
}

const BATCH_NORM_EPSILON: f32 = 1e-5;
/// The channels inside a bottleneck are its outputs divided by this.
const REDUCTION: usize = 4;

impl ResNet {
    /// How many features it gives.
    pub(crate) fn features(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }

    /// How the names of the last stage's nodes begin.
    pub(crate) fn last_block(&self) -> String {
        format!("encoder.stages.{}.", self.channels.len().saturating_sub(1))
    }

    /// The convolutions of a block.
    fn convolutions(&self, inputs: usize, outputs: usize, stride: i64) -> Vec<Conv> {
        let conv = |inputs, outputs, kernel, stride| Conv { inputs, outputs, kernel, stride };
        let inner = outputs / REDUCTION;
        match self.block {
            Block::Basic => vec![conv(inputs, outputs, 3, stride), conv(outputs, outputs, 3, 1)],
            Block::Bottleneck => {
                let (first, second) = if self.bottleneck_shrinks_first { (stride, 1) } else { (1, stride) };
                vec![conv(inputs, inner, 1, first), conv(inner, inner, 3, second), conv(inner, outputs, 1, 1)]
            }
        }
    }
}

/// Builds the graph from tensors named as in `ResNetModel` without a prefix, batch norms folded into the convolutions.
pub(crate) fn resnet(sizes: &ResNet, weights: &Weights) -> Result<Vec<u8>, WeightsError> {
    let mut network = Network { graph: GraphBuilder::new("resnet"), weights };
    let side = Some(i64::from(sizes.size));
    let pixels = network.graph.input_f32("pixels", &[None, Some(3), side, side]);
    let stem = Conv { inputs: 3, outputs: sizes.stem, kernel: 7, stride: 2 };
    let x = network.conv("embedder.embedder", &stem, &pixels)?;
    let x = network.relu("embedder.embedder", &x);
    let pool = vec![
        Attribute::Ints("kernel_shape", vec![3; 2]),
        Attribute::Ints("pads", vec![1; 4]),
        Attribute::Ints("strides", vec![2; 2]),
    ];
    let mut x = network.graph.node("MaxPool", "embedder.pooler", &[&x], pool);

    let mut inputs = sizes.stem;
    for (stage, (&outputs, &depth)) in sizes.channels.iter().zip(&sizes.depths).enumerate() {
        for layer in 0..depth {
            let shrinks = layer == 0 && (stage > 0 || sizes.first_stage_shrinks);
            let name = format!("encoder.stages.{stage}.layers.{layer}");
            let stride = if shrinks { 2 } else { 1 };
            x = network.block(&name, &sizes.convolutions(inputs, outputs, stride), &x)?;
            inputs = outputs;
        }
    }

    let pooled = network.graph.node("GlobalAveragePool", "pool", &[&x], vec![]);
    let features = network.graph.node("Flatten", "features", &[&pooled], vec![Attribute::Int("axis", 1)]);
    Ok(network.graph.finish(&features, &[None, Some(sizes.features() as i64)]))
}

/// The sizes of a convolution.
struct Conv {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: i64,
}

struct Network<'a> {
    graph: GraphBuilder,
    weights: &'a Weights,
}

impl Network<'_> {
    /// Some convolutions with ReLU between them; their sum with the input, which is brought to their shape by a convolution
    /// of its own where it has another.
    fn block(&mut self, name: &str, convolutions: &[Conv], input: &Name) -> Result<Name, WeightsError> {
        let mut x = input.clone();
        for (at, sizes) in convolutions.iter().enumerate() {
            let name = format!("{name}.layer.{at}");
            x = self.conv(&name, sizes, &x)?;
            if at + 1 < convolutions.len() {
                x = self.relu(&name, &x);
            }
        }
        let inputs = convolutions.first().map_or(0, |first| first.inputs);
        let outputs = convolutions.last().map_or(0, |last| last.outputs);
        let stride = convolutions.iter().map(|sizes| sizes.stride).product();
        let mut shortcut = input.clone();
        if inputs != outputs || stride != 1 {
            shortcut = self.conv(&format!("{name}.shortcut"), &Conv { inputs, outputs, kernel: 1, stride }, input)?;
        }
        let sum = self.graph.node("Add", &format!("{name}.sum"), &[&x, &shortcut], vec![]);
        Ok(self.relu(name, &sum))
    }

    fn conv(&mut self, name: &str, sizes: &Conv, input: &Name) -> Result<Name, WeightsError> {
        let Conv { inputs, outputs, kernel, stride } = *sizes;
        let shape = [outputs, inputs, kernel, kernel];
        let (convolution, norm) = (format!("{name}.convolution"), format!("{name}.normalization"));
        let normed = NormedConvolution { convolution: &convolution, norm: &norm, shape, epsilon: BATCH_NORM_EPSILON };
        let (weight, bias) = normed.folded(self.weights)?;
        let weight = self.graph.weight(&format!("{convolution}.weight"), &shape, &weight);
        let bias = self.graph.weight(&format!("{convolution}.bias"), &[outputs], &bias);
        let attributes = vec![
            Attribute::Ints("kernel_shape", vec![kernel as i64; 2]),
            Attribute::Ints("pads", vec![kernel as i64 / 2; 4]),
            Attribute::Ints("strides", vec![stride; 2]),
        ];
        Ok(self.graph.node("Conv", &convolution, &[input, &weight, &bias], attributes))
    }

    fn relu(&mut self, name: &str, input: &Name) -> Name {
        self.graph.node("Relu", &format!("{name}.relu"), &[input], vec![])
    }
}
