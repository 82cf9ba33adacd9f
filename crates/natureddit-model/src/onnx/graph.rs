//! A graph under construction: nodes, weights, inputs and outputs, in the order they are added.

use std::collections::BTreeSet;

use prost::Message;

use super::proto::{
    AttributeProto, Dimension, DimensionProto, FLOAT, GraphProto, INT64, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Operator set 20 is the first with `Gelu`; intermediate representation 9 goes with it.
const OPSET: i64 = 20;
const IR_VERSION: i64 = 9;

/// The name of a value in the graph.
#[derive(Clone, Debug)]
pub(super) struct Name(String);

/// A graph that grows node by node.
pub(super) struct GraphBuilder(GraphProto);

impl GraphBuilder {
    pub(super) fn new(name: &str) -> Self {
        Self(GraphProto { name: name.to_owned(), ..GraphProto::default() })
    }

    /// An input of floats; a size of `None` in `shape` is chosen at each run and named.
    pub(super) fn input_f32(&mut self, name: &str, shape: &[Option<i64>]) -> Name {
        self.0.input.push(value_info(name, FLOAT, shape));
        Name(name.to_owned())
    }

    /// An input of integers.
    pub(super) fn input_i64(&mut self, name: &str, shape: &[Option<i64>]) -> Name {
        self.0.input.push(value_info(name, INT64, shape));
        Name(name.to_owned())
    }

    /// The input of that name, which a graph that was taken in brought.
    pub(super) fn input(&self, name: &str) -> Option<Name> {
        self.0.input.iter().find(|input| input.name == name).map(|input| Name(input.name.clone()))
    }

    /// A constant tensor of floats.
    pub(super) fn weight(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Name {
        let raw = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, FLOAT, shape, raw)
    }

    /// A constant list of integers (shapes, axes).
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) -> Name {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, INT64, &[values.len()], raw)
    }

    /// A constant integer without a dimension.
    pub(super) fn integer(&mut self, name: &str, value: i64) -> Name {
        self.initializer(name, INT64, &[], value.to_le_bytes().to_vec())
    }

    fn initializer(&mut self, name: &str, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> Name {
        let dims = shape.iter().map(|&size| size as i64).collect();
        self.0.initializer.push(TensorProto { dims, data_type, name: name.to_owned(), raw_data });
        Name(name.to_owned())
    }

    /// A node with one output, named after the node.
    pub(super) fn node(&mut self, operator: &str, name: &str, inputs: &[&Name], attributes: Vec<Attribute>) -> Name {
        self.0.node.push(NodeProto {
            input: inputs.iter().map(|input| input.0.clone()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute: attributes.into_iter().map(AttributeProto::from).collect(),
        });
        Name(name.to_owned())
    }

    /// Takes in a graph that this program has written: its inputs keep their names, every other value gets one that begins
    /// with `prefix`. Gives its output.
    ///
    /// # Errors
    /// What is wrong with it: something in the file that is not understood would be lost.
    pub(super) fn absorb(&mut self, prefix: &str, onnx: &[u8]) -> Result<Name, String> {
        let graph = read(onnx)?;
        let inputs: BTreeSet<String> = graph.input.iter().map(|input| input.name.clone()).collect();
        // An empty name stands for an optional input that is left out.
        let rename = |name: String| match name.is_empty() || inputs.contains(&name) {
            true => name,
            false => format!("{prefix}{name}"),
        };
        let [output] = <[ValueInfoProto; 1]>::try_from(graph.output).map_err(|_| "it has not one output")?;
        self.0.input.extend(graph.input);
        self.0.node.extend(graph.node.into_iter().map(|node| NodeProto {
            input: node.input.into_iter().map(rename).collect(),
            output: node.output.into_iter().map(rename).collect(),
            name: format!("{prefix}{}", node.name),
            ..node
        }));
        let weights = graph.initializer.into_iter();
        self.0.initializer.extend(weights.map(|weight| TensorProto { name: rename(weight.name), ..weight }));
        Ok(Name(rename(output.name)))
    }

    /// Declares a value as the graph's output and gives the finished file.
    pub(super) fn finish(self, output: &Name, shape: &[Option<i64>]) -> Vec<u8> {
        self.model(&[Output::F32(output, shape)]).encode_to_vec()
    }

    /// As [`GraphBuilder::finish`], with several outputs, and what the file says of itself.
    ///
    /// # Errors
    /// How many bytes it would have, where that is more than a protobuf message may: 2 GB.
    pub(super) fn finish_described(
        self,
        outputs: &[Output<'_>],
        doc: &str,
        properties: &[(&str, String)],
    ) -> Result<Vec<u8>, u64> {
        let property =
            |(key, value): &(&str, String)| StringStringEntryProto { key: (*key).to_owned(), value: value.clone() };
        let mut model = self.model(outputs);
        model.doc_string = doc.to_owned();
        model.metadata_props = properties.iter().map(property).collect();
        let bytes = model.encoded_len();
        i32::try_from(bytes).map_err(|_| bytes as u64)?;
        Ok(model.encode_to_vec())
    }

    fn model(mut self, outputs: &[Output<'_>]) -> ModelProto {
        self.0.output.extend(outputs.iter().map(|output| match output {
            Output::F32(name, shape) => value_info(&name.0, FLOAT, shape),
            Output::I64(name, shape) => value_info(&name.0, INT64, shape),
        }));
        model(self.0)
    }
}

/// The graph of a file that this program has written.
///
/// # Errors
/// What is wrong with it: something in the file that is not understood would be lost.
pub(super) fn read(onnx: &[u8]) -> Result<GraphProto, String> {
    let model = ModelProto::decode(onnx).map_err(|e| e.to_string())?;
    if model.encoded_len() != onnx.len() {
        return Err("it has parts that this program does not write".to_owned());
    }
    let opsets: Vec<_> = model.opset_import.iter().map(|set| (set.domain.as_str(), set.version)).collect();
    if model.ir_version != IR_VERSION || opsets != [("", OPSET)] {
        return Err(format!("it is of version {} and operators {opsets:?}", model.ir_version));
    }
    model.graph.ok_or_else(|| "it has no graph".to_owned())
}

/// The file of a graph that is finished.
pub(super) fn write(graph: GraphProto) -> Vec<u8> {
    model(graph).encode_to_vec()
}

fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "natureddit".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: String::new(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: Vec::new(),
    }
}

/// A value that a graph gives, with its shape.
pub(super) enum Output<'a> {
    F32(&'a Name, &'a [Option<i64>]),
    I64(&'a Name, &'a [Option<i64>]),
}

/// A named constant of a node.
pub(super) enum Attribute {
    Float(&'static str, f32),
    Int(&'static str, i64),
    Ints(&'static str, Vec<i64>),
    Text(&'static str, &'static str),
}

impl From<Attribute> for AttributeProto {
    fn from(attribute: Attribute) -> Self {
        let empty = Self::default();
        match attribute {
            Attribute::Float(name, f) => Self { name: name.to_owned(), f, r#type: 1, ..empty },
            Attribute::Int(name, i) => Self { name: name.to_owned(), i, r#type: 2, ..empty },
            Attribute::Text(name, s) => Self { name: name.to_owned(), s: s.into(), r#type: 3, ..empty },
            Attribute::Ints(name, ints) => Self { name: name.to_owned(), ints, r#type: 7, ..empty },
        }
    }
}

pub(super) fn value_info(name: &str, elem_type: i32, shape: &[Option<i64>]) -> ValueInfoProto {
    let dimension = |(axis, size): (usize, &Option<i64>)| DimensionProto {
        value: Some(size.map_or_else(|| Dimension::Param(free_size(axis).to_owned()), Dimension::Value)),
    };
    let shape = TensorShapeProto { dim: shape.iter().enumerate().map(dimension).collect() };
    let tensor = TensorTypeProto { elem_type, shape: Some(shape) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

/// Only the batch and the sequence are free.
fn free_size(axis: usize) -> &'static str {
    if axis == 0 { "batch" } else { "sequence" }
}
