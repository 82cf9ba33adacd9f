//! What a run of the pipeline leaves for whoever compares runs: settings, figures an epoch, figures of the evaluation,
//! reports and the model.
//!
//! ```text
//! tracking/open/<id>.json        a run that began; there after it only if its process was killed
//! tracking/runs/<id>/run.json    a run, whole: what was told of it, written before anything is sent
//!                    artifacts/  files that were made by it
//!                    bundle/     the model's files, as hard links, until they are sent
//!                    outbox.json how far it was sent; absent where no server was configured
//! ```
//!
//! Without a server this folder is the tracker. With one, the [`outbox`] sends every run in order and once: each step
//! looks first whether it was done, and is written down after it, so that whoever ends the program or the server in
//! between changes only when the rest is sent.

pub mod local;
pub mod mlflow;
mod number;
pub mod outbox;
mod record;
pub mod recorder;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use natureddit_core::Secret;
use natureddit_net::{ClientConfig, NetError};
use url::Url;

pub use local::{DamagedRun, LocalStore, StoredRun};
pub use outbox::{Sent, Which};
pub use record::settings_params;
pub use recorder::{Recorder, RunContext};
pub use run::{Metric, RunStatus, TrackedModel, TrackedRun};

use mlflow::Mlflow;

/// How runs are tracked.
#[derive(Clone, Debug)]
pub struct TrackingConfig {
    /// The folder of tracked runs.
    pub dir: PathBuf,
    /// The project folder, where the addresses of bundles start.
    pub project_dir: PathBuf,
    /// The model store.
    pub models_dir: PathBuf,
    /// The experiment that runs belong to.
    pub experiment: String,
    /// The registered model that pushed models become versions of.
    pub registered_model: String,
    /// What the newest pushed version is called by.
    pub alias: String,
    /// Which models are sent.
    pub models: Models,
    /// The names of files that are kept of a run.
    pub artifacts: Vec<String>,
    /// Larger files are left out, in bytes.
    pub artifact_bytes_max: u64,
    /// Where runs are sent to; `None`: nowhere.
    pub server: Option<ServerConfig>,
}

/// Which models are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    /// Those that were pushed.
    Pushed,
    /// Every one that was trained.
    All,
    /// None.
    None,
}

/// A server that the user named.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Its address, with the prefix of its paths.
    pub uri: Url,
    /// Who asks.
    pub credentials: Option<Credentials>,
    /// How it is talked to.
    pub client: ClientConfig,
    /// The longest the upload of one file may take.
    pub upload_timeout: Duration,
}

/// Who asks the server.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
}

/// Where runs are kept and sent to.
#[derive(Debug)]
pub struct Tracking {
    /// The local store.
    pub store: LocalStore,
    pub(crate) server: Option<Mlflow>,
    pub(crate) config: TrackingConfig,
}

/// The trackers that the settings name: the local store, and the server where there is one.
///
/// # Errors
/// When no client for the server can be made.
pub fn from_config(config: TrackingConfig) -> Result<Tracking, NetError> {
    let server = match &config.server {
        None => None,
        Some(server) => Some(Mlflow::new(server)?),
    };
    Ok(Tracking { store: LocalStore::new(config.dir.clone()), server, config })
}

impl Tracking {
    /// The server's address as it may be shown; `None` where runs are sent nowhere.
    #[must_use]
    pub fn server(&self) -> Option<String> {
        self.server.as_ref().map(Mlflow::address)
    }
}

#[cfg(test)]
mod tests;
