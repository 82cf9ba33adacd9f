//! The HTTP client: limits, retries, redirects and the address guard around `reqwest`.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use natureddit_core::Secret;
use natureddit_core::progress::WaitReason;
use reqwest::redirect::Policy;
use url::Url;

use crate::error::NetError;
use crate::guard::PublicResolver;
use crate::host_map::HostMap;
use crate::limiter::HostLimiter;
use crate::pacing::{Pacing, Turns};
use crate::request::{Content, JsonMethod, Request, UploadMethod};
use crate::retry::RetryPolicy;

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
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// For addresses found in posts: connects to public addresses only.
    pub(crate) guarded: Option<reqwest::Client>,
    /// For addresses of the host map: connects to any.
    pub(crate) open: reqwest::Client,
    /// As `open`, made when something is uploaded first.
    uploading: OnceLock<reqwest::Client>,
    /// The host of a server that the user named, which may be private.
    pub(crate) named_host: Option<String>,
    pub(crate) limiter: HostLimiter,
    pub(crate) turns: Turns,
    pub(crate) config: ClientConfig,
}

impl Client {
    /// A client with [`Pacing::none`]; opens no connection yet.
    ///
    /// # Errors
    /// As [`Client::with_pacing`].
    pub fn new(config: ClientConfig) -> Result<Self, NetError> {
        Self::with_pacing(config, Pacing::none())
    }

    /// A client that asks hosts at this pace; opens no connection yet.
    ///
    /// # Errors
    /// [`NetError::Setup`] when the user agent is no header or the machine has no root certificates.
    pub fn with_pacing(config: ClientConfig, pacing: Pacing) -> Result<Self, NetError> {
        Self::build(config, pacing, true, None)
    }

    /// A client for a server that the user named, which may be on this machine or in a private network. Where it redirects
    /// to another host, the guard judges that host.
    ///
    /// # Errors
    /// As [`Client::with_pacing`].
    pub fn for_server(config: ClientConfig, pacing: Pacing, server: &Url) -> Result<Self, NetError> {
        Self::build(config, pacing, true, server.host_str().map(str::to_owned))
    }

    /// A client that connects to any address, for those that come from the machine's own settings and not from posts.
    pub(crate) fn unguarded(config: ClientConfig) -> Result<Self, NetError> {
        Self::build(config, Pacing::none(), false, None)
    }

    fn build(
        config: ClientConfig,
        pacing: Pacing,
        is_guarded: bool,
        named_host: Option<String>,
    ) -> Result<Self, NetError> {
        install_tls();
        let builder = || builder(&config).read_timeout(config.read_timeout);
        let open = builder().build().map_err(NetError::Setup)?;
        let guarded = match is_guarded {
            true => Some(builder().dns_resolver(PublicResolver).build().map_err(NetError::Setup)?),
            false => None,
        };
        let limiter = HostLimiter::new(config.requests_per_host_max);
        let (uploading, turns) = (OnceLock::new(), Turns::new(pacing));
        Ok(Self(Arc::new(Inner { guarded, open, uploading, named_host, limiter, turns, config })))
    }

    /// A request that is sent with [`Request::send`] or [`Request::open`].
    pub fn get(&self, url: &str) -> Request {
        Request::new(self.clone(), url, Content::Nothing)
    }

    /// The content of a file, sent in chunks as it is read. A redirect is not followed but is the answer. The limit of
    /// silence holds between any two chunks, and until the answer comes.
    pub fn upload(&self, method: UploadMethod, url: &str, file: &Path) -> Request {
        Request::new(self.clone(), url, Content::File(method, file.to_owned()))
    }

    /// A form that is posted. A redirect is not followed but is the answer, for what is posted is meant for one server.
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Request {
        Request::new(self.clone(), url, Content::form(fields))
    }

    /// A JSON document that is posted. A redirect is not followed but is the answer.
    pub fn post_json(&self, url: &str, document: String) -> Request {
        Request::new(self.clone(), url, Content::Json(JsonMethod::Post, Secret::new(document)))
    }

    /// Bytes of this type that are posted. A redirect is not followed but is the answer.
    pub fn post_bytes(&self, url: &str, content_type: &'static str, bytes: Bytes) -> Request {
        Request::new(self.clone(), url, Content::Bytes(content_type, bytes))
    }

    /// As [`Client::post_json`], with the method `DELETE`.
    pub fn delete_json(&self, url: &str, document: String) -> Request {
        Request::new(self.clone(), url, Content::Json(JsonMethod::Delete, Secret::new(document)))
    }

    /// Waits as before a repetition of a request that failed: for whoever sees only by the body of an answer that it is
    /// to be asked for again. `repetition` counts from 0. `false`, at once, where the policy allows no more of them.
    pub async fn back_off(&self, url: &str, repetition: u32) -> bool {
        let Inner { config, turns, .. } = &*self.0;
        if repetition >= config.retry.retries_max {
            return false;
        }
        turns.pause(&host_of(url), config.retry.delay(repetition), WaitReason::BackOff).await;
        true
    }
}

/// The host that an address names; empty where it names none.
pub(crate) fn host_of(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

impl Inner {
    /// To `reqwest` an upload is silence: with its limit, a long one would fail.
    pub(crate) fn uploading(&self) -> Result<&reqwest::Client, NetError> {
        if let Some(client) = self.uploading.get() {
            return Ok(client);
        }
        let client = builder(&self.config).build().map_err(NetError::Setup)?;
        Ok(self.uploading.get_or_init(|| client))
    }
}

fn builder(config: &ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(config.connect_timeout)
        .redirect(Policy::none())
        .no_proxy()
}

/// What a library that speaks a protocol of its own, such as S3's, sends with, to a server that the user named: without
/// retries, redirects, decompression and limits, except that of connecting; and with a limit of silence, or, for what is
/// uploaded, without one.
///
/// # Errors
/// [`NetError::Setup`].
pub fn transport(config: &ClientConfig, has_read_timeout: bool) -> Result<reqwest::Client, NetError> {
    install_tls();
    let builder = builder(config).no_gzip();
    let builder = if has_read_timeout { builder.read_timeout(config.read_timeout) } else { builder };
    builder.build().map_err(NetError::Setup)
}

/// Makes ring the provider of TLS in this process.
fn install_tls() {
    // Fails when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.0.config).finish()
    }
}
