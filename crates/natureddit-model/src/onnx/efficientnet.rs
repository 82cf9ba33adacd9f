//! EfficientNet-Lite0 without its classifier: `pixels` [batch, 3, 224, 224] -> `features` [batch, 1280].
//!
//! Architecture: Tan and Le 2019, <https://arxiv.org/abs/1905.11946>; the Lite form (no squeeze-and-excite, ReLU6,
//! fixed stem and head) from <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>.

use super::graph::{Attribute, GraphBuilder, Name};
use crate::weights::{Tensor, Tensors, WeightsError, expect};

/// Repeats, kernel, stride, expansion, output channels of the seven stages.
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
const FEATURES: usize = 1280;
const SIZE: i64 = 224;
const BATCH_NORM_EPSILON: f32 = 1e-3;

/// Builds the graph from the tensors of `efficientnet-lite0-57934424.pth`, batch norms folded into the convolutions.
pub(crate) fn efficientnet_lite0(weights: &Tensors) -> Result<Vec<u8>, WeightsError> {
    let mut network = Network { graph: GraphBuilder::new("efficientnet_lite0"), weights };
    let pixels = network.graph.input_f32("pixels", &[None, Some(3), Some(SIZE), Some(SIZE)]);
    let stem = Conv { inputs: 3, outputs: STEM_CHANNELS, kernel: 3, stride: 2, depthwise: false };
    let mut x = network.conv("_conv_stem", "_bn0", &stem, &pixels)?;
    x = network.relu6("_conv_stem", &x);

    let mut channels = STEM_CHANNELS;
    let mut block = 0;
    for (repeats, kernel, stride, expansion, outputs) in STAGES {
        for repeat in 0..repeats {
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

    let head = Conv { inputs: channels, outputs: FEATURES, kernel: 1, stride: 1, depthwise: false };
    x = network.conv("_conv_head", "_bn1", &head, &x)?;
    x = network.relu6("_conv_head", &x);
    let pooled = network.graph.node("GlobalAveragePool", "pool", &[&x], vec![]);
    let features = network.graph.node("Flatten", "features", &[&pooled], vec![Attribute::Int("axis", 1)]);
    Ok(network.graph.finish(&features, &[None, Some(FEATURES as i64)]))
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
    weights: &'a Tensors,
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

    /// A convolution with its batch norm folded in: `w' = w * g`, `b' = beta - mean * g`, `g = gamma / sqrt(var + eps)`.
    fn conv(&mut self, name: &str, batch_norm: &str, sizes: &Conv, input: &Name) -> Result<Name, WeightsError> {
        let per_group = if sizes.depthwise { 1 } else { sizes.inputs };
        let shape = [sizes.outputs, per_group, sizes.kernel, sizes.kernel];
        let kernel = expect(self.weights, &format!("{name}.weight"), &shape)?;
        let part = |key: &str| expect(self.weights, &format!("{batch_norm}.{key}"), &[sizes.outputs]);
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let gains: Vec<f32> = gains(gamma, variance);
        let weight: Vec<f32> = kernel
            .data
            .chunks_exact(per_group * sizes.kernel * sizes.kernel)
            .zip(&gains)
            .flat_map(|(channel, gain)| channel.iter().map(move |w| w * gain))
            .collect();
        let shifts = beta.data.iter().zip(&mean.data).zip(&gains);
        let bias: Vec<f32> = shifts.map(|((beta, mean), gain)| beta - mean * gain).collect();

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

fn gains(gamma: &Tensor, variance: &Tensor) -> Vec<f32> {
    gamma.data.iter().zip(&variance.data).map(|(gamma, var)| gamma / (var + BATCH_NORM_EPSILON).sqrt()).collect()
}
