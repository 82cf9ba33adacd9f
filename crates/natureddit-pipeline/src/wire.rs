//! Formats of other tools, each in a module of its own and never the domain type.

pub(crate) mod anomalies;
pub(crate) mod example;
pub(crate) mod message;
pub mod metadata_v0;
pub(crate) mod schema;
pub(crate) mod text_format;
pub(crate) mod tfrecord;

pub use example::ExampleBytesError;
pub use tfrecord::TfRecordError;
