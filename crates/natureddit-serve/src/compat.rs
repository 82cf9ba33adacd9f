//! How closely TorchServe is followed.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::ext::ReasonPhrase;

use crate::error::Refusal;
use crate::reply;

/// How closely TorchServe is followed where it answers otherwise than a client needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// Bad input is answered 400 with a reason, and clients of the KServe protocols are served.
    Own,
    /// The paths, statuses, messages and headers of TorchServe 0.12, for clients that depend on them.
    Strict,
}

/// Says what was refused in TorchServe's words.
pub(crate) async fn to_the_letter(request: Request, next: Next) -> Response {
    let version = request.version();
    let response = next.run(request).await;
    let Some(refusal @ Refusal(_)) = response.extensions().get().cloned() else { return response };
    let (status, body) = refusal.0.to_the_letter();
    let mut told = match body {
        Some(body) => reply::json(status, &body),
        None => bare(status),
    };
    // HTTP/2 has no such header.
    if version < Version::HTTP_2 {
        told.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    told.extensions_mut().insert(refusal);
    told
}

/// No body, and the phrase of the day when TorchServe was written.
fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
    }
    response
}
