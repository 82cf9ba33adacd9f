//! EfficientNet-Lite without its classifier: `pixels` [batch, 3, size, size] -> `features` [batch, 1280].
//!
//! Architecture: Tan and Le 2019, <https://arxiv.org/abs/1905.11946>; the Lite form (no squeeze-and-excite, ReLU6,
//! fixed stem and head) from <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>.

use super::batch_norm::NormedConvolution;
use super::graph::{Attribute, GraphBuilder, Name};
use crate::weights::{Weights, WeightsError};

/// One of the family: how much wider and deeper than Lite0 it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EfficientNetLite {
    /// The factor of the stages' channels.
    pub(crate) width: f64,
    /// The factor of the stages' repeats.
    pub(crate) depth: f64,
    /// The side of the photo, in pixels.
    pub(crate) size: u32,
}

impl EfficientNetLite {
    /// How many features every member gives.
    pub(crate) const FEATURES: usize = 1280;

    /// How the names of the last block's nodes begin; the convolution that widens to the features is behind it.
    pub(crate) fn last_block(&self) -> String {
        let blocks: usize = (0..STAGES.len()).map(|stage| self.repeats(stage)).sum();
        format!("_blocks.{}.", blocks - 1)
    }

    /// Channels of a stage: scaled and rounded to a multiple of eight, never more than a tenth down.
    fn channels(&self, channels: usize) -> usize {
        let scaled = channels as f64 * self.width;
        let rounded = ((scaled + 4.0) as usize / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
    }

    /// Repeats of a stage: scaled and rounded up; the Lite form leaves the first and the last one alone.
    fn repeats(&self, stage: usize) -> usize {
        let (repeats, ..) = STAGES[stage];
        let is_fixed = stage == 0 || stage + 1 == STAGES.len();
        if is_fixed { repeats } else { (repeats as f64 * self.depth).ceil() as usize }
    }
}

/// Repeats, kernel, stride, expansion, output channels of the seven stages of Lite0.
const STAGES: [(usize, usize, i64, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];
const STEM_CHANNELS: usize = 32;
const BATCH_NORM_EPSILON: f32 = 1e-3;

/// Builds the graph from the tensors of `efficientnet-lite*.pth`, batch norms folded into the convolutions.
pub(crate) fn efficientnet_lite(scale: &EfficientNetLite, weights: &Weights) -> Result<Vec<u8>, WeightsError> {
    let mut network = Network { graph: GraphBuilder::new("efficientnet_lite"), weights };
    let side = Some(i64::from(scale.size));
    let pixels = network.graph.input_f32("pixels", &[None, Some(3), side, side]);
    let stem = Conv { inputs: 3, outputs: STEM_CHANNELS, kernel: 3, stride: 2, depthwise: false };
    let mut x = network.conv("_conv_stem", "_bn0", &stem, &pixels)?;
    x = network.relu6("_conv_stem", &x);

    let mut channels = STEM_CHANNELS;
    let mut block = 0;
    for (stage, (_, kernel, stride, expansion, outputs)) in STAGES.into_iter().enumerate() {
        let outputs = scale.channels(outputs);
        for repeat in 0..scale.repeats(stage) {
            let stride = if repeat == 0 { stride } else { 1 };
            x = network.block(
                block,
                &Conv { inputs: channels, outputs, kernel, stride, depthwise: true },
                expansion,
                &x,
            )?;
            channels = outputs;
            block += 1;
        }
    }

    let features = EfficientNetLite::FEATURES;
    let head = Conv { inputs: channels, outputs: features, kernel: 1, stride: 1, depthwise: false };
    x = network.conv("_conv_head", "_bn1", &head, &x)?;
    x = network.relu6("_conv_head", &x);
    let pooled = network.graph.node("GlobalAveragePool", "pool", &[&x], vec![]);
    let output = network.graph.node("Flatten", "features", &[&pooled], vec![Attribute::Int("axis", 1)]);
    Ok(network.graph.finish(&output, &[None, Some(features as i64)]))
}

/// The sizes of a convolution; of a block, its depthwise kernel and stride with the block's channels.
struct Conv {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: i64,
    depthwise: bool,
}

struct Network<'a> {
    graph: GraphBuilder,
    weights: &'a Weights,
}

impl Network<'_> {
    /// Inverted residual: expand, depthwise, project, and the input added where nothing changed its shape.
    fn block(&mut self, index: usize, sizes: &Conv, expansion: usize, input: &Name) -> Result<Name, WeightsError> {
        let name = |part: &str| format!("_blocks.{index}.{part}");
        let inner = sizes.inputs * expansion;
        let mut x = input.clone();
        if expansion != 1 {
            let expand = Conv { inputs: sizes.inputs, outputs: inner, kernel: 1, stride: 1, depthwise: false };
            x = self.conv(&name("_expand_conv"), &name("_bn0"), &expand, &x)?;
            x = self.relu6(&name("_expand_conv"), &x);
        }
        let depthwise = Conv { inputs: inner, outputs: inner, ..*sizes };
        x = self.conv(&name("_depthwise_conv"), &name("_bn1"), &depthwise, &x)?;
        x = self.relu6(&name("_depthwise_conv"), &x);
        let project = Conv { inputs: inner, outputs: sizes.outputs, kernel: 1, stride: 1, depthwise: false };
        x = self.conv(&name("_project_conv"), &name("_bn2"), &project, &x)?;
        if sizes.stride == 1 && sizes.inputs == sizes.outputs {
            x = self.graph.node("Add", &name("add"), &[&x, input], vec![]);
        }
        Ok(x)
    }

    /// A convolution with its batch norm folded in.
    fn conv(&mut self, name: &str, batch_norm: &str, sizes: &Conv, input: &Name) -> Result<Name, WeightsError> {
        let per_group = if sizes.depthwise { 1 } else { sizes.inputs };
        let shape = [sizes.outputs, per_group, sizes.kernel, sizes.kernel];
        let normed = NormedConvolution { convolution: name, norm: batch_norm, shape, epsilon: BATCH_NORM_EPSILON };
        let (weight, bias) = normed.folded(self.weights)?;
        let weight = self.graph.weight(&format!("{name}.weight"), &shape, &weight);
        let bias = self.graph.weight(&format!("{name}.bias"), &[sizes.outputs], &bias);
        let attributes = vec![
            Attribute::Text("auto_pad", "SAME_UPPER"),
            Attribute::Int("group", if sizes.depthwise { sizes.outputs as i64 } else { 1 }),
            Attribute::Ints("kernel_shape", vec![sizes.kernel as i64; 2]),
            Attribute::Ints("strides", vec![sizes.stride; 2]),
        ];
        Ok(self.graph.node("Conv", name, &[input, &weight, &bias], attributes))
    }

    fn relu6(&mut self, name: &str, input: &Name) -> Name {
        let low = self.graph.weight(&format!("{name}.relu6.min"), &[], &[0.0]);
        let high = self.graph.weight(&format!("{name}.relu6.max"), &[], &[6.0]);
        self.graph.node("Clip", &format!("{name}.relu6"), &[input, &low, &high], vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the shapes of the published Lite2 weights have them.
    #[test]
    fn stages_scale_as_the_published_ones_do() {
        let lite2 = EfficientNetLite { width: 1.1, depth: 1.2, size: 260 };
        assert_eq!(STAGES.map(|(.., channels)| lite2.channels(channels)), [16, 24, 48, 88, 120, 208, 352]);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|stage| lite2.repeats(stage)), [1, 3, 3, 4, 4, 5, 1]);
        let lite0 = EfficientNetLite { width: 1.0, depth: 1.0, size: 224 };
        assert_eq!(STAGES.map(|(.., channels)| lite0.channels(channels)), STAGES.map(|(.., channels)| channels));
    }
}
