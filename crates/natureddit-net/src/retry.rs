//! When a request is repeated, and after how long.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use natureddit_core::progress::WaitReason;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::pacing::between;

/// How often and how patiently a request is repeated after a failure that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Repetitions after the first attempt.
    pub retries_max: u32,
    /// The wait before the first repetition; it doubles each time.
    pub backoff: Duration,
    /// The longest wait that is made up here; what the server asks for is waited whole, or not at all.
    pub backoff_max: Duration,
}

impl RetryPolicy {
    /// The wait before repetition number `retry` (from 0): the doubled back-off of which a random part up to half is
    /// left out, so that many clients do not come back at the same moment.
    pub(crate) fn delay(&self, retry: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(2_u32.saturating_pow(retry)).min(self.backoff_max);
        doubled.mul_f64(1.0 - 0.5 * random_fraction())
    }
}

/// Statuses after which the same request may succeed.
pub(crate) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 520 | 522)
}

/// The wait a server asks for, of a refusal: its `Retry-After`, or, if it has had enough, the rest of its window. Of
/// Reddit's three kinds of 429 one has the first, one the second and one neither.
pub(crate) fn wish(status: u16, headers: &HeaderMap, now: Timestamp) -> Option<(Duration, WaitReason)> {
    let limit = || RateLimit::read(headers).filter(|limit| status == 429 && limit.is_used_up());
    let asked_for = retry_after(headers, now).map(|wait| (wait, WaitReason::RetryAfter));
    asked_for.or_else(|| Some((limit()?.wait(now), WaitReason::RateLimit)))
}

/// How much more a server may be asked, as the headers `x-ratelimit-...` say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Requests of this window so far.
    pub used: Option<f64>,
    /// Requests that are left in it.
    pub remaining: f64,
    /// Seconds to its end; some servers write the moment instead, in seconds since the epoch.
    pub reset: f64,
}

impl RateLimit {
    /// `None` when the remaining requests or the end are not told, or are no numbers.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let number =
            |name| headers.get(name)?.to_str().ok()?.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let (remaining, reset) = (number("x-ratelimit-remaining")?, number("x-ratelimit-reset")?);
        Some(Self { used: number("x-ratelimit-used"), remaining, reset })
    }

    /// Whether the next request would be refused.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.remaining < 1.0
    }

    /// The time to the end of the window, at least a second.
    pub(crate) fn wait(&self, now: Timestamp) -> Duration {
        // No window is thirty years long.
        const MOMENT_MIN: f64 = 1e9;
        let seconds = if self.reset >= MOMENT_MIN { self.reset - now.as_second() as f64 } else { self.reset };
        Duration::try_from_secs_f64(seconds.max(1.0)).unwrap_or(Duration::MAX)
    }
}

/// The wait a server asks for in `Retry-After`: seconds, or a date, which is read against the server's own `Date`, where
/// there is one, so that a wrong clock on either side does not matter.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let parser = DateTimeParser::new();
    let until = parser.parse_timestamp(text).ok()?;
    let date = headers.get(DATE).and_then(|date| parser.parse_timestamp(date.to_str().ok()?).ok());
    Some(between(date.unwrap_or(now), until))
}

/// A number in 0..1. `RandomState` is the standard library's only source of randomness and good enough for jitter.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const POLICY: RetryPolicy =
        RetryPolicy { retries_max: 5, backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(10) };

    const NOW: i64 = 1_445_412_480;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn seconds(status: u16, lines: &[(&'static str, &str)]) -> Option<u64> {
        let now = Timestamp::from_second(NOW).unwrap();
        wish(status, &headers(lines), now).map(|(wait, _)| wait.as_secs())
    }

    #[test]
    fn back_off_doubles_up_to_its_limit_and_is_jittered() {
        for (retry, seconds) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 10), (40, 10)] {
            let full = Duration::from_secs(seconds);
            let delay = POLICY.delay(retry);
            assert!(full / 2 <= delay && delay <= full, "{retry}: {delay:?}");
        }
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        for status in [408, 429, 500, 502, 503, 504, 520, 522] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 302, 400, 401, 403, 404, 451, 501, 505, 521, 525, 599] {
            assert!(!is_transient(status), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(seconds(503, &[]), None);
        assert_eq!(seconds(503, &[("retry-after", "3600")]), Some(3600));
        let until = ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(seconds(503, &[until]), Some(30), "by the clock of this machine");
        assert_eq!(seconds(503, &[until, ("date", "Wed, 21 Oct 2015 07:28:10 GMT")]), Some(20));
        assert_eq!(seconds(503, &[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")]), Some(0));
        assert_eq!(seconds(503, &[("retry-after", "soon")]), None);
    }

    #[test]
    fn three_kinds_of_too_many_requests_are_understood() {
        let limit = [("x-ratelimit-used", "1"), ("x-ratelimit-remaining", "0.0"), ("x-ratelimit-reset", "42")];
        assert_eq!(seconds(429, &[("retry-after", "7")]), Some(7));
        assert_eq!(seconds(429, &limit), Some(42));
        assert_eq!(seconds(429, &[]), None);
        assert_eq!(seconds(429, &[limit[1], limit[2], ("retry-after", "7")]), Some(7), "what is asked for comes first");
        assert_eq!(seconds(503, &limit), None);
        assert_eq!(seconds(429, &[("x-ratelimit-remaining", "3.0"), limit[2]]), None);
        assert_eq!(seconds(429, &[limit[1], ("x-ratelimit-reset", "0")]), Some(1));
        assert_eq!(seconds(429, &[limit[1], ("x-ratelimit-reset", "1445412500")]), Some(20), "the moment of its end");
    }

    #[test]
    fn limits_are_numbers_in_text() {
        let read = RateLimit::read(&headers(&[("x-ratelimit-remaining", "997.0"), ("x-ratelimit-reset", "281")]));
        assert_eq!(read, Some(RateLimit { used: None, remaining: 997.0, reset: 281.0 }));
        for bad in ["", "many", "NaN", "inf"] {
            assert_eq!(RateLimit::read(&headers(&[("x-ratelimit-remaining", bad), ("x-ratelimit-reset", "1")])), None);
        }
        assert_eq!(RateLimit::read(&headers(&[("x-ratelimit-remaining", "1")])), None);
    }
}
