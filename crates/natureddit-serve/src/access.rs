//! What every request gets: an id, TorchServe's common headers, one line in the log, and a span where it is traced.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use natureddit_core::ContentHasher;
use rustls::crypto::ring;
use serde::Serialize;

use crate::cors::CorsHeaders;
use crate::error;
use crate::metrics::ResponseCounts;
use crate::traces::{Traced, Traces};

/// What the log calls a request whose client went away before the answer, as nginx does.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request and of the prediction it was answered with: a random UUID (version 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Two numbers from 0 up to 1, evenly spread over all ids and independent of each other.
    pub(crate) fn draws(&self) -> [f64; 2] {
        [self.part(0..8), self.part(28..36)].map(|number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
    }

    /// A third such number, from the digits 10 to 13 and 25 to 28: who has the id knows whether the prediction was written down.
    pub(crate) fn draw_for_log(&self) -> f64 {
        let number = self.part(9..13) << 16 | self.part(24..28);
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    }

    fn part(&self, range: Range<usize>) -> u32 {
        self.0.get(range).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0)
    }
}

/// What all ports have in common that count their answers together.
pub(crate) struct Access {
    ids: RequestIds,
    responses: Arc<ResponseCounts>,
    cors: CorsHeaders,
    /// `None` where nothing is traced.
    traces: Option<Arc<Traces>>,
}

impl Access {
    /// Counts answers in `responses`, and gives them the headers of `cors`.
    ///
    /// # Errors
    /// As [`RequestIds::new`].
    pub(crate) fn new(responses: Arc<ResponseCounts>, cors: CorsHeaders) -> Result<Self, rustls::Error> {
        Ok(Self { ids: RequestIds::new()?, responses, cors, traces: None })
    }

    /// The same, with spans of its requests.
    #[must_use]
    pub(crate) fn tracing(self, traces: Option<Arc<Traces>>) -> Self {
        Self { traces, ..self }
    }
}

/// Hands out request ids: a random seed hashed with a counter, so that no request can fail for want of randomness.
struct RequestIds {
    seed: [u8; 32],
    next: AtomicU64,
}

impl RequestIds {
    /// With a seed from the system.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    fn new() -> Result<Self, rustls::Error> {
        let mut seed = [0; 32];
        ring::default_provider().secure_random.fill(&mut seed)?;
        Ok(Self { seed, next: AtomicU64::new(0) })
    }

    fn next(&self) -> RequestId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let hash = ContentHasher::new().part(self.seed).part(count.to_le_bytes()).finish();
        let hex = hash.to_string();
        // The digit of the version and the two bits of the variant, RFC 9562 section 5.4.
        let variant = ['8', '9', 'a', 'b'][usize::from(hash.as_bytes()[8] & 0b11)];
        let [time_low, time_mid, version, variant_rest, node] =
            [&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]];
        RequestId(format!("{time_low}-{time_mid}-4{version}-{variant}{variant_rest}-{node}"))
    }
}

/// Gives the request its id, and the answer that id and the headers all answers have; writes the log line.
pub(crate) async fn record(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let id = access.ids.next();
    let mut line = AccessLine {
        method: request.method().clone(),
        started: Instant::now(),
        answered: Answered {
            path: logged_path(request.uri().path()),
            request_bytes: request.body().size_hint().exact(),
            response_bytes: None,
            origin: None,
            id: id.clone(),
            status: CLIENT_CLOSED_REQUEST,
        },
        traced: access.traces.as_ref().and_then(|traces| traces.begin(&mut request)),
    };
    request.extensions_mut().insert(id.clone());
    let mut response = match access.cors.is_asked_beforehand(request.method(), request.headers()) {
        true => StatusCode::OK.into_response(),
        false => next.run(request).await,
    };
    // What is said to a client that is gone, nobody hears.
    if !error::is_of_client_that_left(&response) {
        line.answered.status = response.status().as_u16();
        line.answered.response_bytes = response.body().size_hint().exact();
        access.responses.answered(response.status());
    }
    line.answered.origin = response.extensions_mut().remove::<Origin>();
    set_common_headers(response.headers_mut(), &id);
    access.cors.set(response.headers_mut());
    response
}

/// The path that is logged is no longer than this, in bytes: a client may send as much of it as fits a head.
const PATH_BYTES_MAX: usize = 256;

/// A path, or the beginning of a long one. It holds no control characters: those have no place in a URI.
fn logged_path(path: &str) -> String {
    path[..path.floor_char_boundary(PATH_BYTES_MAX)].to_owned()
}

/// The version of a model that an answer came from, for the log.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) model: Arc<str>,
    pub(crate) version: u64,
}

/// As TorchServe answers; its `x-request-id` too is the server's own, whatever the client sent.
fn set_common_headers(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache; no-store, must-revalidate, private"));
    headers.insert(header::EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 UTC"));
}

/// What is told of a request and its answer: nothing of their content.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(crate) path: String,
    pub(crate) id: RequestId,
    /// Or [`CLIENT_CLOSED_REQUEST`].
    pub(crate) status: u16,
    /// Of the body; `None` where the client did not say beforehand.
    pub(crate) request_bytes: Option<u64>,
    /// Of the body; `None` where there is no answer.
    pub(crate) response_bytes: Option<u64>,
    /// Of an answer that a model gave.
    pub(crate) origin: Option<Origin>,
}

/// Written when dropped, so that a request whose client went away has its line too.
struct AccessLine {
    method: Method,
    started: Instant,
    answered: Answered,
    /// `None` where it is not.
    traced: Option<Traced>,
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        // To the microsecond.
        let milliseconds = (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let Self { method, answered, .. } = self;
        let Answered { path, id, status, request_bytes, response_bytes, origin } = answered;
        let (model, version) = (origin.as_ref().map(|it| &*it.model), origin.as_ref().map(|it| it.version));
        tracing::info!(
            %method, path, status, milliseconds, request_bytes, response_bytes, model, version, request_id = id.0,
            "request"
        );
        if let Some(traced) = self.traced.take() {
            traced.finish(self.answered.clone(), self.started);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_between_two_letters() {
        assert_eq!(logged_path("/ping"), "/ping");
        let long = format!("/{}", "ü".repeat(PATH_BYTES_MAX));
        assert_eq!(logged_path(&long).len(), PATH_BYTES_MAX - 1);
    }

    #[test]
    fn ids_are_version_4_uuids_and_differ() {
        let ids = RequestIds::new().unwrap();
        let (one, two) = (ids.next().0, ids.next().0);
        assert_ne!(one, two);
        let groups: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
