//! The HTTP client: limits, retries, redirects and the address guard around `reqwest`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use reqwest::redirect::Policy;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use crate::error::{NetError, redacted};
use crate::guard::{self, PublicResolver};
use crate::host_map::HostMap;
use crate::limiter::HostLimiter;
use crate::retry::{self, RetryPolicy};

/// The limit of a body for which the caller set none.
const BODY_BYTES_MAX: u64 = 16_000_000;

/// What of the body of a refusal is kept: enough to see what the server said.
const REFUSAL_BYTES_MAX: usize = 64_000;

/// How a [`Client`] behaves.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Who asks, as sites see it: printable ASCII.
    pub user_agent: String,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest an attempt may take, its body included.
    pub total_timeout: Duration,
    /// The longest silence while an answer is waited for or arrives.
    pub read_timeout: Duration,
    /// When requests are repeated.
    pub retry: RetryPolicy,
    /// How many redirects are followed.
    pub redirects_max: usize,
    /// Requests under way to one host at the same time, at least 1.
    pub requests_per_host_max: usize,
    /// Where requests to a host go instead.
    pub host_map: HostMap,
}

/// The one door out. Cheap to clone; clones share connections and limits.
///
/// Environment variables for proxies are not read: behind a proxy the address guard could not see where a request goes.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    /// For addresses found in posts: connects to public addresses only.
    guarded: Option<reqwest::Client>,
    /// For addresses of the host map: connects to any.
    open: reqwest::Client,
    limiter: HostLimiter,
    config: ClientConfig,
}

impl Client {
    /// A client; opens no connection yet.
    ///
    /// # Errors
    /// [`NetError::Setup`] when the user agent is no header or the machine has no root certificates.
    pub fn new(config: ClientConfig) -> Result<Self, NetError> {
        Self::build(config, true)
    }

    /// A client that connects to any address, for those that come from the machine's own settings and not from posts.
    pub(crate) fn unguarded(config: ClientConfig) -> Result<Self, NetError> {
        Self::build(config, false)
    }

    fn build(config: ClientConfig, is_guarded: bool) -> Result<Self, NetError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(&config.user_agent)
                .connect_timeout(config.connect_timeout)
                .read_timeout(config.read_timeout)
                .redirect(Policy::none())
                .no_proxy()
        };
        let open = builder().build().map_err(NetError::Setup)?;
        let guarded = match is_guarded {
            true => Some(builder().dns_resolver(PublicResolver).build().map_err(NetError::Setup)?),
            false => None,
        };
        let limiter = HostLimiter::new(config.requests_per_host_max);
        Ok(Self(Arc::new(Inner { guarded, open, limiter, config })))
    }

    /// A request that is sent with [`Request::send`] or [`Request::open`].
    pub fn get(&self, url: &str) -> Request {
        Request {
            client: self.clone(),
            url: url.to_owned(),
            accept: None,
            bytes_from: 0,
            bytes_max: BODY_BYTES_MAX,
            total_timeout: self.0.config.total_timeout,
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.0.config).finish()
    }
}

/// A GET request under construction.
#[derive(Debug)]
#[must_use]
pub struct Request {
    client: Client,
    url: String,
    accept: Option<&'static str>,
    bytes_from: u64,
    bytes_max: u64,
    total_timeout: Duration,
}

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
    retry_after: Option<Duration>,
}

impl Response {
    /// The answer, if its status is 2xx.
    ///
    /// # Errors
    /// [`NetError::Status`] with the address and the status.
    pub fn require_success(self) -> Result<Self, NetError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(NetError::Status { url: redacted(&self.final_url), status: self.status })
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
    response: reqwest::Response,
    retry_after: Option<Duration>,
    bytes_max: u64,
    bytes_read: u64,
    patience: Patience,
    _place: OwnedSemaphorePermit,
}

impl Request {
    /// The `Accept` header.
    pub fn accept(self, accept: &'static str) -> Self {
        Self { accept: Some(accept), ..self }
    }

    /// The longest body that is taken, in bytes after decompression; 16 MB when not set.
    pub fn bytes_max(self, bytes_max: u64) -> Self {
        Self { bytes_max, ..self }
    }

    /// Asks for the body without its first `bytes_from` bytes. A server that cannot do so answers 200 instead of 206.
    pub fn bytes_from(self, bytes_from: u64) -> Self {
        Self { bytes_from, ..self }
    }

    /// The longest an attempt may take, its body included, in place of the client's own limit.
    pub fn total_timeout(self, total_timeout: Duration) -> Self {
        Self { total_timeout, ..self }
    }

    /// Sends the request and reads the whole body; repeats it after failures that may pass.
    ///
    /// # Errors
    /// Every [`NetError`] but `Setup` and `Status`.
    pub async fn send(self) -> Result<Response, NetError> {
        let mut retries = self.retries();
        loop {
            let result = match self.attempt().await {
                Ok(download) => download.read().await,
                Err(error) => Err(error),
            };
            let Some(delay) = retries.next(result.as_ref().map(|r| (r.status, r.retry_after))) else { return result };
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends the request and leaves the body to the caller; repeats it after failures that may pass, up to the head of
    /// the answer.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub async fn open(self) -> Result<Download, NetError> {
        let mut retries = self.retries();
        loop {
            let result = self.attempt().await;
            let Some(delay) = retries.next(result.as_ref().map(|d| (d.status, d.retry_after))) else { return result };
            // While this request waits, its place at the host is another's.
            drop(result);
            tokio::time::sleep(delay).await;
        }
    }

    fn retries(&self) -> Retries {
        Retries { policy: self.client.0.config.retry, retry: 0 }
    }

    /// One attempt: the request and the redirects it leads to.
    async fn attempt(&self) -> Result<Download, NetError> {
        let bad_url = |_| NetError::BadUrl { url: self.url.split('?').next().unwrap_or_default().to_owned() };
        let first = Url::parse(&self.url).map_err(bad_url)?;
        let redirects_max = self.client.0.config.redirects_max;
        let mut url = first.clone();
        for _ in 0..=redirects_max {
            let download = self.hop(&url).await?;
            if !matches!(download.status, 301 | 302 | 303 | 307 | 308) {
                return download.check_length();
            }
            url = redirect_target(&download)?;
        }
        Err(NetError::TooManyRedirects { url: redacted(&first), redirects_max })
    }

    /// One request and the head of its answer, whatever it is.
    async fn hop(&self, url: &Url) -> Result<Download, NetError> {
        let Inner { guarded, open, limiter, config } = &*self.client.0;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NetError::BadUrl { url: redacted(url) });
        }
        let request = match (config.host_map.target(url), guarded) {
            (Some(target), _) => open.get(target),
            (None, Some(guarded)) => {
                guard::check_literal(url)?;
                guarded.get(url.clone())
            }
            (None, None) => open.get(url.clone()),
        };
        let mut request = request.timeout(self.total_timeout);
        if let Some(accept) = self.accept {
            request = request.header(ACCEPT, accept);
        }
        if self.bytes_from > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.bytes_from));
        }
        let place = limiter.enter(url.host_str().unwrap_or_default()).await;
        let patience =
            Patience { asked_at: Instant::now(), total_timeout: self.total_timeout, read_timeout: config.read_timeout };
        let response = request.send().await.map_err(|e| transport_error(url, patience, e))?;
        Ok(Download {
            status: response.status().as_u16(),
            final_url: url.clone(),
            content_length: response.content_length(),
            retry_after: retry::retry_after(response.headers()),
            response,
            bytes_max: self.bytes_max,
            bytes_read: 0,
            patience,
            _place: place,
        })
    }
}

/// How often one request has been repeated.
struct Retries {
    policy: RetryPolicy,
    retry: u32,
}

impl Retries {
    /// The wait before the next attempt after one that ended with a status and a `Retry-After`, or with an error;
    /// `None` when that was final.
    fn next(&mut self, outcome: Result<(u16, Option<Duration>), &NetError>) -> Option<Duration> {
        let retry_after = match outcome {
            Ok((status, retry_after)) if retry::is_transient(status) => retry_after,
            Err(error) if error.is_transient() => None,
            _ => return None,
        };
        if self.retry == self.policy.retries_max {
            return None;
        }
        let delay = self.policy.delay(self.retry, retry_after);
        self.retry += 1;
        tracing::debug!(?outcome, ?delay, retry = self.retry, "the request will be repeated");
        Some(delay)
    }
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

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Refuses a body that is announced as too long before any of it is read.
    fn check_length(self) -> Result<Self, NetError> {
        let too_long = self.is_success() && self.content_length.is_some_and(|length| length > self.bytes_max);
        if too_long { Err(self.too_many_bytes()) } else { Ok(self) }
    }

    fn too_many_bytes(&self) -> NetError {
        NetError::TooManyBytes { url: redacted(&self.final_url), bytes_max: self.bytes_max }
    }

    async fn read(mut self) -> Result<Response, NetError> {
        let content_type = self.response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let content_type = content_type.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let body = if self.is_success() { self.read_whole().await? } else { self.read_start().await };
        let Self { status, final_url, retry_after, .. } = self;
        Ok(Response { status, final_url, content_type, body, retry_after })
    }

    async fn read_whole(&mut self) -> Result<Bytes, NetError> {
        let mut body = Vec::new();
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

fn redirect_target(download: &Download) -> Result<Url, NetError> {
    let bad = || NetError::BadRedirect { url: redacted(&download.final_url) };
    let location = download.response.headers().get(LOCATION).ok_or_else(bad)?;
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| bad())?;
    download.final_url.join(location).map_err(|_| bad())
}

/// How long one request is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    asked_at: Instant,
    total_timeout: Duration,
    read_timeout: Duration,
}

impl Patience {
    /// The limit that was reached; `reqwest` does not say which.
    fn reached(self) -> Duration {
        if self.asked_at.elapsed() >= self.total_timeout { self.total_timeout } else { self.read_timeout }
    }
}

fn transport_error(url: &Url, patience: Patience, error: reqwest::Error) -> NetError {
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
