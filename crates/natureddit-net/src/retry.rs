//! When a request is repeated, and after how long.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How often and how patiently a request is repeated after a failure that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Repetitions after the first attempt.
    pub retries_max: u32,
    /// The wait before the first repetition; it doubles each time.
    pub backoff: Duration,
    /// The longest wait, also when the server asks for a longer one.
    pub backoff_max: Duration,
}

impl RetryPolicy {
    /// The wait before repetition number `retry` (from 0): what the server asked for, or the doubled back-off of which
    /// a random part up to half is left out, so that many clients do not come back at the same moment.
    pub(crate) fn delay(&self, retry: u32, retry_after: Option<Duration>) -> Duration {
        if let Some(asked) = retry_after {
            return asked.min(self.backoff_max);
        }
        let doubled = self.backoff.saturating_mul(2_u32.saturating_pow(retry)).min(self.backoff_max);
        doubled.mul_f64(1.0 - 0.5 * random_fraction())
    }
}

/// Statuses after which the same request may succeed: 408, 429 and every 5xx.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// The wait a server asks for in `Retry-After`: seconds, or a date, which is read against the server's own `Date` so
/// that a wrong clock on either side does not matter.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let parser = DateTimeParser::new();
    let until = parser.parse_timestamp(text).ok()?;
    let now = parser.parse_timestamp(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// A number in 0..1. `RandomState` is the standard library's only source of randomness and good enough for jitter.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    const POLICY: RetryPolicy =
        RetryPolicy { retries_max: 5, backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(10) };

    #[test]
    fn back_off_doubles_up_to_its_limit_and_is_jittered() {
        for (retry, seconds) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 10), (40, 10)] {
            let full = Duration::from_secs(seconds);
            let delay = POLICY.delay(retry, None);
            assert!(full / 2 <= delay && delay <= full, "{retry}: {delay:?}");
        }
    }

    #[test]
    fn the_servers_wish_is_honoured_up_to_the_limit() {
        assert_eq!(POLICY.delay(0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(POLICY.delay(0, Some(Duration::from_secs(3600))), Duration::from_secs(10));
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("42"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(42)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:30 GMT"));
        assert_eq!(retry_after(&headers), None);
        headers.insert(DATE, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2015 07:00:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::ZERO));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        assert_eq!(retry_after(&headers), None);
    }
}
