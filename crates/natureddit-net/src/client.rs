//! The HTTP client: limits, retries, redirects and the address guard around `reqwest`.

use std::sync::Arc;
use std::time::Duration;

use natureddit_core::progress::WaitReason;
use reqwest::redirect::Policy;
use url::Url;

use crate::error::NetError;
use crate::guard::PublicResolver;
use crate::host_map::HostMap;
use crate::limiter::HostLimiter;
use crate::pacing::{Pacing, Turns};
use crate::request::Request;
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
        Self::build(config, pacing, true)
    }

    /// A client that connects to any address, for those that come from the machine's own settings and not from posts.
    pub(crate) fn unguarded(config: ClientConfig) -> Result<Self, NetError> {
        Self::build(config, Pacing::none(), false)
    }

    fn build(config: ClientConfig, pacing: Pacing, is_guarded: bool) -> Result<Self, NetError> {
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
        Ok(Self(Arc::new(Inner { guarded, open, limiter, turns: Turns::new(pacing), config })))
    }

    /// A request that is sent with [`Request::send`] or [`Request::open`].
    pub fn get(&self, url: &str) -> Request {
        Request::new(self.clone(), url, None)
    }

    /// A form that is posted. A redirect is not followed but is the answer, for what is posted is meant for one server.
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Request {
        Request::new(self.clone(), url, Some(fields))
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

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.0.config).finish()
    }
}
