//! What an ONNX file says of its inputs and outputs. Nothing else of it is kept, however large it is.

use std::fmt;

use prost::Message;

use super::proto::{Dimension, FLOAT, INT64, ValueInfoProto};

/// The parts of `onnx.ModelProto` that are looked at; all others are skipped.
#[derive(Clone, PartialEq, Message)]
struct ModelHeader {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphHeader>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphHeader {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<InitializerHeader>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
struct InitializerHeader {
    #[prost(string, tag = "8")]
    name: String,
    /// EXTERNAL = 1: the values are in another file.
    #[prost(int32, tag = "14")]
    data_location: i32,
}

const EXTERNAL: i32 = 1;

/// The inputs and outputs of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<Value>,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) value_type: ValueType,
    /// `None` for a size that each run chooses; `None` as a whole where the file does not say it.
    pub(crate) shape: Option<Vec<Option<i64>>>,
}

/// The type of a value's elements, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    F32,
    I64,
    Other(i32),
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => f.write_str("float32"),
            Self::I64 => f.write_str("int64"),
            Self::Other(number) => write!(f, "ONNX's type {number}"),
        }
    }
}

impl Header {
    /// Reads what a file says of itself.
    ///
    /// # Errors
    /// When it is no ONNX file, or one that keeps weights in files of their own.
    pub(crate) fn read(onnx: &[u8]) -> Result<Self, String> {
        let model = ModelHeader::decode(onnx).map_err(|e| format!("it is no ONNX file: {e}"))?;
        let graph = model.graph.ok_or("it is no ONNX file: it has no graph")?;
        if let Some(outside) = graph.initializer.iter().find(|weight| weight.data_location == EXTERNAL) {
            return Err(format!("its weight {} is kept in another file: save it as one file", outside.name));
        }
        // Files of old versions list weights among the inputs.
        let is_weight = |value: &ValueInfoProto| graph.initializer.iter().any(|weight| weight.name == value.name);
        let inputs = graph.input.iter().filter(|value| !is_weight(value)).map(Value::from).collect();
        Ok(Self { inputs, outputs: graph.output.iter().map(Value::from).collect() })
    }
}

impl From<&ValueInfoProto> for Value {
    fn from(info: &ValueInfoProto) -> Self {
        let tensor = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
        let value_type = match tensor.map_or(0, |tensor| tensor.elem_type) {
            FLOAT => ValueType::F32,
            INT64 => ValueType::I64,
            other => ValueType::Other(other),
        };
        let size = |dimension: &Option<Dimension>| match dimension {
            Some(Dimension::Value(size)) => Some(*size),
            Some(Dimension::Param(_)) | None => None,
        };
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        let shape = shape.map(|shape| shape.dim.iter().map(|dimension| size(&dimension.value)).collect());
        Self { name: info.name.clone(), value_type, shape }
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::GraphBuilder;
    use super::super::proto::{GraphProto, ModelProto, TensorProto};
    use super::*;

    #[test]
    fn a_graph_tells_its_inputs_and_outputs() {
        let mut graph = GraphBuilder::new("g");
        let pixels = graph.input_f32("pixels", &[None, Some(3)]);
        let ids = graph.input_i64("ids", &[None]);
        let output = graph.node("Add", "sum", &[&pixels, &ids], vec![]);
        let header = Header::read(&graph.finish(&output, &[None, Some(7)])).unwrap();
        let value = |name: &str, value_type, shape| Value { name: name.to_owned(), value_type, shape: Some(shape) };
        let inputs = [value("pixels", ValueType::F32, vec![None, Some(3)]), value("ids", ValueType::I64, vec![None])];
        assert_eq!(header.inputs, inputs);
        assert_eq!(header.outputs, [value("sum", ValueType::F32, vec![None, Some(7)])]);
    }

    #[test]
    fn what_is_no_graph_of_one_file_is_refused() {
        assert!(Header::read(b"<html>").unwrap_err().starts_with("it is no ONNX file"));
        assert_eq!(Header::read(b"").unwrap_err(), "it is no ONNX file: it has no graph");
        let weight = TensorProto { dims: vec![1], data_type: FLOAT, name: "w".to_owned(), raw_data: vec![] };
        let mut weight = weight.encode_to_vec();
        // Field 14, which our own files do not have.
        weight.extend([14 << 3, 1]);
        let graph = [vec![5 << 3 | 2, weight.len() as u8], weight].concat();
        let file = [vec![7 << 3 | 2, graph.len() as u8], graph].concat();
        assert_eq!(Header::read(&file).unwrap_err(), "its weight w is kept in another file: save it as one file");
        let empty = ModelProto { graph: Some(GraphProto::default()), ..ModelProto::default() };
        assert_eq!(Header::read(&empty.encode_to_vec()).unwrap(), Header { inputs: vec![], outputs: vec![] });
    }
}
