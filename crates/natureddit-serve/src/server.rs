//! A running server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use natureddit_core::Clock;
use tokio::task::{JoinError, JoinHandle};

use crate::access::RequestIds;
use crate::connection::{self, Door};
use crate::inference::{self, Inference, PreparationLimits};
use crate::registry::{LoadedModel, Registry};
use crate::request::RequestLimits;
use crate::tls::{self, TlsError, TlsFiles};

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
    /// Connections that are open at a time; one more is closed at once.
    pub connections_max: usize,
    /// Limits on requests.
    pub limits: RequestLimits,
    /// Limits on decoding and tokenising.
    pub preparation: PreparationLimits,
    /// How long [`Server::shutdown`] waits for requests that are under way.
    pub drain_timeout: Duration,
    /// The time, for a new certificate.
    pub clock: Clock,
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
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    /// Kept until shutdown, so that the models' threads are joined there.
    inference: Arc<Inference>,
    serving: Option<JoinHandle<io::Result<()>>>,
    drain_timeout: Duration,
}

impl Server {
    /// Listens and serves `models`; of a model without a version in the path, the default is asked, or the highest where
    /// none is.
    ///
    /// # Errors
    /// When the address is taken or a file of the certificate is unusable.
    pub async fn start(config: ServeConfig, models: Vec<LoadedModel>) -> Result<Self, ServeError> {
        let listening = |source| ServeError::Listen { address: config.address, source };
        let listener = TcpListener::bind(config.address).map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let ids = Arc::new(RequestIds::new().map_err(ServeError::Randomness)?);
        let tls = match config.tls {
            Some(files) => {
                let read = tokio::task::spawn_blocking(move || tls::read_tls(&files, &config.clock)).await??;
                Some(RustlsConfig::from_config(Arc::new(read)))
            }
            None => None,
        };
        let inference = Inference::new(Registry::new(models), config.limits.clone(), &config.preparation);
        let inference = Arc::new(inference);
        let app = inference::router(Arc::clone(&inference), ids).into_make_service();
        let handle = Handle::new();
        let server = axum_server::from_tcp(listener).map_err(listening)?.handle(handle.clone());
        let server = limited(server, &config.limits).accept_error_handler(connection::log_refused);
        let timeout = config.limits.header_timeout;
        let door = Door::new(config.connections_max, tls.is_some().then_some(timeout));
        let serving = match tls {
            None => tokio::spawn(server.acceptor(door).serve(app)),
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).handshake_timeout(timeout).acceptor(door);
                tokio::spawn(server.acceptor(acceptor).serve(app))
            }
        };
        Ok(Self { address, handle, inference, serving: Some(serving), drain_timeout: config.drain_timeout })
    }

    /// Where it listens, with the port it was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
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
        self.handle.graceful_shutdown(Some(self.drain_timeout));
        if let Some(serving) = self.serving.take() {
            serving.await?.map_err(ServeError::Accept)?;
        }
        // The last owner of the models joins their threads, which may still finish a batch.
        let inference = Arc::clone(&self.inference);
        drop(self);
        tokio::task::spawn_blocking(move || drop(inference)).await?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Bounds what a connection can hold without sending a request.
fn limited<A>(
    server: axum_server::Server<SocketAddr, A>,
    limits: &RequestLimits,
) -> axum_server::Server<SocketAddr, A> {
    let mut server = server.first_request_timeout(limits.header_timeout);
    let http = server.http_builder();
    http.http1().header_read_timeout(limits.header_timeout).max_buf_size(HEAD_BYTES_MAX);
    http.http2().keep_alive_interval(limits.header_timeout).keep_alive_timeout(limits.header_timeout);
    server
}
