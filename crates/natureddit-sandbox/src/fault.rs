//! Carries out the planned faults.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::config::{Fault, FaultAction};

/// No answer of a simulator is longer.
const BODY_BYTES_MAX: usize = 256 << 20;

/// The planned faults and how many requests each has seen.
pub(crate) struct FaultScript(Vec<(Fault, AtomicU64)>);

impl FaultScript {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self(faults.into_iter().map(|fault| (fault, AtomicU64::new(0))).collect())
    }

    /// The fault that this request meets. Every fault counts every request that concerns it.
    pub(crate) fn next(&self, path: &str) -> Option<FaultAction> {
        let mut met = None;
        for (fault, seen) in &self.0 {
            if path.contains(&fault.path_contains) {
                let count = seen.fetch_add(1, Ordering::SeqCst) + 1;
                let due = count >= fault.nth && count - fault.nth < fault.times;
                met = met.or_else(|| due.then_some(fault.action));
            }
        }
        met
    }
}

/// The answer as the fault leaves it.
pub(crate) async fn spoil(action: FaultAction, answer: Response) -> Response {
    match action {
        FaultAction::Status { code, retry_after } => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = (status, "").into_response();
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            answer
        }
        FaultAction::Empty => StatusCode::OK.into_response(),
        // An error before the first byte makes the server close the connection with nothing sent.
        FaultAction::Reset => Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(broken())]))),
        FaultAction::Truncated => truncate(answer).await,
    }
}

async fn truncate(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let Ok(whole) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    let body = stream::unfold(Some(half), |rest| async move {
        match rest {
            Some(half) if !half.is_empty() => Some((Ok(half), None)),
            // Lets the first half out before the connection goes.
            _ => {
                tokio::task::yield_now().await;
                Some((Err(broken()), None))
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(body))
}

fn broken() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "a planned fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_planned_requests_fail() {
        let fault = Fault { path_contains: "/media".into(), nth: 2, times: 2, action: FaultAction::Empty };
        let script = FaultScript::new(vec![fault]);
        let met = |path| script.next(path).is_some();
        let requests = ["/media/a", "/pullpush", "/media/b", "/media/c", "/media/d"];
        assert_eq!(requests.map(met), [false, false, true, true, false]);
    }
}
