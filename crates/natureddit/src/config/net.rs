//! `[net]`: how the program talks to other machines.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::ConfigError;
use super::check::Checker;
use super::raw::RawNet;

/// The checked `[net]`.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest a whole request may take.
    pub total_timeout: Duration,
    /// How often a failed request is repeated.
    pub retries_max: u32,
    /// The wait before the first repetition.
    pub backoff: Duration,
    /// The longest wait between two repetitions, at least `backoff`.
    pub backoff_max: Duration,
    /// How many redirects are followed.
    pub redirects_max: usize,
    /// How often an API is asked at most; more than 0. An API on this machine that stands in for another is not held back.
    pub api_requests_per_second: f64,
    /// Where requests to a host go instead.
    pub host_map: BTreeMap<String, Url>,
}

impl NetConfig {
    pub(super) fn check(raw: RawNet, checker: &Checker<'_>) -> Result<Self, ConfigError> {
        const MILLISECOND: Duration = Duration::from_millis(1);
        const HOUR: Duration = Duration::from_secs(3600);
        let at = checker.table("net");
        let backoff = at.duration("backoff", &raw.backoff, MILLISECOND..=HOUR)?;
        Ok(Self {
            connect_timeout: at.duration("connect_timeout", &raw.connect_timeout, MILLISECOND..=HOUR)?,
            total_timeout: at.duration("total_timeout", &raw.total_timeout, MILLISECOND..=HOUR)?,
            retries_max: at.integer("retries_max", raw.retries_max, 0..=20)?,
            backoff,
            backoff_max: at.duration("backoff_max", &raw.backoff_max, backoff..=HOUR)?,
            redirects_max: at.integer("redirects_max", raw.redirects_max, 0..=20)?,
            api_requests_per_second: at.number(
                "api_requests_per_second",
                raw.api_requests_per_second,
                0.001..=1000.0,
            )?,
            host_map: host_map(raw.host_map, checker)?,
        })
    }
}

fn host_map(raw: BTreeMap<String, String>, checker: &Checker<'_>) -> Result<BTreeMap<String, Url>, ConfigError> {
    let at = checker.table("net.host_map");
    let entry = |(host, target): (String, String)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(at.bad(&host, target, "set for a host name such as \"i.redd.it\", without scheme or path"));
        }
        let target = at.url(&host, &target)?;
        Ok((host.to_ascii_lowercase(), target))
    };
    raw.into_iter().map(entry).collect()
}
