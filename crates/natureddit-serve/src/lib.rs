//! The server: dynamic batching, model registry, inference API in TorchServe's form, HTTPS.
//!
//! What is absent: no pipeline and no dataset is known here; the server is given bundle folders.

mod access;
mod batcher;
mod bodies;
mod connection;
mod error;
mod inference;
mod registry;
mod reply;
mod request;
mod server;
mod store;
mod tls;

pub use batcher::{BatchError, BatchLimits, Batcher, Reply, SubmitError};
pub use inference::PreparationLimits;
pub use registry::{LoadError, LoadedModel, ModelsConfig, load_models};
pub use request::RequestLimits;
pub use server::{ServeConfig, ServeError, Server};
pub use store::{ModelChoice, StoreError};
pub use tls::{CERTIFICATE_FILE, TlsError, TlsFiles};
