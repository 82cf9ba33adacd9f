//! A BERT encoder: `input_ids`, `attention_mask` [batch, sequence] -> `embedding` [batch, width].
//! Architecture: Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>; pooling: Reimers and Gurevych
//! 2019, <https://arxiv.org/abs/1908.10084>. Token types are all zero, so their embedding is added to the positions.

use super::graph::{Attribute, GraphBuilder, Name};
use crate::weights::{Weights, WeightsError};

/// The sizes of the network, as in its `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bert {
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) feed_forward: usize,
    pub(crate) vocabulary: usize,
    pub(crate) positions: usize,
    /// Kinds of tokens: the first and the second sentence.
    pub(crate) kinds: usize,
    /// What layer norms add to the variance.
    pub(crate) epsilon: f32,
    pub(crate) pooling: Pooling,
}

impl Bert {
    /// How the names of the last layer's nodes begin.
    pub(crate) fn last_block(&self) -> String {
        format!("encoder.layer.{}.", self.layers.saturating_sub(1))
    }
}

/// What becomes of the tokens' vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean, brought to length 1.
    Mean,
    /// The first one, that of `[CLS]`.
    Cls,
    /// The first one through the layer that was trained for it, and tanh: `pooler_output`.
    Pooler,
}

/// What a masked position gets before the softmax: far below every score, and finite.
const MASKED: f32 = -1e9;

/// Builds the graph from tensors named as in Hugging Face's `BertModel` without a prefix.
pub(crate) fn bert(sizes: &Bert, weights: &Weights) -> Result<Vec<u8>, WeightsError> {
    let mut network = Network { graph: GraphBuilder::new("bert"), weights, sizes };
    let ids = network.graph.input_i64("input_ids", &[None, None]);
    let mask = network.graph.input_i64("attention_mask", &[None, None]);
    let to_float = vec![Attribute::Int("to", 1)];
    let mask = network.graph.node("Cast", "mask", &[&mask], to_float);
    let penalty = network.penalty(&mask);
    let mut x = network.embeddings(&ids)?;
    for layer in 0..sizes.layers {
        x = network.layer(&format!("encoder.layer.{layer}"), &x, &penalty)?;
    }
    let embedding = match sizes.pooling {
        Pooling::Mean => network.mean(&x, &mask),
        Pooling::Cls => network.first("embedding", &x),
        Pooling::Pooler => network.pooler(&x)?,
    };
    Ok(network.graph.finish(&embedding, &[None, Some(sizes.width as i64)]))
}

struct Network<'a> {
    graph: GraphBuilder,
    weights: &'a Weights,
    sizes: &'a Bert,
}

impl Network<'_> {
    /// [batch, 1, 1, sequence]: 0 where there is a token, [`MASKED`] where there is padding.
    fn penalty(&mut self, mask: &Name) -> Name {
        let one = self.graph.weight("one", &[], &[1.0]);
        let masked = self.graph.weight("masked", &[], &[MASKED]);
        let padding = self.graph.node("Sub", "padding", &[&one, mask], vec![]);
        let penalty = self.graph.node("Mul", "penalty", &[&padding, &masked], vec![]);
        let axes = self.graph.integers("penalty.axes", &[1, 2]);
        self.graph.node("Unsqueeze", "penalty.broadcast", &[&penalty, &axes], vec![])
    }

    fn embeddings(&mut self, ids: &Name) -> Result<Name, WeightsError> {
        let width = self.sizes.width;
        let words = self.weights.tensor("embeddings.word_embeddings.weight", &[self.sizes.vocabulary, width])?;
        let places = self.weights.tensor("embeddings.position_embeddings.weight", &[self.sizes.positions, width])?;
        let kinds = self.weights.tensor("embeddings.token_type_embeddings.weight", &[self.sizes.kinds, width])?;
        let first_kind = kinds.data[..width].iter().cycle();
        let places: Vec<f32> = places.data.iter().zip(first_kind).map(|(place, kind)| place + kind).collect();

        let words = self.graph.weight("words", &[self.sizes.vocabulary, width], &words.data);
        let places = self.graph.weight("places", &[self.sizes.positions, width], &places);
        let word = self.graph.node("Gather", "word", &[&words, ids], vec![]);
        let shape = self.graph.node("Shape", "ids.shape", &[ids], vec![]);
        let zero = self.graph.integers("zero", &[0]);
        let one = self.graph.integers("sequence.axis", &[1]);
        let two = self.graph.integers("sequence.end", &[2]);
        let length = self.graph.node("Slice", "sequence.length", &[&shape, &one, &two], vec![]);
        let place = self.graph.node("Slice", "place", &[&places, &zero, &length, &zero], vec![]);
        let sum = self.graph.node("Add", "embeddings.sum", &[&word, &place], vec![]);
        self.layer_norm("embeddings.LayerNorm", &sum)
    }

    fn layer(&mut self, layer: &str, x: &Name, penalty: &Name) -> Result<Name, WeightsError> {
        let name = |part: &str| format!("{layer}.{part}");
        let width = self.sizes.width;
        let attended = self.attention(layer, x, penalty)?;
        let attended = self.linear(&name("attention.output.dense"), &attended, width, width, 1.0)?;
        let sum = self.graph.node("Add", &name("attention.sum"), &[&attended, x], vec![]);
        let x = self.layer_norm(&name("attention.output.LayerNorm"), &sum)?;

        let wide = self.linear(&name("intermediate.dense"), &x, width, self.sizes.feed_forward, 1.0)?;
        let wide = self.graph.node("Gelu", &name("gelu"), &[&wide], vec![]);
        let narrow = self.linear(&name("output.dense"), &wide, self.sizes.feed_forward, width, 1.0)?;
        let sum = self.graph.node("Add", &name("output.sum"), &[&narrow, &x], vec![]);
        self.layer_norm(&name("output.LayerNorm"), &sum)
    }

    /// Multi-head attention; the scale 1/sqrt(width of a head) is folded into the query's weights.
    fn attention(&mut self, layer: &str, x: &Name, penalty: &Name) -> Result<Name, WeightsError> {
        let name = |part: &str| format!("{layer}.attention.{part}");
        let (width, heads) = (self.sizes.width, self.sizes.heads);
        let head = width / heads;
        let scale = 1.0 / (head as f32).sqrt();
        let split = self.graph.integers(&name("split"), &[0, 0, heads as i64, head as i64]);
        let mut part = |which: &str, scale: f32, axes: Vec<i64>| -> Result<Name, WeightsError> {
            let projected = self.linear(&name(&format!("self.{which}")), x, width, width, scale)?;
            let heads = self.graph.node("Reshape", &name(&format!("{which}.heads")), &[&projected, &split], vec![]);
            let turn = vec![Attribute::Ints("perm", axes)];
            Ok(self.graph.node("Transpose", &name(&format!("{which}.turned")), &[&heads], turn))
        };
        let query = part("query", scale, vec![0, 2, 1, 3])?;
        let key = part("key", 1.0, vec![0, 2, 3, 1])?;
        let value = part("value", 1.0, vec![0, 2, 1, 3])?;

        let scores = self.graph.node("MatMul", &name("scores"), &[&query, &key], vec![]);
        let scores = self.graph.node("Add", &name("masked"), &[&scores, penalty], vec![]);
        let shares = self.graph.node("Softmax", &name("shares"), &[&scores], vec![Attribute::Int("axis", -1)]);
        let context = self.graph.node("MatMul", &name("context"), &[&shares, &value], vec![]);
        let turn = vec![Attribute::Ints("perm", vec![0, 2, 1, 3])];
        let context = self.graph.node("Transpose", &name("context.turned"), &[&context], turn);
        let joined = self.graph.integers(&name("joined"), &[0, 0, width as i64]);
        Ok(self.graph.node("Reshape", &name("context.joined"), &[&context, &joined], vec![]))
    }

    /// `x W + b`, both multiplied by `scale`; torch keeps `W` as [outputs, inputs].
    fn linear(
        &mut self,
        name: &str,
        x: &Name,
        inputs: usize,
        outputs: usize,
        scale: f32,
    ) -> Result<Name, WeightsError> {
        let weight = self.weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.weights.tensor(&format!("{name}.bias"), &[outputs])?;
        let mut transposed = Vec::with_capacity(weight.data.len());
        for input in 0..inputs {
            transposed.extend((0..outputs).map(|output| weight.data[output * inputs + input] * scale));
        }
        let bias: Vec<f32> = bias.data.iter().map(|b| b * scale).collect();
        let weight = self.graph.weight(&format!("{name}.weight"), &[inputs, outputs], &transposed);
        let bias = self.graph.weight(&format!("{name}.bias"), &[outputs], &bias);
        let product = self.graph.node("MatMul", &format!("{name}.product"), &[x, &weight], vec![]);
        Ok(self.graph.node("Add", name, &[&product, &bias], vec![]))
    }

    fn layer_norm(&mut self, name: &str, x: &Name) -> Result<Name, WeightsError> {
        let width = self.sizes.width;
        let gain = self.weights.tensor(&format!("{name}.weight"), &[width])?;
        let shift = self.weights.tensor(&format!("{name}.bias"), &[width])?;
        let gain = self.graph.weight(&format!("{name}.weight"), &[width], &gain.data);
        let shift = self.graph.weight(&format!("{name}.bias"), &[width], &shift.data);
        let attributes = vec![Attribute::Int("axis", -1), Attribute::Float("epsilon", self.sizes.epsilon)];
        Ok(self.graph.node("LayerNormalization", name, &[x, &gain, &shift], attributes))
    }

    /// [batch, width]: the vector of the first token.
    fn first(&mut self, name: &str, x: &Name) -> Name {
        // A single index and not a list of one, so that the axis goes.
        let first = self.graph.integer("first.index", 0);
        self.graph.node("Gather", name, &[x, &first], vec![Attribute::Int("axis", 1)])
    }

    fn pooler(&mut self, x: &Name) -> Result<Name, WeightsError> {
        let width = self.sizes.width;
        let first = self.first("pooler.first", x);
        let dense = self.linear("pooler.dense", &first, width, width, 1.0)?;
        Ok(self.graph.node("Tanh", "embedding", &[&dense], vec![]))
    }

    /// Mean over the tokens of the mask, then length 1.
    fn mean(&mut self, x: &Name, mask: &Name) -> Name {
        let last = self.graph.integers("pool.last", &[2]);
        let mask = self.graph.node("Unsqueeze", "pool.mask", &[mask, &last], vec![]);
        let kept = self.graph.node("Mul", "pool.kept", &[x, &mask], vec![]);
        let axis = self.graph.integers("pool.axis", &[1]);
        let flat = || vec![Attribute::Int("keepdims", 0)];
        let sum = self.graph.node("ReduceSum", "pool.sum", &[&kept, &axis], flat());
        let count = self.graph.node("ReduceSum", "pool.count", &[&mask, &axis], flat());
        let mean = self.graph.node("Div", "pool.mean", &[&sum, &count], vec![]);
        let length = self.graph.node("ReduceL2", "pool.length", &[&mean, &axis], vec![]);
        let tiny = self.graph.weight("pool.tiny", &[], &[1e-12]);
        let length = self.graph.node("Max", "pool.length.positive", &[&length, &tiny], vec![]);
        self.graph.node("Div", "embedding", &[&mean, &length], vec![])
    }
}
