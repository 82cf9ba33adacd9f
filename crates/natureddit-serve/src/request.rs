//! Reading what a client sent: a body within its limits, and the texts and images in it.

mod base64;
mod fields;
mod form;
pub(crate) mod fuzzing;
mod json;
mod multipart;
mod tensors;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use natureddit_model::ModelInput;
use serde::de::DeserializeOwned;

use crate::bodies::{ArrivingBody, BodyBudget, BodyMemory};
use crate::error::ApiError;
use crate::inference::Inference;

pub(crate) use fields::Fields;
pub(crate) use json::read_instances;
pub(crate) use tensors::InferRequest;

/// Parts of a form; two are used, the rest is there for clients that send more.
const PARTS_MAX: usize = 16;

/// The longest list in JSON that is read at all, whatever the config allows: what a short body can make of memory.
const LIST_LEN_MAX: usize = 1_024;

/// What a client is told that a post can be sent as.
const POST_TYPES: &str = "multipart/form-data, application/x-www-form-urlencoded or application/json with text and image, text/plain, or an image";

/// A body that is turned away is still read, and thrown away, up to this many times the largest size: a client that is
/// still writing when the connection closes often never sees the answer, and reading on keeps the connection, which
/// costs both sides less than a new handshake.
const DISCARDED_BODIES_MAX: usize = 4;

/// So much of it is read whatever the largest size is: what is a large body is the client's to say, not the server's. Many
/// clients that speak HTTP/2 take the end of a stream that they still write to for an error, although the answer is there.
const DISCARDED_BYTES_MIN: usize = 64 << 20;

/// The largest body that is of use where models are managed.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Limits on requests.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// Requests that have arrived and are prepared and waited for at one time; one more is answered 503.
    pub requests_max: usize,
    /// The same as long as requests come faster than they are answered; at least 1.
    pub requests_crowded_max: usize,
    /// Bodies that are read at one time; one more is answered 503.
    pub bodies_max: usize,
    /// Bytes of all bodies together, from their arrival until they are prepared; one more is answered 503.
    pub bodies_bytes_max: usize,
    /// Bytes in a body; one more is answered 413.
    pub body_bytes_max: usize,
    /// Time for the first request of a connection to arrive. Over HTTP/1.1 the head of each later one has it too, the
    /// time before it included; over HTTP/2 it is how long a silent client is pinged for a sign of life.
    pub header_timeout: Duration,
    /// Time for the body to arrive; later is answered 408.
    pub body_timeout: Duration,
    /// The longest a client may take nothing of what is written to it; then the connection is closed.
    pub write_timeout: Duration,
    /// Time from the whole body to the answer; later is answered 504.
    pub response_timeout: Duration,
    /// Posts in one request of the KServe protocols; one more is answered 400. More than 1,024 are never read.
    pub instances_max: usize,
    /// Explanations that are worked on at one time; one more is answered 503.
    pub explanations_max: usize,
}

/// A body that has arrived within its limits and is not taken apart yet.
#[derive(Debug)]
pub(crate) struct Received {
    /// The media type without its parameters; empty where none is given.
    media_type: String,
    /// With its parameters.
    content_type: Option<HeaderValue>,
    body: Bytes,
    memory: BodyMemory,
}

impl Received {
    /// Waits for the body.
    ///
    /// # Errors
    /// A body that is too large, too slow, broken off, or over the budget.
    pub(crate) async fn read(request: Request, limits: &RequestLimits, budget: &BodyBudget) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let (body, memory) = read_body(body, expects_continue(&parts.headers), limits, budget).await?.finish();
        let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
        Ok(Self { media_type: media_type(content_type.as_ref()), content_type, body, memory })
    }

    /// Takes one post out of the body: a text and an image in a form or in JSON, or one of the two as it is. An empty body
    /// is a post of which nothing is known. Decodes base64: nothing for an async thread, although reading the parts of a
    /// multipart body has to be awaited.
    ///
    /// # Errors
    /// A body that is broken or of another kind.
    pub(crate) async fn into_input(self) -> Result<PredictionInput, ApiError> {
        let Self { media_type, content_type, body, memory } = self;
        if body.is_empty() {
            return Ok(PredictionInput::default());
        }
        let fields = match media_type.as_str() {
            "multipart/form-data" => multipart::read(content_type, body).await?,
            "application/x-www-form-urlencoded" => form::read(&body)?,
            "application/json" => json::read_post(&body)?,
            "text/plain" => Fields { text: Some(fields::text(&body)?), image: None },
            // TorchServe's own examples send `curl -T photo.jpg`, which names no type; what it is shows when it is read.
            "" | "application/octet-stream" => Fields { text: None, image: Some(body) },
            image if image.starts_with("image/") => Fields { text: None, image: Some(body) },
            _ => return Err(ApiError::ContentType { found: media_type, readable: POST_TYPES }),
        };
        Ok(PredictionInput::new(fields, Arc::new(memory)))
    }

    /// The body of a request in JSON and its share of the budget.
    ///
    /// # Errors
    /// When it is said to be something else.
    pub(crate) fn into_json(self) -> Result<(Bytes, Arc<BodyMemory>), ApiError> {
        match self.media_type.as_str() {
            "application/json" | "" => Ok((self.body, Arc::new(self.memory))),
            _ => Err(ApiError::ContentType { found: self.media_type, readable: "application/json" }),
        }
    }
}

/// A text and an image to classify, as they were sent.
#[derive(Debug, Default)]
pub(crate) struct PredictionInput {
    fields: Fields,
    /// What the body took that the two came in, until they are prepared.
    _memory: Arc<BodyMemory>,
}

impl PredictionInput {
    /// Of a body that takes `memory`.
    pub(crate) fn new(fields: Fields, memory: Arc<BodyMemory>) -> Self {
        Self { fields, _memory: memory }
    }

    /// The title.
    pub(crate) fn text(&self) -> Option<&str> {
        self.fields.text.as_deref()
    }

    /// The bytes of the photo.
    pub(crate) fn image(&self) -> Option<&Bytes> {
        self.fields.image.as_ref()
    }

    /// What the model is asked.
    pub(crate) fn as_model_input(&self) -> ModelInput<'_> {
        ModelInput { text: self.fields.text.as_deref(), image: self.fields.image.as_deref() }
    }
}

/// Reads and throws away the body of a request that is turned away for another reason.
pub(crate) async fn discard(request: Request, limits: &RequestLimits) {
    if !expects_continue(request.headers()) {
        // Whether it came whole is of no interest.
        let _ = tokio::time::timeout(limits.body_timeout, read_on(request.into_body(), limits, |_| {})).await;
    }
}

/// Where only small bodies are wanted: reads the whole of it before there is an answer, which a client that still writes may
/// lose, and hands on as much as may be wanted. A larger one is thrown away.
pub(crate) async fn read_first(State(inference): State<Arc<Inference>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if expects_continue(&parts.headers) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let (mut kept, mut fits) = (BytesMut::new(), true);
    let reading = read_on(body, &inference.limits, |data| {
        fits = fits && kept.len().saturating_add(data.len()) <= SMALL_BYTES_MAX;
        if fits {
            kept.extend_from_slice(data);
        }
    });
    // Half a body is none.
    let is_whole = tokio::time::timeout(inference.limits.body_timeout, reading).await.is_ok_and(|read| read.is_ok());
    let kept = if is_whole && fits { Body::from(kept.freeze()) } else { Body::empty() };
    next.run(Request::from_parts(parts, kept)).await
}

/// A small body in JSON; `None` where there is none, or something else.
///
/// # Errors
/// When it is another JSON than what is wanted.
pub(crate) async fn small_json<T: DeserializeOwned>(request: Request) -> Result<Option<T>, ApiError> {
    let (parts, body) = request.into_parts();
    if media_type(parts.headers.get(header::CONTENT_TYPE)) != "application/json" {
        return Ok(None);
    }
    let body = axum::body::to_bytes(body, SMALL_BYTES_MAX).await.map_err(|_| ApiError::ClientLeft)?;
    if body.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&body).map(Some).map_err(|error| ApiError::Json(error.to_string()))
}

fn media_type(content_type: Option<&HeaderValue>) -> String {
    let value = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the client waits for a word before it sends the body.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

async fn read_body(
    body: Body,
    waits: bool,
    limits: &RequestLimits,
    budget: &BodyBudget,
) -> Result<ArrivingBody, ApiError> {
    let bytes_max = limits.body_bytes_max;
    // What is so long that its end would not be read anyway is not waited for.
    let read_max = if waits { bytes_max } else { discarded_bytes_max(limits) };
    if body.size_hint().lower() > read_max as u64 {
        return Err(ApiError::BodyTooLarge { bytes_max });
    }
    let mut arriving = ArrivingBody::default();
    let mut refused = None;
    let reading = read_on(body, limits, |data| {
        if refused.is_none() {
            let fits = arriving.len().saturating_add(data.len()) <= bytes_max;
            let kept = if fits { arriving.push(data, budget) } else { Err(ApiError::BodyTooLarge { bytes_max }) };
            if let Err(error) = kept {
                refused = Some(error);
                // Others can have the memory while the rest is thrown away.
                arriving = ArrivingBody::default();
            }
        }
    });
    match tokio::time::timeout(limits.body_timeout, reading).await {
        Err(_elapsed) => Err(ApiError::BodyTooSlow(limits.body_timeout)),
        Ok(Err(error)) if is_malformed(&error) => Err(ApiError::BodyBroken(error.to_string())),
        Ok(Err(_)) => Err(ApiError::ClientLeft),
        Ok(Ok(())) => refused.map_or(Ok(arriving), Err),
    }
}

/// Whether a body is wrong as HTTP has it, as chunks without a length are; else its connection or stream has ended.
fn is_malformed(error: &axum::Error) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let kinds = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.into_iter().any(|kind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

/// So much is read of a body that is thrown away.
fn discarded_bytes_max(limits: &RequestLimits) -> usize {
    limits.body_bytes_max.saturating_mul(DISCARDED_BODIES_MAX).max(DISCARDED_BYTES_MIN)
}

/// Gives each piece of a body to `each` until its end, or until [`discarded_bytes_max`] are read.
async fn read_on(mut body: Body, limits: &RequestLimits, mut each: impl FnMut(&[u8])) -> Result<(), axum::Error> {
    let read_max = discarded_bytes_max(limits);
    let mut read = 0_usize;
    while read <= read_max
        && let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        let Ok(data) = frame?.into_data() else { continue };
        read = read.saturating_add(data.len());
        each(&data);
    }
    Ok(())
}
