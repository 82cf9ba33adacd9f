//! What every request gets: an id, TorchServe's common headers and one line in the log.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use natureddit_core::ContentHasher;
use rustls::crypto::ring;
use serde::Serialize;

use crate::metrics::ResponseCounts;

/// What the log calls a request whose client went away before the answer, as nginx does.
const CLIENT_CLOSED_REQUEST: u16 = 499;

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
        let part =
            |range: Range<usize>| self.0.get(range).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0);
        [part(0..8), part(28..36)].map(|number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
    }
}

/// What all ports have in common that count their answers together.
pub(crate) struct Access {
    ids: RequestIds,
    responses: Arc<ResponseCounts>,
}

impl Access {
    /// Counts answers in `responses`.
    ///
    /// # Errors
    /// As [`RequestIds::new`].
    pub(crate) fn new(responses: Arc<ResponseCounts>) -> Result<Self, rustls::Error> {
        Ok(Self { ids: RequestIds::new()?, responses })
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
        path: request.uri().path().to_owned(),
        id: id.clone(),
        started: Instant::now(),
        status: CLIENT_CLOSED_REQUEST,
    };
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    line.status = response.status().as_u16();
    access.responses.answered(response.status());
    set_common_headers(response.headers_mut(), &id);
    response
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

/// Written when dropped, so that a request whose client went away has its line too. Holds nothing of the content.
struct AccessLine {
    method: Method,
    path: String,
    id: RequestId,
    started: Instant,
    status: u16,
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        let milliseconds = self.started.elapsed().as_millis();
        let Self { method, path, id, status, .. } = self;
        tracing::info!(%method, path, status, milliseconds, request_id = id.0, "request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
