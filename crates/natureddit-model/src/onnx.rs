//! ONNX files, written without Python: the messages, a graph builder, and the graphs of the encoders.

mod bert;
mod compose;
mod efficientnet;
mod graph;
mod proto;

pub(crate) use bert::{Bert, bert};
pub(crate) use compose::{ComposeProblem, compose};
pub(crate) use efficientnet::efficientnet_lite0;
