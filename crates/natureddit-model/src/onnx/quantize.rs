//! A graph of floats as one that calculates in eight bits, with scales that calibration has fixed before.
//!
//! The result is in the QDQ form of <https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html>:
//! every activation is quantised and dequantised again, and every weight is stored in eight bits and dequantised, so that the
//! file says what is calculated in ONNX's own operators. ONNX Runtime fuses the pairs into operators on integers.
//! Scales are never taken from a batch, so neither neighbours nor padding change an answer.

mod constants;
mod observe;
mod plan;
mod ranges;
mod rewrite;
mod scale;
mod weights;

pub(crate) use observe::Observer;
pub use ranges::ActivationRanges;

use super::graph::{read, write};
use super::proto::GraphProto;
use plan::{Plan, Step};
use rewrite::Rewriter;

/// Why a graph was not quantised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum QuantizeProblem {
    /// The graph is not one of ours, or has nothing to quantise.
    Graph(String),
    /// The range of this activation is missing or none.
    Range(String),
}

/// The graph in eight bits. `ranges` are those an [`Observer`] of the same graph has seen; the same two give the same bytes.
///
/// A convolution has signed weights (a scale an output channel), a bias of 32 bits in steps of both scales' product, and
/// unsigned input and output. A clip or ReLU behind it disappears: the range of what it gives does its work. Sums of two such
/// results and their max-poolings stay in eight bits; pooling over the whole picture and what follows is in floats.
/// A multiplication by a weight matrix has signed weights (a scale an output column) and unsigned input, and gives floats.
pub(crate) fn quantize(onnx: &[u8], ranges: &ActivationRanges) -> Result<Vec<u8>, QuantizeProblem> {
    let graph = read(onnx).map_err(QuantizeProblem::Graph)?;
    let plan = Plan::of(&graph);
    if !plan.steps.iter().any(|step| matches!(step, Step::Conv(_) | Step::MatMul)) {
        return Err(QuantizeProblem::Graph("it multiplies nothing by weights".to_owned()));
    }
    let mut rewriter = Rewriter::new(&graph, &plan, ranges);
    for (node, step) in graph.node.iter().zip(&plan.steps) {
        rewriter.step(node, step)?;
    }
    let (nodes, constants) = rewriter.finish();
    Ok(write(GraphProto { node: nodes, initializer: constants, ..graph }))
}

#[cfg(test)]
mod tests;
