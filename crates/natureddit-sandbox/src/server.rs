//! The running simulator.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::config::{AfterMode, SandboxConfig};
use crate::corpus::{Corpus, CorpusError};
use crate::fault::{FaultScript, spoil};
use crate::log::{LogEntry, RequestLog};
use crate::media;
use crate::search;
use crate::truth::{Truth, Window};

/// A running simulator on 127.0.0.1. It stops when it is dropped; [`Sandbox::stop`] also waits for that.
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

/// A simulator that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The corpus cannot be made.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The thread that made the corpus ended early.
    #[error("the corpus was not finished")]
    Unfinished(#[from] tokio::task::JoinError),
}

/// What every request sees.
struct Shared {
    corpus: Corpus,
    after: AfterMode,
    faults: FaultScript,
    log: RequestLog,
    /// Pictures drawn at one time: as many as there are processors.
    drawing: Semaphore,
}

impl Sandbox {
    /// Makes the corpus and starts to serve it.
    ///
    /// # Errors
    /// A corpus that cannot be made, or a port that is taken.
    pub async fn start(mut config: SandboxConfig) -> Result<Self, StartError> {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let (after, faults) = (config.after, std::mem::take(&mut config.faults));
        let corpus = tokio::task::spawn_blocking(move || Corpus::new(&config)).await??;
        let listen = |source| StartError::Listen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        let shared = Arc::new(Shared {
            corpus,
            after,
            faults: FaultScript::new(faults),
            log: RequestLog::default(),
            drawing: Semaphore::new(processors),
        });
        let (stop, stopped) = oneshot::channel();
        // A dropped sender ends the wait too.
        let until = async { drop(stopped.await) };
        let serve = axum::serve(listener, router(Arc::clone(&shared))).with_graceful_shutdown(until);
        let server = tokio::spawn(serve.into_future());
        Ok(Self { address, shared, stop, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For every host that the posts name, the address under which the simulator stands in for it: the original
    /// path and query are appended to that.
    #[must_use]
    pub fn host_map(&self) -> Vec<(String, String)> {
        let base = format!("http://{}", self.address);
        let media = media::HOSTS.iter().map(|host| ((*host).to_owned(), format!("{base}/media/{host}")));
        std::iter::once(("api.pullpush.io".to_owned(), format!("{base}/pullpush"))).chain(media).collect()
    }

    /// What a correct client makes of the posts.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.shared.corpus.truth
    }

    /// Times between which all posts lie.
    #[must_use]
    pub fn window(&self) -> Window {
        self.shared.corpus.truth.window
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.shared.log.entries()
    }

    /// Ends the requests that are being answered, takes no others and waits for the end.
    pub async fn stop(self) {
        drop(self.stop);
        // The server's own errors are those of single connections, which are its clients' to report.
        drop(self.server.await);
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let watched = Router::new()
        .route("/pullpush/reddit/search/submission/", get(submissions))
        .route("/pullpush/reddit/search/submission", get(submissions))
        .route("/media/{host}/{file}", get(picture))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), watch));
    Router::new()
        .merge(watched)
        .route("/_sim/truth.json", get(async |State(shared): State<Arc<Shared>>| Json(shared.corpus.truth.clone())))
        .route("/_sim/log", get(async |State(shared): State<Arc<Shared>>| Json(shared.log.entries())))
        .with_state(shared)
}

async fn submissions(State(shared): State<Arc<Shared>>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    search::answer(&shared.corpus.posts, shared.after, &query)
}

async fn picture(
    State(shared): State<Arc<Shared>>,
    Path((host, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let media = match media::look_up(&shared.corpus, &host, &file, query.as_deref().unwrap_or_default()) {
        Ok(media) => media,
        Err(status) => return status.into_response(),
    };
    let Ok(_permit) = shared.drawing.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let drawn = tokio::task::spawn_blocking(move || media::serve(&media, &file)).await;
    drawn.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
}

/// Keeps the log and carries out the planned faults.
async fn watch(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().to_string();
    let agent =
        request.headers().get(header::USER_AGENT).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    let fault = shared.faults.next(&path);
    let mut answer = next.run(request).await;
    if let Some(action) = fault {
        answer = spoil(action, answer).await;
    }
    shared.log.push(method, path, agent.unwrap_or_default(), answer.status().as_u16());
    answer
}
