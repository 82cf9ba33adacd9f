//! Carries out the planned faults.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::script::{Fault, FaultAction};
use crate::stored;

/// No answer of a simulator is longer.
const BODY_BYTES_MAX: usize = 256 << 20;
/// In how many pieces a slow answer comes.
const PIECES: usize = 8;

/// The planned faults and how many requests each has seen.
pub(crate) struct FaultScript(RwLock<Vec<(Fault, AtomicU64)>>);

impl FaultScript {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        let script = Self(RwLock::default());
        script.add(faults);
        script
    }

    /// Plans more faults; their count begins now.
    pub(crate) fn add(&self, faults: Vec<Fault>) {
        let mut planned = self.0.write().unwrap_or_else(PoisonError::into_inner);
        planned.extend(faults.into_iter().map(|fault| (fault, AtomicU64::new(0))));
    }

    /// Forgets them all.
    pub(crate) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault that this request meets. Every fault counts every request that concerns it.
    pub(crate) fn next(&self, method: &str, path: &str) -> Option<FaultAction> {
        let mut met = None;
        for (fault, seen) in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if concerns(fault, method, path) {
                let count = seen.fetch_add(1, Ordering::SeqCst) + 1;
                let due = count >= fault.nth && count - fault.nth < fault.times;
                met = met.or_else(|| due.then(|| fault.action.clone()));
            }
        }
        met
    }
}

fn concerns(fault: &Fault, method: &str, path: &str) -> bool {
    (fault.method.is_empty() || fault.method.eq_ignore_ascii_case(method))
        && (fault.host.is_empty() || fault.host == host_of(path))
        && contains(path, &fault.path_contains)
}

/// The host that a path of the simulator stands for.
fn host_of(path: &str) -> &str {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next(), parts.next()) {
        (Some("pullpush"), _) => "api.pullpush.io",
        (Some("arctic"), _) => "arctic-shift.photon-reddit.com",
        (Some("media"), Some(host)) => host,
        _ if path == "/api/v1/access_token" || path.ends_with(".json") => "www.reddit.com",
        _ => "oauth.reddit.com",
    }
}

/// Whether the parts of `pattern` between its stars are in `text`, one after the other.
fn contains(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|part| {
        let found = rest.find(part);
        rest = found.map_or(rest, |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

/// The answer as the fault leaves it. A fault that takes its time ends when `stopping` tells.
pub(crate) async fn spoil(action: FaultAction, answer: Response, stopping: watch::Receiver<bool>) -> Response {
    match action {
        FaultAction::Status { code, retry_after } => {
            let mut answer = (status(code), "").into_response();
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            answer
        }
        FaultAction::Answer { code, headers, body } => {
            let mut answer = (status(code), body).into_response();
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                    answer.headers_mut().insert(name, value);
                }
            }
            answer
        }
        FaultAction::TooManyPage { retry_after } => too_many_page(retry_after),
        FaultAction::TooManyJson => too_many_json(),
        FaultAction::TooManyHeaders { reset } => {
            let mut answer = too_many_json();
            for (name, value) in [("used", "1"), ("remaining", "0.0"), ("reset", &reset.to_string())] {
                let name = HeaderName::try_from(format!("x-ratelimit-{name}"));
                if let (Ok(name), Ok(value)) = (name, value.parse()) {
                    answer.headers_mut().insert(name, value);
                }
            }
            answer
        }
        FaultAction::Revoke => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"reddit\", error=\"invalid_token\"")];
            (StatusCode::UNAUTHORIZED, challenge, Json(json!({"error": 401}))).into_response()
        }
        FaultAction::Empty => StatusCode::OK.into_response(),
        FaultAction::Html => {
            let page = "<!doctype html>\n<html><body>blocked by network security</body></html>\n";
            ([(header::CONTENT_TYPE, "text/html; charset=UTF-8")], page).into_response()
        }
        // An error before the first byte makes the server close the connection with nothing sent.
        FaultAction::Reset => Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(broken())]))),
        _ => spoil_body(action, answer, stopping).await,
    }
}

/// The faults that leave something of the answer's body.
async fn spoil_body(action: FaultAction, answer: Response, stopping: watch::Receiver<bool>) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Ok(whole) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match action {
        FaultAction::Truncated => cut(parts, &whole, Duration::ZERO, stopping),
        FaultAction::Stall { milliseconds } => cut(parts, &whole, Duration::from_millis(milliseconds), stopping),
        FaultAction::Drip { milliseconds } => drip(parts, whole, Duration::from_millis(milliseconds), true, stopping),
        FaultAction::Gzip => {
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Response::from_parts(parts, Body::from(stored::gzip(&whole)))
        }
        FaultAction::Chunked => drip(parts, whole, Duration::ZERO, false, stopping),
        FaultAction::MalformedJson => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(whole.slice(..whole.len().saturating_sub(1))))
        }
        action => {
            let Ok(mut page) = serde_json::from_slice::<Value>(&whole) else {
                return Response::from_parts(parts, Body::from(whole));
            };
            if let Some(records) = records(&mut page) {
                edit(&action, records);
            }
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(page.to_string()))
        }
    }
}

/// The list of a page, in whichever service's shape.
fn records(page: &mut Value) -> Option<&mut Vec<Value>> {
    let data = page.get_mut("data")?;
    if data.is_array() { data.as_array_mut() } else { data.get_mut("children")?.as_array_mut() }
}

fn edit(action: &FaultAction, records: &mut Vec<Value>) {
    match action {
        FaultAction::ShortPage { keep } => records.truncate(*keep),
        FaultAction::MissingRecord { at } if *at < records.len() => drop(records.remove(*at)),
        FaultAction::Shuffled => {
            // Odd ones first, each half from its end: no record stays where it was but by chance.
            let (even, odd): (Vec<_>, Vec<_>) = records.drain(..).enumerate().partition(|(at, _)| at % 2 == 0);
            records.extend(odd.into_iter().rev().chain(even.into_iter().rev()).map(|(_, record)| record));
        }
        FaultAction::Twice => *records = records.drain(..).flat_map(|record| [record.clone(), record]).collect(),
        _ => {}
    }
}

/// Half of the body under the whole one's length; then, after a while, the end of the connection.
fn cut(mut parts: Parts, whole: &Bytes, wait: Duration, stopping: watch::Receiver<bool>) -> Response {
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    let body = stream::unfold(Some((half, stopping)), move |rest| async move {
        match rest {
            Some((half, stopping)) if !half.is_empty() => Some((Ok(half), Some((Bytes::new(), stopping)))),
            // Lets the first half out before the connection goes.
            Some((_, stopping)) => {
                pause(wait, stopping).await;
                tokio::task::yield_now().await;
                Some((Err(broken()), None))
            }
            None => None,
        }
    });
    Response::from_parts(parts, Body::from_stream(body))
}

/// The body in pieces, under its length or without one.
fn drip(
    mut parts: Parts,
    whole: Bytes,
    wait: Duration,
    with_length: bool,
    stopping: watch::Receiver<bool>,
) -> Response {
    parts.headers.remove(header::CONTENT_LENGTH);
    if with_length {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    }
    let size = whole.len().div_ceil(PIECES).max(1);
    let pieces: Vec<Bytes> =
        (0..whole.len()).step_by(size).map(|at| whole.slice(at..(at + size).min(whole.len()))).collect();
    let body = stream::iter(pieces).then(move |piece| {
        let stopping = stopping.clone();
        async move {
            pause(wait, stopping).await;
            Ok::<_, std::io::Error>(piece)
        }
    });
    Response::from_parts(parts, Body::from_stream(body))
}

/// Waits, but not longer than the simulator runs.
async fn pause(wait: Duration, mut stopping: watch::Receiver<bool>) {
    if !wait.is_zero() {
        // Nobody left to tell means that the simulator is gone too.
        drop(tokio::time::timeout(wait, stopping.wait_for(|stopping| *stopping)).await);
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn too_many_page(retry_after: u32) -> Response {
    let page = format!(
        "<!doctype html>\n<html>\n  <head><title>Too Many Requests</title></head>\n  <body>\n    \
         <h1>whoa there, pardner!</h1>\n<p>please wait {retry_after} second(s) and try again.</p>\n  </body>\n</html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8")),
        (header::RETRY_AFTER, HeaderValue::from(retry_after)),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, page).into_response()
}

fn too_many_json() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, Json(json!({"message": "Too Many Requests", "error": 429}))).into_response()
}

fn broken() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "a planned fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_planned_requests_fail() {
        let script = FaultScript::new(vec![Fault::new("/media", 2, 2, FaultAction::Empty)]);
        let met = |path| script.next("GET", path).is_some();
        let requests = ["/media/a", "/pullpush", "/media/b", "/media/c", "/media/d"];
        assert_eq!(requests.map(met), [false, false, true, true, false]);
    }

    #[test]
    fn a_fault_may_be_of_one_host_and_one_method() {
        let fault = |host: &str, method: &str, path: &str| Fault {
            host: host.into(),
            method: method.into(),
            ..Fault::new(path, 1, 99, FaultAction::Reset)
        };
        let cases = [
            (fault("i.redd.it", "", ""), "/media/i.redd.it/a.jpg", true),
            (fault("i.redd.it", "", ""), "/media/preview.redd.it/a.jpg", false),
            (fault("oauth.reddit.com", "", "/r/*/new?*limit=100"), "/r/a+b/new?raw_json=1&limit=100", true),
            (fault("oauth.reddit.com", "", "/r/*/new?*limit=100"), "/r/a+b/new?limit=50", false),
            (fault("www.reddit.com", "POST", ""), "/api/v1/access_token", false),
            (fault("www.reddit.com", "GET", ""), "/r/a/new.json?limit=1", true),
            (fault("arctic-shift.photon-reddit.com", "get", "ids"), "/arctic/api/posts/ids?ids=a", true),
        ];
        for (fault, path, expected) in cases {
            assert_eq!(concerns(&fault, "GET", path), expected, "{path}");
        }
    }

    #[test]
    fn pages_are_edited_in_every_shape() {
        let edited = |mut page: Value, action| {
            edit(&action, records(&mut page).unwrap());
            page
        };
        let page = json!({"data": [0, 1, 2, 3]});
        assert_eq!(edited(page.clone(), FaultAction::ShortPage { keep: 1 }), json!({"data": [0]}));
        assert_eq!(edited(page.clone(), FaultAction::MissingRecord { at: 1 }), json!({"data": [0, 2, 3]}));
        assert_eq!(edited(page.clone(), FaultAction::MissingRecord { at: 9 }), page);
        assert_eq!(edited(page, FaultAction::Shuffled), json!({"data": [3, 1, 2, 0]}));
        let listing = json!({"data": {"children": [7], "after": null}});
        assert_eq!(edited(listing, FaultAction::Twice), json!({"data": {"children": [7, 7], "after": null}}));
    }
}
