//! A graph of this program's own as something that burn calculates and learns: every encoder that is built here can be tuned
//! without being written down a second time, and what was learnt goes back into the same graph.
//!
//! Batch norms are folded into their convolutions, so they are learnt as scale and shift, with the statistics as they were.

mod operators;
mod step;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeSet, HashMap};

use burn::tensor::{Device, Tensor, TensorData};

use super::graph::{read, write};
use super::proto::{FLOAT, GraphProto, INT64, TensorProto, TensorTypeProto, TypeProto, ValueInfoProto};
use step::Step;
use value::padded;
pub(crate) use value::{Floats, Integers, Value};

/// A graph whose last part learns. The first part, before the cut, is calculated elsewhere.
#[derive(Debug)]
pub(crate) struct Program {
    graph: GraphProto,
    /// Where the part that learns begins: the value that goes into it; `None` where all of the graph learns.
    cut: Option<String>,
    /// What is calculated, in order.
    steps: Vec<Step>,
    /// The places of the weights that learn, among the graph's.
    learnt: Vec<usize>,
}

impl Program {
    /// Takes a graph apart. What learns are all its weights, or with `block` those of the node whose name first begins so, and
    /// of the nodes behind it. A weight is a constant of floats with a dimension: limits and masks have none.
    ///
    /// # Errors
    /// What is wrong with the graph: it is not one of this program's, or has an operator that cannot be learnt.
    pub(crate) fn read(onnx: &[u8], block: Option<&str>) -> Result<Self, String> {
        let graph = read(onnx)?;
        let begins = |block: &str| graph.node.iter().find(|node| node.name.starts_with(block));
        let input = |block| {
            let found = begins(block).and_then(|node| node.input.first());
            found.cloned().ok_or_else(|| format!("it has no block {block}"))
        };
        let cut = block.map(input).transpose()?;
        let outputs = graph.output.iter().map(|output| output.name.as_str());
        let nodes = needed(&graph, outputs, cut.as_deref());
        let steps = nodes.iter().map(|&at| Step::read(&graph.node[at])).collect::<Result<Vec<_>, _>>()?;
        let used: BTreeSet<&str> = steps.iter().flat_map(|step| &step.inputs).map(String::as_str).collect();
        let learns = |weight: &TensorProto| {
            weight.data_type == FLOAT && !weight.dims.is_empty() && used.contains(weight.name.as_str())
        };
        let learnt = (0..graph.initializer.len()).filter(|&at| learns(&graph.initializer[at])).collect();
        Ok(Self { cut, steps, learnt, graph })
    }

    /// The name of the value where the part that learns begins; `None` where all of the graph learns.
    pub(crate) fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// The part before the cut as a file whose output is the cut.
    pub(crate) fn stem(&self) -> Option<Vec<u8>> {
        let cut = self.cut.as_deref()?;
        let nodes = needed(&self.graph, [cut].into_iter(), None);
        let node: Vec<_> = nodes.into_iter().map(|at| self.graph.node[at].clone()).collect();
        let used: BTreeSet<&str> = node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        let weights = self.graph.initializer.iter().filter(|weight| used.contains(weight.name.as_str()));
        // Its shape is for the runtime to find out.
        let tensor = TypeProto { tensor_type: Some(TensorTypeProto { elem_type: FLOAT, shape: None }) };
        let output = vec![ValueInfoProto { name: cut.to_owned(), r#type: Some(tensor) }];
        let (initializer, input) = (weights.cloned().collect(), self.graph.input.clone());
        Some(write(GraphProto { node, name: self.graph.name.clone(), initializer, input, output }))
    }

    /// The weights that learn, as they are in the graph, row-major.
    pub(crate) fn parameters(&self) -> Vec<Vec<f32>> {
        self.learnt.iter().map(|&at| floats(&self.graph.initializer[at].raw_data)).collect()
    }

    /// Weights as tensors, ready for [`Program::run`].
    pub(crate) fn tensors(&self, parameters: &[Vec<f32>], device: &Device) -> Vec<Tensor<4>> {
        let tensor = |(&at, values): (&usize, &Vec<f32>)| {
            Tensor::from_data(TensorData::new(values.clone(), padded(&shape(&self.graph.initializer[at]))), device)
        };
        self.learnt.iter().zip(parameters).map(tensor).collect()
    }

    /// The graph's output, of what goes into it (or into the part behind the cut) by name.
    ///
    /// # Errors
    /// When a value is missing or is not what an operator takes.
    pub(crate) fn run(
        &self,
        inputs: Vec<(&str, Value)>,
        parameters: &[Tensor<4>],
        device: &Device,
    ) -> Result<Floats, String> {
        let mut known: HashMap<&str, Value> = inputs.into_iter().collect();
        let mut learnt = self.learnt.iter().zip(parameters).peekable();
        for (at, weight) in self.graph.initializer.iter().enumerate() {
            let value = match learnt.next_if(|(learnt, _)| **learnt == at) {
                Some((_, tensor)) => Floats::new(tensor.clone(), weight.dims.len()).into(),
                None => match constant(weight) {
                    Some(value) => value,
                    None => continue,
                },
            };
            known.insert(&weight.name, value);
        }
        for step in &self.steps {
            let failed = |reason: String| format!("{}: {reason}", step.output);
            let find = |name: &String| known.get(name.as_str()).ok_or_else(|| failed(format!("{name} is not known")));
            let inputs = step.inputs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
            let value = step.operator.calculate(&inputs, device).map_err(failed)?;
            known.insert(&step.output, value);
        }
        let output = self.graph.output.first().and_then(|output| known.remove(output.name.as_str()));
        match output {
            Some(Value::Floats(floats)) => Ok(*floats),
            _ => Err("it has no output of floats".to_owned()),
        }
    }

    /// The whole graph as a file, with other weights in the place of those that learn.
    pub(crate) fn write(&self, parameters: &[Vec<f32>]) -> Vec<u8> {
        let mut graph = self.graph.clone();
        for (&at, values) in self.learnt.iter().zip(parameters) {
            graph.initializer[at].raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        }
        write(graph)
    }
}

/// The places of the nodes that `outputs` depend on where `given` is known, in the graph's order, which is one in which they
/// can be calculated.
fn needed<'g>(graph: &'g GraphProto, outputs: impl Iterator<Item = &'g str>, given: Option<&str>) -> Vec<usize> {
    let mut wanted: BTreeSet<&str> = outputs.collect();
    let mut nodes = Vec::new();
    for (at, node) in graph.node.iter().enumerate().rev() {
        let is_wanted = |output: &String| wanted.contains(output.as_str()) && given != Some(output);
        if node.output.iter().any(is_wanted) {
            nodes.push(at);
            wanted.extend(node.input.iter().map(String::as_str));
        }
    }
    nodes.reverse();
    nodes
}

/// A constant that does not learn: a number, or integers.
fn constant(weight: &TensorProto) -> Option<Value> {
    match weight.data_type {
        FLOAT if weight.dims.is_empty() => floats(&weight.raw_data).first().map(|&number| Value::Number(number)),
        INT64 => {
            let (numbers, _) = weight.raw_data.as_chunks();
            let values = numbers.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect();
            Some(Value::Integers(Integers { shape: shape(weight), values }))
        }
        _ => None,
    }
}

fn shape(weight: &TensorProto) -> Vec<usize> {
    weight.dims.iter().map(|&size| size as usize).collect()
}

fn floats(raw: &[u8]) -> Vec<f32> {
    let (numbers, _) = raw.as_chunks();
    numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}
