//! `[serve.traces]`: which requests are traced, and the collector of OpenTelemetry's that is told.

use std::time::Duration;

use natureddit_core::Secret;
use natureddit_core::text::percent_decoded;
use url::Url;

use super::ConfigError;
use super::check::{Checker, SHARE};
use super::raw::RawTraces;

/// Where collectors take traces.
const PATH: &str = "/v1/traces";

/// The checked `[serve.traces]`.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector.
    pub endpoint: Url,
    /// What it is shown, such as a token.
    pub headers: Vec<(String, Secret)>,
    /// The share of requests that are traced, where the caller does not say.
    pub sample: f64,
    /// What the server is called.
    pub service_name: String,
    /// Requests whose spans may wait.
    pub queue_len_max: usize,
    /// The most requests in one message.
    pub batch_len_max: usize,
    /// The longest a request waits for others.
    pub delay_max: Duration,
    /// The longest a message may take, with its repetitions.
    pub timeout: Duration,
}

impl TracesConfig {
    /// `None` where nothing is traced.
    pub(super) fn check(raw: &RawTraces, checker: &Checker<'_>) -> Result<Option<Self>, ConfigError> {
        const MILLISECOND: Duration = Duration::from_millis(1);
        const MINUTE: Duration = Duration::from_secs(60);
        let at = checker.table("serve.traces");
        let endpoint = match raw.endpoint.as_str() {
            "" => None,
            text => Some(at.url("endpoint", text)?),
        };
        let has_user = |url: &Url| !url.username().is_empty() || url.password().is_some();
        if endpoint.as_ref().is_some_and(has_user) {
            let must_be = "without a user or password: what the collector wants comes from OTEL_EXPORTER_OTLP_HEADERS";
            return Err(at.bad("endpoint", "https://...", must_be));
        }
        if raw.service_name.is_empty() || raw.service_name.len() > 255 || raw.service_name.chars().any(char::is_control)
        {
            return Err(at.bad(
                "service_name",
                &raw.service_name,
                "a name of 1 to 255 bytes without control characters",
            ));
        }
        let headers = match (&endpoint, &checker.environment.otlp_headers) {
            (Some(_), Some(text)) => headers(text).ok_or_else(|| {
                let must_be = "empty, or OTEL_EXPORTER_OTLP_TRACES_HEADERS or OTEL_EXPORTER_OTLP_HEADERS in the \
                               environment must be NAME=VALUE,NAME=VALUE";
                at.bad("endpoint", &raw.endpoint, must_be)
            })?,
            _ => Vec::new(),
        };
        let sample = at.number("sample", raw.sample, SHARE)?;
        let queue_len_max = at.integer("queue_len_max", raw.queue_len_max, 1..=1_000_000)?;
        let batch_len_max = at.integer("batch_len_max", raw.batch_len_max, 1..=10_000)?;
        let delay_max = at.duration("delay_max", &raw.delay_max, Duration::ZERO..=60 * MINUTE)?;
        let timeout = at.duration("timeout", &raw.timeout, MILLISECOND..=60 * MINUTE)?;
        Ok(endpoint.map(|mut endpoint| {
            if endpoint.path() == "/" {
                endpoint.set_path(PATH);
            }
            let service_name = raw.service_name.clone();
            Self { endpoint, headers, sample, service_name, queue_len_max, batch_len_max, delay_max, timeout }
        }))
    }
}

/// Headers as OpenTelemetry's tools read them: those of W3C's baggage, with values that are percent-encoded.
fn headers(text: &Secret) -> Option<Vec<(String, Secret)>> {
    let pairs = text.expose().split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs.map(header).collect()
}

fn header(pair: &str) -> Option<(String, Secret)> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), percent_decoded(value.trim())?);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_value = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (is_name && is_value).then(|| (name.to_owned(), Secret::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let found = headers(&Secret::new(text.to_owned()))?;
        Some(found.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
    }

    #[test]
    fn headers_are_pairs_with_percent_encoded_values() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("authorization=Bearer%20a%3Db"), Some(vec![pair("authorization", "Bearer a=b")]));
        assert_eq!(read(" x-a = 1 , x-b=2=3,"), Some(vec![pair("x-a", "1"), pair("x-b", "2=3")]));
        assert_eq!(read(""), Some(Vec::new()));
        for bad in ["a", "=b", "a b=c", "a=%0a", "a=%zz", "a=ü"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
