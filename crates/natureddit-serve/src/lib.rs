//! The server: dynamic batching, model registry, inference and management API in TorchServe's form, HTTPS.
//!
//! What is absent: no pipeline and no dataset is known here; the server is given bundle folders.

mod access;
mod admissions;
mod batcher;
mod bodies;
mod compat;
pub mod config_properties;
mod connection;
mod cors;
mod error;
pub mod fuzzing;
mod inference;
mod keys;
mod loaded;
mod loader;
mod management;
mod metrics;
mod models;
mod prediction_log;
mod preparation;
mod registry;
mod remote;
mod reply;
mod request;
mod saved;
mod server;
mod settings;
mod store;
mod tls;
mod traces;
mod upkeep;

pub use batcher::{Answers, BatchError, BatchLimits, Batcher, Reply, SubmitError};
pub use compat::Compat;
pub use cors::{CorsConfig, CorsError, OriginError};
pub use keys::KeyError;
pub use loaded::{LoadedModel, StartWorker, Worker, WorkerError};
pub use loader::{LoadError, Loader, ModelsConfig};
pub use metrics::MetricsMode;
pub use models::Models;
pub use prediction_log::{PredictionLogConfig, PredictionLogError};
pub use preparation::PreparationLimits;
pub use remote::{AllowedUrlError, AllowedUrls, ArchiveSource, FetchArchive};
pub use request::RequestLimits;
pub use server::{ControlConfig, MetricsConfig, ServeConfig, ServeError, Server};
pub use settings::{SettingsByVersion, VersionSettings};
pub use store::{ModelChoice, StoreError};
pub use tls::{CERTIFICATE_FILE, TlsError, TlsFiles};
pub use traces::{SendSpans, TracesConfig};
