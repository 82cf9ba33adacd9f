//! ONNX files, written without Python: the messages, a graph builder, the graphs of the encoders, and their form in eight bits.

mod batch_norm;
mod bert;
mod compose;
mod efficientnet;
mod graph;
mod header;
mod program;
mod proto;
mod quantize;
mod resnet;

pub(crate) use bert::{Bert, Pooling, bert};
pub(crate) use compose::{ComposeProblem, compose};
pub(crate) use efficientnet::{EfficientNetLite, efficientnet_lite};
pub(crate) use header::{Header, Value, ValueType};
pub(crate) use program::{Floats, Integers, Program, Value as ProgramValue};
pub use quantize::ActivationRanges;
pub(crate) use quantize::{Observer, QuantizeProblem, quantize};
pub(crate) use resnet::{Block, ResNet, resnet};
