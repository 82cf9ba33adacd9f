//! What the two servers share: objects in memory, who may ask, what was asked, and what goes wrong next.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

/// What happens to a request instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// This status, and what was sent is said back.
    Status(u16),
    /// The connection closes without an answer.
    Reset,
    /// The body announces its length and ends half-way.
    CutShort,
    /// The first part of what is sent is read, and then nothing more.
    Stall,
}

#[derive(Default)]
pub(crate) struct Store {
    /// By path, decoded, without the first `/`.
    pub(crate) objects: BTreeMap<String, Bytes>,
    /// Parts of uploads that are under way.
    pub(crate) uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    /// A header that each request must have, and what must be in it.
    pub(crate) wanted: Option<(&'static str, String)>,
    /// `GET path?query`, in the order they came.
    pub(crate) log: Vec<String>,
    /// Headers of the last upload.
    pub(crate) upload_headers: HeaderMap,
    /// Of the next requests for objects.
    pub(crate) faults: VecDeque<Fault>,
    /// Of each request for an object whose description contains this.
    pub(crate) fault_for: Option<(&'static str, Fault)>,
    /// That a request is stalled.
    pub(crate) stalled: Arc<Notify>,
}

/// A server on a free port.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    store: Arc<Mutex<Store>>,
}

/// A request, read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    /// Of a `Range` header, the first byte and the last.
    pub(crate) range: Option<(usize, usize)>,
}

pub(crate) type Answer = fn(&mut Store, &Asked) -> Response<Body>;

impl Server {
    pub(crate) async fn start(answer: Answer) -> Self {
        let store = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), store };
        let router = Router::new().fallback(handle).with_state((server.clone(), answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// What was asked since the last time.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.store().log)
    }
}

async fn handle(State((server, answer)): State<(Server, Answer)>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let path = decoded(head.uri.path().trim_start_matches('/'));
    let what = format!("{} {path}{}{query}", head.method, if query.is_empty() { "" } else { "?" });
    let (fault, is_known) = {
        let mut store = server.store();
        store.log.push(what.clone());
        let is_known = store.wanted.as_ref().is_none_or(|(name, value)| {
            head.headers.get(*name).and_then(|header| header.to_str().ok()).is_some_and(|header| header.contains(value))
        });
        if matches!(head.method, Method::PUT | Method::POST) {
            store.upload_headers = head.headers.clone();
        }
        let fixed = store.fault_for.filter(|(part, _)| what.contains(part)).map(|(_, fault)| fault);
        (fixed.or_else(|| store.faults.pop_front()), is_known)
    };
    match fault {
        Some(Fault::Reset) => std::panic::resume_unwind(Box::new("the connection is closed")),
        Some(Fault::Stall) => {
            let mut parts = body.into_data_stream();
            parts.next().await.unwrap().unwrap();
            let stalled = Arc::clone(&server.store().stalled);
            stalled.notify_one();
            return std::future::pending().await;
        }
        _ => (),
    }
    // Of an upload that breaks off nothing is kept.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return status(400, "") };
    match fault {
        Some(Fault::Status(code)) => return status(code, &format!("{:?}", head.headers)),
        _ if !is_known => return status(if head.headers.contains_key("x-amz-date") { 403 } else { 401 }, ""),
        _ => (),
    }
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    // In a query, a space may be a plus.
    let query = query.map(|(name, value)| (decoded(name), decoded(&value.replace('+', " ")))).collect();
    let range = head.headers.get(header::RANGE).and_then(|range| {
        let (first, last) = range.to_str().unwrap().strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().unwrap(), last.parse().unwrap()))
    });
    let asked = Asked { method: head.method, path, query, body, range };
    let answered = answer(&mut server.store(), &asked);
    if fault == Some(Fault::CutShort) { cut_short(answered).await } else { answered }
}

async fn cut_short(answered: Response<Body>) -> Response<Body> {
    let (mut head, body) = answered.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    let parts = stream::iter([Ok(half), Err(std::io::Error::other("the end"))]);
    Response::from_parts(head, Body::from_stream(parts))
}

pub(crate) fn status(code: u16, body: &str) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

pub(crate) fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let digits = || String::from_utf8(vec![rest.next().unwrap(), rest.next().unwrap()]).unwrap();
        bytes.push(if byte == b'%' { u8::from_str_radix(&{ digits }(), 16).unwrap() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}
