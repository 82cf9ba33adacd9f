//! The running simulator.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{self, Query, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use natureddit_core::fs::FsError;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::{arctic_shift, oauth, pullpush};
use crate::config::SandboxConfig;
use crate::corpus::{Corpus, CorpusError};
use crate::dump::{self, DumpConfig, DumpReport};
use crate::fault::spoil;
use crate::log::LogEntry;
use crate::media;
use crate::script::{FaultAction, Script};
use crate::state::State;
use crate::truth::{Truth, Window};
use crate::zoo;

/// The hosts of the services that give posts, and the paths that stand for them.
const SERVICES: [(&str, &str); 4] = [
    ("api.pullpush.io", "/pullpush"),
    ("arctic-shift.photon-reddit.com", "/arctic"),
    ("oauth.reddit.com", ""),
    ("www.reddit.com", ""),
];

/// A running simulator on 127.0.0.1. It stops when it is dropped; [`Sandbox::stop`] also waits for that.
pub struct Sandbox {
    address: SocketAddr,
    state: Arc<State>,
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

impl Sandbox {
    /// Makes the corpus and starts to serve it.
    ///
    /// # Errors
    /// A corpus that cannot be made, or a port that is taken.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let made = tokio::task::spawn_blocking(move || Corpus::new(&config).map(|corpus| State::new(corpus, config)));
        let state = Arc::new(made.await??);
        let listen = |source| StartError::Listen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (stop, stopped) = oneshot::channel();
        // A dropped sender ends the wait too.
        let stopping = Arc::clone(&state);
        let until = async move {
            drop(stopped.await);
            stopping.stopping.send_replace(true);
        };
        let serve = axum::serve(listener, router(Arc::clone(&state))).with_graceful_shutdown(until);
        let server = tokio::spawn(serve.into_future());
        Ok(Self { address, state, stop, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For every host that the posts or their readers name, the address under which the simulator stands in for it:
    /// the original path and query are appended to that.
    #[must_use]
    pub fn host_map(&self) -> Vec<(String, String)> {
        let base = format!("http://{}", self.address);
        let services = SERVICES.map(|(host, path)| (host.to_owned(), format!("{base}{path}")));
        let media = media::HOSTS.iter().map(|host| ((*host).to_owned(), format!("{base}/media/{host}")));
        services.into_iter().chain(media).collect()
    }

    /// The simulator's time, in seconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.state.clock.now()
    }

    /// Moves the simulator's time on: tokens end, windows of requests begin anew, posts come to be seen.
    pub fn advance(&self, seconds: i64) {
        self.state.clock.advance(seconds);
    }

    /// Plans more that goes wrong; the faults' counts begin now.
    pub fn play(&self, script: Script) {
        self.state.play(script);
    }

    /// Forgets the planned faults, those that were not met yet too; what becomes of posts stays planned.
    pub fn mend(&self) {
        self.state.faults.clear();
    }

    /// Makes every token worthless.
    pub fn revoke_tokens(&self) {
        self.state.tokens.revoke_all();
    }

    /// What a correct client makes of the posts.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.state.truth
    }

    /// Times between which all posts lie.
    #[must_use]
    pub fn window(&self) -> Window {
        self.state.truth.window
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.state.log.entries()
    }

    /// How many requests there were since the start. Each counts before its answer is sent, so that whoever waits for the
    /// n-th meets the client in the middle of it.
    #[must_use]
    pub fn requests(&self) -> watch::Receiver<u64> {
        self.state.log.count()
    }

    /// Writes a dump of the posts that an archive has at the simulator's time.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_dump(&self, path: &Path, config: &DumpConfig) -> Result<DumpReport, FsError> {
        dump::write(&self.state, path, config)
    }

    /// Ends the requests that are being answered, takes no others and waits for the end.
    pub async fn stop(self) {
        drop(self.stop);
        // The server's own errors are those of single connections, which are its clients' to report.
        drop(self.server.await);
    }
}

fn router(state: Arc<State>) -> Router {
    let watched = Router::new()
        .route("/pullpush/reddit/search/submission/", get(pullpush::search))
        .route("/pullpush/reddit/search/submission", get(pullpush::search))
        .route("/arctic/api/posts/search", get(arctic_shift::search))
        .route("/arctic/api/posts/search/aggregate", get(arctic_shift::aggregate))
        .route("/arctic/api/posts/ids", get(arctic_shift::ids))
        .route("/media/{host}/{*path}", get(media::answer))
        .fallback(oauth::answer)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), watch));
    Router::new()
        .merge(watched)
        .route("/_sim/truth.json", get(async |extract::State(state): Shared| Json(state.truth.clone())))
        .route("/_sim/log", get(async |extract::State(state): Shared| Json(state.log.entries())))
        .route("/_sim/zoo.json", get(zoo_json))
        .route("/_sim/clock", get(clock))
        .route("/_sim/script", post(script))
        .with_state(state)
}

type Shared = extract::State<Arc<State>>;

/// Tells the time, after it has moved it on if that is asked for.
async fn clock(extract::State(state): Shared, Query(query): Query<BTreeMap<String, String>>) -> Response {
    match query.get("advance").map(|seconds| seconds.parse()) {
        Some(Ok(seconds)) => state.clock.advance(seconds),
        Some(Err(_)) => return (StatusCode::BAD_REQUEST, "advance must be whole seconds").into_response(),
        None => {}
    }
    Json(serde_json::json!({"now": state.clock.now()})).into_response()
}

/// What a careful reader makes of every file of the zoo.
async fn zoo_json() -> Response {
    let files = zoo::zoo().into_iter();
    let files = files.map(|file| serde_json::json!({"name": file.name, "expected": file.expected}));
    Json(files.collect::<Vec<_>>()).into_response()
}

/// Plans more that goes wrong.
async fn script(extract::State(state): Shared, body: String) -> Response {
    match Script::from_json(&body) {
        Ok(script) => {
            state.play(script);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            (StatusCode::BAD_REQUEST, format!("{error}: {why}")).into_response()
        }
    }
}

/// Keeps the log and carries out the planned faults.
async fn watch(extract::State(state): Shared, request: Request, next: Next) -> Response {
    let mut entry = entry(&request);
    let fault = state.faults.next(&entry.method, &entry.path);
    if fault == Some(FaultAction::Revoke) {
        state.tokens.revoke_all();
    }
    entry.at = state.clock.now();
    let mut answer = next.run(request).await;
    if let Some(action) = fault {
        answer = spoil(action, answer, state.stopping.subscribe()).await;
    }
    entry.status = answer.status().as_u16();
    state.log.push(entry);
    answer
}

/// What the log keeps of a request that is not answered yet.
fn entry(request: &Request) -> LogEntry {
    let text = |name| {
        let value = request.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    };
    LogEntry {
        number: 0,
        at: 0,
        method: request.method().to_string(),
        path: request.uri().to_string(),
        user_agent: text(header::USER_AGENT),
        accept: text(header::ACCEPT),
        has_token: request.headers().contains_key(header::AUTHORIZATION),
        status: 0,
    }
}
