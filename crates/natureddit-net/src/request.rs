//! Requests: what is asked, the redirects it leads to, and when it is repeated.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use natureddit_core::progress::WaitReason;
use natureddit_core::{Clock, Secret};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, RequestBuilder};
use url::{Url, form_urlencoded};

use crate::client::{Client, ClientConfig, Inner, host_of};
use crate::error::{NetError, redacted};
use crate::guard;
use crate::pacing::{Budget, Pacing, Turns};
use crate::response::{Download, Patience, Response, transport_error};
use crate::retry::{self, RateLimit, RetryPolicy};
use crate::transfer::{BodySink, Upload};

/// The limit of a body for which the caller set none.
const BODY_BYTES_MAX: u64 = 16_000_000;

/// A request under construction.
#[derive(Debug)]
#[must_use]
pub struct Request {
    client: Client,
    url: String,
    content: Content,
    credentials: Option<Credentials>,
    accept: Option<&'static str>,
    /// Whether the body is wanted as it is stored.
    is_verbatim: bool,
    bytes_from: u64,
    bytes_max: u64,
    total_timeout: Duration,
    read_timeout: Duration,
    redirects_max: usize,
    retries_max: u32,
    judge: Option<JudgeAddress>,
}

/// Says of an address whether it may be asked.
#[derive(Clone)]
pub struct JudgeAddress(Arc<dyn Fn(&Url) -> bool + Send + Sync>);

impl JudgeAddress {
    /// Those are allowed of which `allows` says so.
    #[must_use]
    pub fn new(allows: impl Fn(&Url) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }
}

impl fmt::Debug for JudgeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JudgeAddress")
    }
}

/// Who asks. Sent to the server that was named, never to one it redirects to.
#[derive(Debug)]
enum Credentials {
    Basic { user: String, password: Secret },
    Bearer(Secret),
    Headers(Vec<(String, Secret)>),
}

/// How a file is uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UploadMethod {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
}

/// How a JSON document is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JsonMethod {
    Post,
    Delete,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Content {
    /// It is a GET.
    Nothing,
    /// Posted.
    Form(Secret),
    /// What is in it may be secret.
    Json(JsonMethod, Secret),
    /// Posted, with its type.
    Bytes(&'static str, Bytes),
    File(UploadMethod, PathBuf),
}

impl Content {
    pub(crate) fn form(fields: &[(&str, &str)]) -> Self {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::Form(Secret::new(encoded))
    }

    fn method(&self) -> Method {
        match self {
            Self::Nothing => Method::GET,
            Self::Form(_) | Self::Json(JsonMethod::Post, _) | Self::Bytes(..) | Self::File(UploadMethod::Post, _) => {
                Method::POST
            }
            Self::Json(JsonMethod::Delete, _) => Method::DELETE,
            Self::File(UploadMethod::Put, _) => Method::PUT,
        }
    }
}

impl Request {
    pub(crate) fn new(client: Client, url: &str, content: Content) -> Self {
        let ClientConfig { total_timeout, read_timeout, redirects_max, retry, .. } = client.0.config;
        Self {
            client,
            url: url.to_owned(),
            content,
            credentials: None,
            accept: None,
            is_verbatim: false,
            bytes_from: 0,
            bytes_max: BODY_BYTES_MAX,
            total_timeout,
            read_timeout,
            redirects_max,
            retries_max: retry.retries_max,
            judge: None,
        }
    }

    /// Says who asks by a name and a password.
    pub fn basic_auth(self, user: &str, password: &Secret) -> Self {
        let (user, password) = (user.to_owned(), password.clone());
        Self { credentials: Some(Credentials::Basic { user, password }), ..self }
    }

    /// Says who asks by a token.
    pub fn bearer_auth(self, token: &Secret) -> Self {
        Self { credentials: Some(Credentials::Bearer(token.clone())), ..self }
    }

    /// Says who asks by a header that the server wants; by several, where this is called for each.
    pub fn header_auth(self, name: &str, value: &Secret) -> Self {
        let mut headers = match self.credentials {
            Some(Credentials::Headers(headers)) => headers,
            _ => Vec::new(),
        };
        headers.push((name.to_owned(), value.clone()));
        Self { credentials: Some(Credentials::Headers(headers)), ..self }
    }

    /// Asks for the body as it is stored, not compressed on the way, so that its length is announced.
    pub fn verbatim(self) -> Self {
        Self { is_verbatim: true, ..self }
    }

    /// Asks an address only where this allows it: the one that was named, and each that it redirects to. The guard
    /// judges them as well.
    pub fn judged_by(self, judge: JudgeAddress) -> Self {
        Self { judge: Some(judge), ..self }
    }

    /// Takes a redirect for the answer.
    pub fn without_redirects(self) -> Self {
        Self { redirects_max: 0, ..self }
    }

    /// Is sent once, whatever comes of it: for what must not happen twice where only the answer was lost.
    pub fn without_retries(self) -> Self {
        Self { retries_max: 0, ..self }
    }

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

    /// How long nothing may move of a file that is uploaded, and how long its answer may take then, in place of the client's
    /// own limit.
    pub fn upload_silence_max(self, read_timeout: Duration) -> Self {
        Self { read_timeout, ..self }
    }

    /// Sends the request and reads the whole body; repeats it after failures that may pass.
    ///
    /// # Errors
    /// Every [`NetError`] but `Setup` and `Status`.
    pub async fn send(self) -> Result<Response, NetError> {
        let mut retries = self.retries();
        loop {
            let result = match self.attempt(&mut retries.budget).await {
                Ok(download) => download.read().await,
                Err(error) => Err(error),
            };
            let outcome = result.as_ref().map(|response| (response.status, &response.headers));
            let Some(delay) = retries.next(outcome) else { return result.map(|answer| retries.with_wish(answer)) };
            self.pause(delay).await;
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
            let result = self.attempt(&mut retries.budget).await;
            let outcome = result.as_ref().map(|download| (download.status, download.response.headers()));
            let Some(delay) = retries.next(outcome) else { return result };
            // While this request waits, its place at the host is another's.
            drop(result);
            self.pause(delay).await;
        }
    }

    /// Sends the request and hands the body on, part by part; repeats it after failures that may pass, also when the body
    /// breaks off. Gives the status; of an answer that is not 2xx there is no body.
    ///
    /// # Errors
    /// As [`Request::send`], and those of the sink.
    pub async fn read_into<S: BodySink>(self, sink: &mut S) -> Result<u16, S::Error> {
        let mut retries = self.retries();
        loop {
            let result = match self.attempt(&mut retries.budget).await {
                Ok(download) if !download.is_success() => {
                    let headers = download.response.headers().clone();
                    let status = download.status;
                    // While this request waits, its place at the host is another's.
                    drop(download);
                    Ok((status, headers))
                }
                Ok(mut download) => {
                    sink.restart().await?;
                    loop {
                        match download.chunk().await {
                            Ok(Some(part)) => sink.take(part).await?,
                            Ok(None) => return Ok(download.status),
                            Err(error) => break Err(error),
                        }
                    }
                }
                Err(error) => Err(error),
            };
            let outcome = result.as_ref().map(|(status, headers)| (*status, headers));
            let Some(delay) = retries.next(outcome) else { return Ok(result?.0) };
            self.pause(delay).await;
        }
    }

    async fn pause(&self, (wait, reason): (Duration, WaitReason)) {
        self.client.0.turns.pause(&host_of(&self.url), wait, reason).await;
    }

    fn retries(&self) -> Retries {
        let Inner { config, turns, .. } = &*self.client.0;
        let Pacing { clock, wait_max, .. } = &turns.pacing;
        let policy = RetryPolicy { retries_max: self.retries_max, ..config.retry };
        Retries { policy, retry: 0, budget: Budget(*wait_max), clock: clock.clone() }
    }

    /// One attempt: the request and the redirects it leads to.
    async fn attempt(&self, budget: &mut Budget) -> Result<Download, NetError> {
        let bad_url = |_| NetError::BadUrl { url: self.url.split('?').next().unwrap_or_default().to_owned() };
        let first = Url::parse(&self.url).map_err(bad_url)?;
        let mut url = first.clone();
        for _ in 0..=self.redirects_max {
            let download = self.hop(&url, url.origin() == first.origin(), budget).await?;
            let is_redirect = matches!(download.status, 301 | 302 | 303 | 307 | 308);
            if !is_redirect || self.redirects_max == 0 || !matches!(self.content, Content::Nothing) {
                return download.check_length();
            }
            url = redirect_target(&download)?;
        }
        Err(NetError::TooManyRedirects { url: redacted(&first), redirects_max: self.redirects_max })
    }

    /// One request and the head of its answer, whatever it is.
    async fn hop(&self, url: &Url, is_origin: bool, budget: &mut Budget) -> Result<Download, NetError> {
        let Inner { guarded, open, named_host, limiter, turns, config, .. } = &*self.client.0;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NetError::BadUrl { url: redacted(url) });
        }
        if self.judge.as_ref().is_some_and(|JudgeAddress(allows)| !allows(url)) {
            return Err(NetError::NotAllowed { url: redacted(url) });
        }
        let open = match self.content {
            Content::File(..) => self.client.0.uploading()?,
            _ => open,
        };
        let is_named = named_host.is_some() && named_host.as_deref() == url.host_str();
        let (client, target) = match (config.host_map.target(url), guarded) {
            (Some(target), _) => (open, target),
            (None, Some(guarded)) if !is_named => {
                guard::check_literal(url)?;
                (guarded, url.clone())
            }
            (None, _) => (open, url.clone()),
        };
        let request = self.request(client, target, is_origin)?;
        let host = url.host_str().unwrap_or_default();
        let place = limiter.enter(host).await;
        let too_long = |wait| NetError::WaitTooLong { url: redacted(url), wait };
        turns.enter(host, budget).await.map_err(too_long)?;
        let patience =
            Patience { asked_at: Instant::now(), total_timeout: self.total_timeout, read_timeout: self.read_timeout };
        let response = match &self.content {
            Content::File(_, path) => Upload::open(path).await?.send(request, url, patience).await?,
            _ => request.send().await.map_err(|e| transport_error(url, patience, e))?,
        };
        let status = response.status().as_u16();
        heed(turns, host, status, response.headers());
        Ok(Download {
            status,
            final_url: url.clone(),
            content_length: response.content_length(),
            response,
            bytes_max: self.bytes_max,
            bytes_read: 0,
            patience,
            _place: place,
        })
    }

    fn request(&self, client: &reqwest::Client, target: Url, is_origin: bool) -> Result<RequestBuilder, NetError> {
        let mut request = client.request(self.content.method(), target).timeout(self.total_timeout);
        match &self.content {
            Content::Form(form) => {
                let kind = "application/x-www-form-urlencoded";
                request = request.header(CONTENT_TYPE, kind).body(form.expose().to_owned());
            }
            Content::Json(_, document) => {
                request = request.header(CONTENT_TYPE, "application/json").body(document.expose().to_owned());
            }
            Content::Bytes(kind, bytes) => request = request.header(CONTENT_TYPE, *kind).body(bytes.clone()),
            Content::File(..) => request = request.header(CONTENT_TYPE, "application/octet-stream"),
            Content::Nothing => (),
        }
        request = match &self.credentials {
            Some(Credentials::Basic { user, password }) if is_origin => {
                request.basic_auth(user, Some(password.expose()))
            }
            Some(Credentials::Bearer(token)) if is_origin => request.bearer_auth(token.expose()),
            Some(Credentials::Headers(headers)) if is_origin => {
                let headers = headers.iter().map(|(name, value)| self.header(name, value));
                request.headers(headers.collect::<Result<HeaderMap, _>>()?)
            }
            _ => request,
        };
        if let Some(accept) = self.accept {
            request = request.header(ACCEPT, accept);
        }
        if self.is_verbatim {
            request = request.header(ACCEPT_ENCODING, "identity");
        }
        if self.bytes_from > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.bytes_from));
        }
        Ok(request)
    }

    fn header(&self, name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), NetError> {
        let bad = || NetError::BadHeader {
            url: Url::parse(&self.url).as_ref().map(redacted).unwrap_or_default(),
            name: name.to_owned(),
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad())?;
        value.set_sensitive(true);
        Ok((header, value))
    }
}

/// Leaves an API alone for as long as it asks for.
fn heed(turns: &Turns, host: &str, status: u16, headers: &HeaderMap) {
    if !turns.is_api(host) {
        return;
    }
    let now = turns.pacing.clock.now();
    let is_refused = retry::is_transient(status);
    let used_up = RateLimit::read(headers).filter(RateLimit::is_used_up);
    let used_up = used_up.map(|limit| (limit.wait(now), WaitReason::RateLimit));
    if let Some((wait, reason)) = retry::wish(status, headers, now).filter(|_| is_refused).or(used_up) {
        tracing::debug!(host, ?wait, "an API asks to be left alone");
        turns.hold(host, wait, reason);
    }
}

/// How often one request has been repeated, and what it may still wait.
struct Retries {
    policy: RetryPolicy,
    retry: u32,
    budget: Budget,
    clock: Clock,
}

impl Retries {
    /// A final answer with the wait that it asks for, if it does.
    fn with_wish(&self, answer: Response) -> Response {
        let wish = retry::wish(answer.status, &answer.headers, self.clock.now());
        Response { wait: wish.filter(|_| retry::is_transient(answer.status)).map(|(wait, _)| wait), ..answer }
    }

    /// The wait before the next attempt after one that ended with a status, or with an error; `None` when that was final.
    fn next(&mut self, outcome: Result<(u16, &HeaderMap), &NetError>) -> Option<(Duration, WaitReason)> {
        let wish = match outcome {
            Ok((status, headers)) if retry::is_transient(status) => retry::wish(status, headers, self.clock.now()),
            Err(error) if error.is_transient() => None,
            _ => return None,
        };
        if self.retry == self.policy.retries_max {
            return None;
        }
        let (delay, reason) = wish.unwrap_or_else(|| (self.policy.delay(self.retry), WaitReason::BackOff));
        if !self.budget.take(delay) {
            tracing::debug!(?delay, "the server asks for a longer wait than this request may take");
            return None;
        }
        self.retry += 1;
        let status = outcome.map(|(status, _)| status);
        tracing::debug!(?status, ?delay, retry = self.retry, "the request will be repeated");
        Some((delay, reason))
    }
}

fn redirect_target(download: &Download) -> Result<Url, NetError> {
    let bad = || NetError::BadRedirect { url: redacted(&download.final_url) };
    let location = download.response.headers().get(LOCATION).ok_or_else(bad)?;
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| bad())?;
    download.final_url.join(location).map_err(|_| bad())
}
