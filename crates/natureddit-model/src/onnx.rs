//! ONNX files, written without Python: the messages, a graph builder, the graphs of the encoders, and their form in eight bits.

mod bert;
mod compose;
mod efficientnet;
mod graph;
mod proto;
mod quantize;

pub(crate) use bert::{Bert, bert};
pub(crate) use compose::{ComposeProblem, compose};
pub(crate) use efficientnet::efficientnet_lite0;
pub use quantize::ActivationRanges;
pub(crate) use quantize::{Observer, QuantizeProblem, quantize};
