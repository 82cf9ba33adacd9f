//! A graph under construction: nodes, weights, inputs and outputs, in the order they are added.

use prost::Message;

use super::proto::{
    AttributeProto, Dimension, DimensionProto, FLOAT, GraphProto, INT64, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
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

    /// Declares a value as the graph's output and gives the finished file.
    pub(super) fn finish(mut self, output: &Name, shape: &[Option<i64>]) -> Vec<u8> {
        self.0.output.push(value_info(&output.0, FLOAT, shape));
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "natureddit".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.0),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        };
        model.encode_to_vec()
    }
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

fn value_info(name: &str, elem_type: i32, shape: &[Option<i64>]) -> ValueInfoProto {
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
