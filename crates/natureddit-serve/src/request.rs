//! Reading what a client sent: a body within its limits, and the text and image in it.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use natureddit_model::ModelInput;

use crate::bodies::{ArrivingBody, BodyBudget, BodyMemory};
use crate::error::ApiError;

/// Parts of a multipart body; two are used, the rest is there for clients that send more.
const PARTS_MAX: usize = 16;

/// A body that is turned away is still read, and thrown away, up to this many times the largest size: a client that is
/// still writing when the connection closes often never sees the answer, and reading on keeps the connection, which
/// costs both sides less than a new handshake.
const DISCARDED_BODIES_MAX: usize = 4;

/// Limits on requests.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// Requests that have arrived and are prepared and waited for at one time; one more is answered 503.
    pub requests_max: usize,
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
    /// Time from the whole body to the answer; later is answered 504.
    pub response_timeout: Duration,
}

/// A text and an image to classify, as they were sent.
#[derive(Debug, Default)]
pub(crate) struct PredictionInput {
    text: Option<String>,
    image: Option<Bytes>,
    /// What the two take, until they are prepared.
    _memory: BodyMemory,
}

impl PredictionInput {
    /// What the model is asked.
    pub(crate) fn as_model_input(&self) -> ModelInput<'_> {
        ModelInput { text: self.text.as_deref(), image: self.image.as_deref() }
    }

    /// Reads a request: multipart with `text` and `image`, or the bytes of an image.
    ///
    /// # Errors
    /// A body that is too large, too slow, broken, of another kind, or over the budget.
    pub(crate) async fn read(request: Request, limits: &RequestLimits, budget: &BodyBudget) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let (body, memory) = read_body(body, expects_continue(&parts.headers), limits, budget).await?.finish();
        if body.is_empty() {
            return Ok(Self::default());
        }
        let input = match media_type(&parts.headers).as_str() {
            "multipart/form-data" => read_multipart(Request::from_parts(parts, Body::from(body))).await?,
            // TorchServe's own examples send `curl -T photo.jpg`, which names no type; what it is shows when it is read.
            "" | "application/octet-stream" => Self { image: Some(body), ..Self::default() },
            image if image.starts_with("image/") => Self { image: Some(body), ..Self::default() },
            other => return Err(ApiError::ContentType(other.to_owned())),
        };
        Ok(Self { _memory: memory, ..input })
    }
}

/// Reads and throws away the body of a request that is turned away for another reason.
pub(crate) async fn discard(request: Request, limits: &RequestLimits) {
    if !expects_continue(request.headers()) {
        // Whether it came whole is of no interest.
        let _ = tokio::time::timeout(limits.body_timeout, read_on(request.into_body(), limits, |_| {})).await;
    }
}

/// The media type without its parameters; empty where none is given.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
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
    if waits && body.size_hint().lower() > bytes_max as u64 {
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
        Ok(Err(error)) => Err(ApiError::BodyBroken(error.to_string())),
        Ok(Ok(())) => refused.map_or(Ok(arriving), Err),
    }
}

/// Gives each piece of a body to `each` until its end, or until more is read than [`DISCARDED_BODIES_MAX`] allows.
async fn read_on(mut body: Body, limits: &RequestLimits, mut each: impl FnMut(&[u8])) -> Result<(), axum::Error> {
    let read_max = limits.body_bytes_max.saturating_mul(DISCARDED_BODIES_MAX);
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

async fn read_multipart(request: Request) -> Result<PredictionInput, ApiError> {
    let multipart = Multipart::from_request(request, &()).await;
    let mut multipart = multipart.map_err(|e| ApiError::Multipart(e.body_text()))?;
    let mut input = PredictionInput::default();
    let mut parts = 0;
    while let Some(field) = multipart.next_field().await.map_err(|e| ApiError::Multipart(e.body_text()))? {
        parts += 1;
        if parts > PARTS_MAX {
            return Err(ApiError::TooManyParts { parts_max: PARTS_MAX });
        }
        match field.name() {
            Some("text") => set_once(&mut input.text, "text", read_text(field).await?)?,
            Some("image") => set_once(&mut input.image, "image", read_field(field).await?)?,
            // Skipped by asking for the next field.
            _ => {}
        }
    }
    Ok(input)
}

fn set_once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), ApiError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ApiError::FieldTwice(name)),
    }
}

async fn read_field(field: Field<'_>) -> Result<Bytes, ApiError> {
    field.bytes().await.map_err(|e| ApiError::Multipart(e.body_text()))
}

async fn read_text(field: Field<'_>) -> Result<String, ApiError> {
    let bytes = read_field(field).await?;
    let text = std::str::from_utf8(&bytes).map_err(ApiError::TextNotUtf8)?;
    Ok(text.to_owned())
}
