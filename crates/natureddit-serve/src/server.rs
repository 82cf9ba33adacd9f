//! A running server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use natureddit_core::{Clock, ContentHash};
use tokio::task::{AbortHandle, JoinError, JoinHandle};

use crate::access::Access;
use crate::compat::Compat;
use crate::connection::{self, Door};
use crate::cors::{CorsConfig, CorsError, CorsHeaders};
use crate::inference::{self, Inference};
use crate::keys::{AccessKeys, KeyError};
use crate::management;
use crate::metrics::{self, Host, Metrics, MetricsMode, ResponseCounts};
use crate::models::Models;
use crate::prediction_log::{PredictionLog, PredictionLogConfig, PredictionLogError};
use crate::preparation::PreparationLimits;
use crate::request::RequestLimits;
use crate::tls::{self, TlsError, TlsFiles};
use crate::traces::{Traces, TracesConfig};
use crate::upkeep;

/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Its certificate; `None` serves plain HTTP. Whether that is allowed on an address others can reach is the
    /// caller's to decide.
    pub tls: Option<TlsFiles>,
    /// Connections that are open at a time on each port; one more is closed at once.
    pub connections_max: usize,
    /// How closely TorchServe is followed.
    pub compat: Compat,
    /// Limits on requests.
    pub limits: RequestLimits,
    /// Limits on decoding and tokenising.
    pub preparation: PreparationLimits,
    /// How long [`Server::shutdown`] waits for requests that are under way.
    pub drain_timeout: Duration,
    /// Who may change the models, and who may ask them.
    pub control: ControlConfig,
    /// Which pages of other origins may read answers; `None`: no page.
    pub cors: Option<CorsConfig>,
    /// Who is told what was counted.
    pub metrics: MetricsConfig,
    /// What is written down of predictions; `None` is nothing.
    pub prediction_log: Option<PredictionLogConfig>,
    /// Which requests are traced; `None` is none.
    pub traces: Option<TracesConfig>,
    /// The time, for a new certificate.
    pub clock: Clock,
}

/// Who is told what was counted.
#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// Where metrics are read; `None` is nowhere.
    pub address: Option<SocketAddr>,
    /// Whether that needs the key for predictions.
    pub needs_key: bool,
    /// Where they go.
    pub mode: MetricsMode,
}

/// Who may change the models, and who may ask them.
#[derive(Clone, Debug, Default)]
pub struct ControlConfig {
    /// Where models are managed; `None` is nowhere.
    pub management_address: Option<SocketAddr>,
    /// Whether that needs a key.
    pub management_key: bool,
    /// Whether models are neither registered nor unregistered there.
    pub models_fixed: bool,
    /// The file of the keys that clients show, made where it is missing; `None` asks nobody for a key.
    pub key_file: Option<PathBuf>,
    /// Whether predictions need a key as well.
    pub inference_key: bool,
    /// How often the key file, the certificate and the model store are looked at for changes; `None` is never.
    pub refresh_interval: Option<Duration>,
}

/// Why a server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There are no usable keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// What browsers are to be told cannot be said.
    #[error(transparent)]
    Cors(#[from] CorsError),
    /// Predictions cannot be written down.
    #[error(transparent)]
    PredictionLog(#[from] PredictionLogError),
    /// The system gives no random numbers.
    #[error("the system has no random numbers to give")]
    Randomness(#[source] rustls::Error),
    /// Accepting connections failed.
    #[error("the server stopped accepting connections")]
    Accept(#[source] io::Error),
    /// One of the server's tasks panicked.
    #[error("a task of the server failed")]
    Task(#[from] JoinError),
}

/// A server that answers requests until it is shut down or dropped; dropping it breaks off what is under way.
pub struct Server {
    predictions: Listening,
    management: Option<Listening>,
    metrics: Option<Listening>,
    /// Kept until shutdown, so that the models' threads are joined there.
    inference: Arc<Inference>,
    /// What is still to be sent when it is shut down.
    traces: Option<Arc<Traces>>,
    /// What goes on until the end.
    tasks: Vec<AbortHandle>,
    drain_timeout: Duration,
}

impl Server {
    /// Listens and serves `models`; of a model without a version in the path, the default is asked.
    ///
    /// # Errors
    /// When an address is taken or a file of the certificate or the keys is unusable.
    pub async fn start(config: ServeConfig, models: impl Into<Models>) -> Result<Self, ServeError> {
        let models = models.into();
        let listen = |address| {
            let listening = |source| ServeError::Listen { address, source };
            TcpListener::bind(address).map_err(listening)
        };
        let predictions = listen(config.address)?;
        let management = config.control.management_address.map(listen).transpose()?;
        let metrics = config.metrics.address.map(listen).transpose()?;
        let responses = Arc::new(ResponseCounts::new());
        let cors = CorsHeaders::new(config.cors.as_ref())?;
        let access = Access::new(Arc::clone(&responses), cors).map_err(ServeError::Randomness)?;
        let Files { tls_seen, tls, keys, host, prediction_log } = Files::read(&config).await?;
        let inference_keys = keys.clone().filter(|_| config.control.inference_key);
        let inference = Inference::new(models, inference_keys, prediction_log, &config);
        let inference = Arc::new(inference);
        let (traces, sending) = start_traces(&config)?.unzip();
        let access = Arc::new(access.tracing(traces.clone()));
        let port = Port::new(&config, tls.clone());
        let management_port = port.another();
        let app = inference::router(Arc::clone(&inference), Arc::clone(&access));
        let predictions = port.open(predictions, app)?;
        let management_keys = keys.clone().filter(|_| config.control.management_key);
        let models_fixed = config.control.models_fixed;
        // It has a door of its own, so that a crowd of those who ask for predictions keeps nobody from managing.
        let manage = |listener| {
            let app = management::router(Arc::clone(&inference), management_keys, models_fixed, access);
            management_port.open(listener, app)
        };
        let management = management.map(manage).transpose()?;
        let spans = traces.as_ref().map(|traces| Arc::clone(&traces.counts));
        let told = Arc::new(Metrics {
            inference: Arc::clone(&inference),
            responses,
            spans,
            doors: [port.door, management_port.door],
            host,
        });
        let log = (config.metrics.mode == MetricsMode::Log).then(|| metrics::log_every_so_often(Arc::clone(&told)));
        let metrics = metrics.map(|listener| open_metrics(listener, told, &config, &tls, &keys)).transpose()?;
        let upkeep = config.control.refresh_interval.map(|interval| {
            let certificate = config.tls.clone().zip(tls_seen).zip(tls).map(|((files, seen), served)| {
                upkeep::Certificate { files, seen, served, clock: config.clock.clone() }
            });
            upkeep::start(interval, Arc::clone(&inference), keys, certificate)
        });
        let tasks = upkeep.into_iter().chain(log).chain(sending).collect();
        Ok(Self { predictions, management, metrics, inference, traces, tasks, drain_timeout: config.drain_timeout })
    }

    /// Where it listens for predictions, with the port it was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.predictions.address
    }

    /// Where its models are managed.
    #[must_use]
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.management.as_ref().map(|listening| listening.address)
    }

    /// Where what was counted is read.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|listening| listening.address)
    }

    /// How many requests for a prediction are read, worked on or answered at this moment.
    #[must_use]
    pub fn requests_under_way(&self) -> usize {
        self.inference.requests_under_way()
    }

    /// Accepts no more connections, answers what is under way for at most the drain timeout, and unloads the models.
    ///
    /// # Errors
    /// When the server had stopped by itself before.
    pub async fn shutdown(mut self) -> Result<(), ServeError> {
        tracing::info!(requests = self.requests_under_way(), "stopping: no more connections are taken");
        self.listening().for_each(|listening| listening.handle.graceful_shutdown(Some(self.drain_timeout)));
        self.predictions.ended().await?;
        for listening in [&mut self.management, &mut self.metrics].into_iter().flatten() {
            listening.ended().await?;
        }
        if let Some(traces) = &self.traces {
            traces.flush().await;
        }
        // The last owner of the models joins their threads, which may still finish a batch.
        let inference = Arc::clone(&self.inference);
        drop(self);
        tokio::task::spawn_blocking(move || drop(inference)).await?;
        tracing::info!("stopped");
        Ok(())
    }

    fn listening(&self) -> impl Iterator<Item = &Listening> {
        [Some(&self.predictions), self.management.as_ref(), self.metrics.as_ref()].into_iter().flatten()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.listening().for_each(|listening| listening.handle.shutdown());
    }
}

/// What is read before anything is served.
struct Files {
    tls_seen: Option<[Option<ContentHash>; 2]>,
    tls: Option<RustlsConfig>,
    keys: Option<Arc<AccessKeys>>,
    host: Host,
    prediction_log: Option<PredictionLog>,
}

impl Files {
    async fn read(config: &ServeConfig) -> Result<Self, ServeError> {
        let config = config.clone();
        tokio::task::spawn_blocking(move || {
            // Before they are read: what is put there meanwhile is noticed at the first look.
            let tls_seen = config.tls.as_ref().map(tls::content);
            let tls = config.tls.map(|files| tls::read_tls(&files, &config.clock)).transpose()?;
            let key_file = config.control.key_file;
            let keys = key_file.map(|path| AccessKeys::open(&path, config.clock.clone())).transpose()?;
            let log = config.prediction_log.as_ref();
            Ok(Self {
                tls_seen,
                tls: tls.map(|tls| RustlsConfig::from_config(Arc::new(tls))),
                keys: keys.map(Arc::new),
                host: Host::new(),
                prediction_log: log.map(|log| PredictionLog::start(log, config.clock.clone())).transpose()?,
            })
        })
        .await?
    }
}

/// Starts what sends spans, where any are wanted.
fn start_traces(config: &ServeConfig) -> Result<Option<(Arc<Traces>, AbortHandle)>, ServeError> {
    let Some(wanted) = &config.traces else { return Ok(None) };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let started = Traces::start(wanted, scheme, config.clock.clone());
    started.map(|(traces, task)| Some((Arc::new(traces), task))).map_err(ServeError::Randomness)
}

/// Has a door of its own: a crowd at the others keeps nobody from seeing it.
fn open_metrics(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    config: &ServeConfig,
    tls: &Option<RustlsConfig>,
    keys: &Option<Arc<AccessKeys>>,
) -> Result<Listening, ServeError> {
    let keys = keys.clone().filter(|_| config.metrics.needs_key);
    // Who reads metrics is not counted among those who ask for predictions.
    let cors = CorsHeaders::new(config.cors.as_ref())?;
    let access = Access::new(Arc::new(ResponseCounts::new()), cors).map_err(ServeError::Randomness)?;
    let app = metrics::router(metrics, config.metrics.mode, keys, Arc::new(access));
    Port::new(config, tls.clone()).open(listener, app)
}

/// How a port is served.
struct Port {
    tls: Option<RustlsConfig>,
    door: Door,
    timeout: Duration,
}

impl Port {
    fn new(config: &ServeConfig, tls: Option<RustlsConfig>) -> Self {
        let timeout = config.limits.header_timeout;
        let tls_timeout = tls.is_some().then_some(timeout);
        let door = Door::new(config.connections_max, tls_timeout, config.limits.write_timeout, config.compat);
        Self { tls, door, timeout }
    }

    /// The same with a door of its own.
    fn another(&self) -> Self {
        Self { tls: self.tls.clone(), door: self.door.another(), timeout: self.timeout }
    }

    fn open(&self, listener: TcpListener, app: Router) -> Result<Listening, ServeError> {
        let address = listener.local_addr().map_err(ServeError::Accept)?;
        let app = app.into_make_service();
        let handle = Handle::new();
        let listening = |source| ServeError::Listen { address, source };
        let server = axum_server::from_tcp(listener).map_err(listening)?.handle(handle.clone());
        let server = limited(server, self.timeout).accept_error_handler(connection::log_refused);
        let door = self.door.clone();
        let serving = match &self.tls {
            None => tokio::spawn(server.acceptor(door).serve(app)),
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls.clone()).handshake_timeout(self.timeout).acceptor(door);
                tokio::spawn(server.acceptor(acceptor).serve(app))
            }
        };
        Ok(Listening { address, handle, serving: Some(serving) })
    }
}

/// A port that is served.
struct Listening {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    serving: Option<JoinHandle<io::Result<()>>>,
}

impl Listening {
    /// Waits until the last connection is closed.
    async fn ended(&mut self) -> Result<(), ServeError> {
        match self.serving.take() {
            Some(serving) => serving.await?.map_err(ServeError::Accept),
            None => Ok(()),
        }
    }
}

/// Bounds what a connection can hold without sending a request.
fn limited<A>(
    server: axum_server::Server<SocketAddr, A>,
    header_timeout: Duration,
) -> axum_server::Server<SocketAddr, A> {
    let mut server = server.first_request_timeout(header_timeout);
    let http = server.http_builder();
    http.http1().header_read_timeout(header_timeout).max_buf_size(HEAD_BYTES_MAX);
    http.http2().keep_alive_interval(header_timeout).keep_alive_timeout(header_timeout);
    server
}
