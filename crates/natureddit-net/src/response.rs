//! Answers: whole ones, and those whose body is still to come.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use crate::error::{NetError, redacted};
use crate::guard;
use crate::retry::RateLimit;

/// What of the body of a refusal is kept: enough to see what the server said.
const REFUSAL_BYTES_MAX: usize = 64_000;

/// The most memory that is reserved for a body before it comes.
const RESERVED_BYTES_MAX: u64 = 8_000_000;

/// A whole answer. Any status is an answer: see [`Response::require_success`].
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status of the last attempt.
    pub status: u16,
    /// The address that answered, after redirects; as named, not as mapped.
    pub final_url: Url,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The body, decompressed; of a refusal only the first 64 kB.
    pub body: Bytes,
    pub(crate) headers: HeaderMap,
    /// How long a refusal asks to be left alone for.
    pub(crate) wait: Option<Duration>,
}

impl Response {
    /// A header as text; `None` if there is none, or one that is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the server says about how much more it may be asked.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        RateLimit::read(&self.headers)
    }

    /// The answer, if its status is 2xx.
    ///
    /// # Errors
    /// [`NetError::Status`] with the address, the status and the wait that was asked for.
    pub fn require_success(self) -> Result<Self, NetError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(NetError::Status { url: redacted(&self.final_url), status: self.status, wait: self.wait })
    }
}

/// An answer whose body is still to come, chunk by chunk. It counts as under way until it is dropped.
#[derive(Debug)]
pub struct Download {
    /// The HTTP status.
    pub status: u16,
    /// The address that answered, after redirects; as named, not as mapped.
    pub final_url: Url,
    /// The length of the body as announced, in bytes; unknown when it is compressed.
    pub content_length: Option<u64>,
    pub(crate) response: reqwest::Response,
    pub(crate) bytes_max: u64,
    pub(crate) bytes_read: u64,
    pub(crate) patience: Patience,
    pub(crate) _place: OwnedSemaphorePermit,
}

impl Download {
    /// The next part of the body, decompressed; `None` at its end.
    ///
    /// # Errors
    /// The connection breaks, time runs out, or the limit of bytes is passed.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|e| transport_error(&self.final_url, self.patience, e))?;
        self.bytes_read += chunk.as_ref().map_or(0, |part| part.len() as u64);
        if self.bytes_read > self.bytes_max {
            return Err(self.too_many_bytes());
        }
        Ok(chunk)
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Refuses a body that is announced as too long before any of it is read.
    pub(crate) fn check_length(self) -> Result<Self, NetError> {
        let too_long = self.is_success() && self.content_length.is_some_and(|length| length > self.bytes_max);
        if too_long { Err(self.too_many_bytes()) } else { Ok(self) }
    }

    fn too_many_bytes(&self) -> NetError {
        NetError::TooManyBytes { url: redacted(&self.final_url), bytes_max: self.bytes_max }
    }

    pub(crate) async fn read(mut self) -> Result<Response, NetError> {
        let headers = self.response.headers().clone();
        let content_type = headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
        let body = if self.is_success() { self.read_whole().await? } else { self.read_start().await };
        let Self { status, final_url, .. } = self;
        Ok(Response { status, final_url, content_type, body, headers, wait: None })
    }

    async fn read_whole(&mut self) -> Result<Bytes, NetError> {
        // At once, for a body that grows takes up to twice its memory; what a server only says is believed to a degree.
        let announced = self.content_length.unwrap_or(0).min(RESERVED_BYTES_MAX);
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    /// The start of a refusal's body; that it is long or breaks off does not change what the status says.
    async fn read_start(&mut self) -> Bytes {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await
            && body.len() < REFUSAL_BYTES_MAX
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(REFUSAL_BYTES_MAX);
        body.into()
    }
}

/// How long one request is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) asked_at: Instant,
    pub(crate) total_timeout: Duration,
    pub(crate) read_timeout: Duration,
}

impl Patience {
    /// The limit that was reached; `reqwest` does not say which.
    fn reached(self) -> Duration {
        if self.asked_at.elapsed() >= self.total_timeout { self.total_timeout } else { self.read_timeout }
    }
}

pub(crate) fn transport_error(url: &Url, patience: Patience, error: reqwest::Error) -> NetError {
    let url = redacted(url);
    if let Some(refused) = find_refused(&error) {
        return NetError::AddressRefused { url, address: refused.0 };
    }
    if error.is_timeout() && !error.is_connect() {
        return NetError::Timeout { url, after: patience.reached() };
    }
    // Its own address is the mapped one, with the query.
    NetError::Connection { url, source: error.without_url() }
}

fn find_refused(error: &reqwest::Error) -> Option<&guard::Refused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}
