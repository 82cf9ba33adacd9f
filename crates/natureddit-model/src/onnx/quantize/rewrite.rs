//! The nodes and constants of the graph in eight bits.

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::Attribute;
use super::super::proto::{FLOAT, GraphProto, INT8, INT32, NodeProto, TensorProto, UINT8};
use super::QuantizeProblem;
use super::constants::Constants;
use super::plan::{Plan, Step};
use super::ranges::{ActivationRanges, Range};
use super::scale::Affine;
use super::weights;

/// The new graph as it grows.
pub(super) struct Rewriter<'a> {
    graph: &'a GraphProto,
    plan: &'a Plan,
    ranges: &'a ActivationRanges,
    constants: Constants<'a>,
    nodes: Vec<NodeProto>,
    added: Vec<TensorProto>,
    /// The activations in eight bits, by the name that the old graph has for them.
    activations: BTreeMap<String, Activation>,
}

/// An activation in eight bits.
#[derive(Clone)]
struct Activation {
    /// What reads it takes this value.
    dequantised: String,
    affine: Affine,
    /// The names of the constants.
    scale: String,
    zero: String,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(graph: &'a GraphProto, plan: &'a Plan, ranges: &'a ActivationRanges) -> Self {
        Self {
            graph,
            plan,
            ranges,
            constants: Constants::of(&graph.initializer),
            nodes: Vec::new(),
            added: Vec::new(),
            activations: BTreeMap::new(),
        }
    }

    /// The nodes and the constants, without those that no node reads any more.
    pub(super) fn finish(self) -> (Vec<NodeProto>, Vec<TensorProto>) {
        let read: BTreeSet<&String> = self.nodes.iter().flat_map(|node| &node.input).collect();
        let kept = self.graph.initializer.iter().filter(|tensor| read.contains(&tensor.name)).cloned();
        let constants = kept.chain(self.added).collect();
        (self.nodes, constants)
    }

    /// Takes over a node as planned.
    pub(super) fn step(&mut self, node: &NodeProto, step: &Step) -> Result<(), QuantizeProblem> {
        match step {
            Step::Float => self.nodes.push(node.clone()),
            Step::Folded => {}
            Step::Conv(output) => {
                let input = self.input(&node.input[0])?;
                let mut node = node.clone();
                self.kernel(&mut node, input.affine).map_err(QuantizeProblem::Graph)?;
                node.input[0] = input.dequantised;
                self.output(node, output)?;
            }
            Step::Add(output) => {
                let mut node = node.clone();
                for value in &mut node.input {
                    *value = self.input(value)?.dequantised;
                }
                self.output(node, output)?;
            }
            Step::MaxPool => self.pool(node)?,
            Step::MatMul => {
                let mut node = node.clone();
                node.input[0] = self.input(&node.input[0])?.dequantised;
                self.matrix(&mut node).map_err(QuantizeProblem::Graph)?;
                self.nodes.push(node);
            }
        }
        Ok(())
    }

    /// The activation that a node reads, quantised once however many read it; whoever reads the floats goes on to.
    fn input(&mut self, value: &str) -> Result<Activation, QuantizeProblem> {
        if let Some(known) = self.activations.get(value) {
            return Ok(known.clone());
        }
        let activation = self.scaled(value, format!("{value}.dequantised"))?;
        self.quantise(value, value, &activation);
        self.activations.insert(value.to_owned(), activation.clone());
        Ok(activation)
    }

    /// Adds a node whose result is quantised; whoever read `value`, its own output or that of what was folded in, reads that.
    fn output(&mut self, mut node: NodeProto, value: &str) -> Result<(), QuantizeProblem> {
        let float = format!("{value}.float");
        node.output[0].clone_from(&float);
        self.nodes.push(node);
        let activation = self.scaled(value, value.to_owned())?;
        self.quantise(&float, value, &activation);
        self.activations.insert(value.to_owned(), activation);
        Ok(())
    }

    /// Its output has the very scale of its input, for ONNX Runtime fuses no other and none is closer.
    fn pool(&mut self, node: &NodeProto) -> Result<(), QuantizeProblem> {
        let mut node = node.clone();
        let input = self.input(&node.input[0])?;
        node.input[0].clone_from(&input.dequantised);
        let value = node.output[0].clone();
        let float = format!("{value}.float");
        node.output[0].clone_from(&float);
        self.nodes.push(node);
        let activation = Activation { dequantised: value.clone(), ..input };
        self.quantise(&float, &value, &activation);
        self.activations.insert(value, activation);
        Ok(())
    }

    /// The scale and the zero point of a value, from its range.
    fn scaled(&mut self, value: &str, dequantised: String) -> Result<Activation, QuantizeProblem> {
        let unusable = || QuantizeProblem::Range(value.to_owned());
        let range = self.ranges.get(value).ok_or_else(unusable)?;
        let (low, high) = self.plan.bounds.get(value).copied().unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let range = Range { min: range.min.max(low), max: range.max.min(high) };
        let affine = Affine::covering(range).ok_or_else(unusable)?;
        let scale = self.constant(format!("{value}.scale"), FLOAT, &[], affine.scale.to_le_bytes().to_vec());
        let zero = self.constant(format!("{value}.zero"), UINT8, &[], vec![affine.zero]);
        Ok(Activation { dequantised, affine, scale, zero })
    }

    /// From the floats `float` to the eight bits of `value`, and back to floats under the activation's name.
    fn quantise(&mut self, float: &str, value: &str, activation: &Activation) {
        let Activation { dequantised, scale, zero, .. } = activation;
        let stored = format!("{value}.quantised");
        self.nodes.push(node("QuantizeLinear", &[float, scale, zero], &stored, None));
        let back = node("DequantizeLinear", &[&stored, scale, zero], dequantised, None);
        // The node whose result it is may bear the name of the value.
        self.nodes.push(NodeProto { name: format!("{value}.dequantised"), ..back });
    }

    /// The weights and the bias of a convolution, whose input has these steps.
    fn kernel(&mut self, conv: &mut NodeProto, input: Affine) -> Result<(), String> {
        let weight = self.constants.floats(&conv.input[1])?;
        let outputs = weight.shape.first().copied().unwrap_or(0);
        let bias = conv.input.get(2).map(|name| self.constants.floats(name)).transpose()?;
        let biases = bias.as_ref().map_or_else(|| vec![0.0; outputs], |bias| bias.data.clone());
        let groups = conv.attribute.iter().find(|attribute| attribute.name == "group").map_or(1, |group| group.i);
        let stored = weights::kernel(&weight, usize::try_from(groups).unwrap_or(0), &biases, input.scale);
        let stored = stored.ok_or_else(|| format!("the weights and the bias of {} do not fit", conv.name))?;
        let output = conv.output[0].clone();
        let bytes = stored.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        conv.input[1] = self.weights(&format!("{output}.weight"), (INT8, &weight.shape, bytes), &stored.scales, 0);
        if bias.is_some() {
            let stored = weights::biases(&biases, &stored.scales, input.scale);
            let bytes = stored.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            conv.input[2] = self.weights(&format!("{output}.bias"), (INT32, &[outputs], bytes), &stored.scales, 0);
        }
        Ok(())
    }

    /// The weights [inputs, outputs] of a multiplication.
    fn matrix(&mut self, matmul: &mut NodeProto) -> Result<(), String> {
        let weight = self.constants.floats(&matmul.input[1])?;
        let stored = weights::matrix(&weight).ok_or_else(|| format!("the weights of {} are empty", matmul.name))?;
        let bytes = stored.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let name = format!("{}.weight", matmul.output[0]);
        matmul.input[1] = self.weights(&name, (INT8, &weight.shape, bytes), &stored.scales, 1);
        Ok(())
    }

    /// Stored weights and the node that makes floats of them, with a scale for each place along `axis`; gives its output.
    fn weights(
        &mut self,
        name: &str,
        (data_type, shape, stored): (i32, &[usize], Vec<u8>),
        scales: &[f32],
        axis: i64,
    ) -> String {
        let zeros = vec![0; scales.len() * if data_type == INT8 { 1 } else { 4 }];
        let scale_bytes = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let stored = self.constant(format!("{name}.quantised"), data_type, shape, stored);
        let scale = self.constant(format!("{name}.scale"), FLOAT, &[scales.len()], scale_bytes);
        let zero = self.constant(format!("{name}.zero"), data_type, &[scales.len()], zeros);
        let dequantised = format!("{name}.dequantised");
        self.nodes.push(node("DequantizeLinear", &[&stored, &scale, &zero], &dequantised, Some(axis)));
        dequantised
    }

    fn constant(&mut self, name: String, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> String {
        let dims = shape.iter().map(|&size| size as i64).collect();
        self.added.push(TensorProto { dims, data_type, name: name.clone(), raw_data });
        name
    }
}

/// A node with one output, named after it.
fn node(operator: &str, inputs: &[&str], output: &str, axis: Option<i64>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: output.to_owned(),
        op_type: operator.to_owned(),
        attribute: axis.map(|axis| Attribute::Int("axis", axis).into()).into_iter().collect(),
    }
}
