//! A graph that tells between which values its activations lie.

use super::super::graph::{read, value_info, write};
use super::super::proto::{AttributeProto, FLOAT, NodeProto};
use super::plan::Plan;
use super::ranges::{ActivationRanges, Range};

/// A graph whose outputs are the smallest and the largest value of each activation that [`super::quantize`] needs to know.
pub(crate) struct Observer {
    /// The file.
    pub(crate) onnx: Vec<u8>,
    /// The outputs are the smallest and the largest value of each of these, in this order.
    activations: Vec<String>,
}

impl Observer {
    /// Makes it from the file of a graph.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn new(onnx: &[u8]) -> Result<Self, String> {
        let mut graph = read(onnx)?;
        let activations = Plan::of(&graph).observed;
        graph.output.clear();
        for activation in &activations {
            for operator in ["ReduceMin", "ReduceMax"] {
                let output = format!("{activation}.{operator}");
                graph.output.push(value_info(&output, FLOAT, &[]));
                // Over all axes, to one number: whole activations of a batch would be hundreds of megabytes.
                let flat = AttributeProto { name: "keepdims".to_owned(), r#type: 2, ..AttributeProto::default() };
                graph.node.push(NodeProto {
                    input: vec![activation.clone()],
                    output: vec![output.clone()],
                    name: output,
                    op_type: operator.to_owned(),
                    attribute: vec![flat],
                });
            }
        }
        Ok(Self { onnx: write(graph), activations })
    }

    /// Widens the ranges by what one run told.
    ///
    /// # Errors
    /// The activation that is not a finite number, or whose values are missing.
    pub(crate) fn widen(&self, ranges: &mut ActivationRanges, outputs: &[Vec<f32>]) -> Result<(), String> {
        for (at, activation) in self.activations.iter().enumerate() {
            match (outputs.get(2 * at).map(Vec::as_slice), outputs.get(2 * at + 1).map(Vec::as_slice)) {
                (Some(&[min]), Some(&[max])) if min.is_finite() && max.is_finite() => {
                    ranges.widen(activation, Range { min, max });
                }
                _ => return Err(activation.clone()),
            }
        }
        Ok(())
    }
}
