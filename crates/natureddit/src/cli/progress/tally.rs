//! What is known of the step under way, however it is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use natureddit_core::progress::{ProgressEvent, Unit, Wait, WaitReason};

use crate::cli::words::{counted, size, time};

/// How far back the rate looks.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The time between two readings of the rate.
const RATE_EVERY: Duration = Duration::from_millis(500);

/// Shorter waits are not told.
pub(super) const MOMENT: Duration = Duration::from_secs(2);

/// A step and what it has brought.
pub(super) struct Tally {
    pub(super) what: String,
    pub(super) unit: Unit,
    pub(super) total: Option<u64>,
    pub(super) done: u64,
    pub(super) photos: u64,
    pub(super) bytes: u64,
    pub(super) started: Instant,
    /// What had been done at some moments, the oldest first.
    readings: VecDeque<(Instant, u64, u64)>,
}

impl Tally {
    pub(super) fn new(what: &str, total: Option<u64>, unit: Unit, now: Instant) -> Self {
        let readings = VecDeque::from([(now, 0, 0)]);
        Self { what: what.to_owned(), unit, total, done: 0, photos: 0, bytes: 0, started: now, readings }
    }

    /// Counts what an event brings; other events change nothing.
    pub(super) fn count(&mut self, event: &ProgressEvent<'_>, now: Instant) {
        match event {
            ProgressEvent::Advance(items) => self.done += items,
            ProgressEvent::Photo { bytes } => {
                self.photos += 1;
                self.bytes += bytes;
            }
            _ => return,
        }
        if self.readings.back().is_none_or(|last| now.duration_since(last.0) >= RATE_EVERY) {
            self.readings.push_back((now, self.done, self.photos));
            // One reading before the window stays: the rate is that since it.
            while self.readings.get(1).is_some_and(|second| now.duration_since(second.0) > RATE_WINDOW) {
                self.readings.pop_front();
            }
        }
    }

    /// Photos a second of late or, where none came, items a second.
    pub(super) fn rate(&self, now: Instant) -> (f64, &'static str) {
        let (since, done, photos) = self.readings.front().copied().unwrap_or((self.started, 0, 0));
        // The first instants would give rates of thousands.
        let seconds = now.duration_since(since).as_secs_f64().max(1.0);
        let per_second = |count: u64| count as f64 / seconds;
        match self.photos - photos {
            0 => (per_second(self.done - done), "posts"),
            photos => (per_second(photos), "photos"),
        }
    }

    /// `1,234 posts, 1,100 photos, 210.40 MiB`.
    pub(super) fn counts(&self) -> String {
        match self.unit {
            Unit::Items => HumanCount(self.done).to_string(),
            Unit::Bytes => size(self.done),
            Unit::Posts => {
                format!("{}, {}, {}", counted(self.done, "post"), counted(self.photos, "photo"), size(self.bytes))
            }
        }
    }

    /// What came and how fast.
    pub(super) fn under_way(&self, now: Instant) -> String {
        let counts = self.counts();
        match (self.unit, self.total) {
            (Unit::Posts, _) => {
                let (rate, of) = self.rate(now);
                format!("{counts}, {rate:.1} {of}/s")
            }
            (Unit::Items, Some(total)) => format!("{counts} of {}", HumanCount(total)),
            (Unit::Bytes, Some(total)) => format!("{counts} of {}", size(total)),
            (_, None) => counts,
        }
    }

    /// `embedding photos, 897 in 4.2 s`.
    pub(super) fn finished(&self, took: Duration) -> String {
        let seconds = time(took.as_secs_f64());
        match (self.done, self.photos) {
            (0, 0) => format!("{}, {seconds}", self.what),
            _ => format!("{}, {} in {seconds}", self.what, self.counts()),
        }
    }
}

/// Requests that wait for their hosts.
#[derive(Default)]
pub(super) struct Waits(Vec<Held>);

struct Held {
    host: String,
    until: Instant,
    reason: WaitReason,
}

impl Waits {
    /// Notes a wait that is longer than a moment; whether it is news: a host that is waited for longer than was known.
    pub(super) fn note(&mut self, wait: Wait<'_>, now: Instant) -> bool {
        self.0.retain(|held| held.until > now);
        let Wait { host, wait, reason } = wait;
        let Some(until) = now.checked_add(wait).filter(|_| wait >= MOMENT) else { return false };
        match self.0.iter_mut().find(|held| held.host == host) {
            // Several requests to one host wait for the same.
            Some(held) if held.until + MOMENT >= until => false,
            Some(held) => {
                (held.until, held.reason) = (until, reason);
                true
            }
            None => {
                self.0.push(Held { host: host.to_owned(), until, reason });
                true
            }
        }
    }

    /// `waiting 42 s for oauth.reddit.com (rate limit)`: the longest wait; nothing when none is under way.
    pub(super) fn told(&self, now: Instant) -> Option<String> {
        let held = self.0.iter().filter(|held| held.until > now).max_by_key(|held| held.until)?;
        Some(waiting(&held.host, held.until.duration_since(now), held.reason))
    }
}

fn waiting(host: &str, wait: Duration, reason: WaitReason) -> String {
    let reason = match reason {
        WaitReason::Pace => "net.api_requests_per_second",
        WaitReason::RetryAfter => "as it asks",
        WaitReason::RateLimit => "rate limit",
        WaitReason::BackOff => "after a failure",
    };
    format!("waiting {:.0} s for {host} ({reason})", wait.as_secs_f64().ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn posts_are_told_with_their_photos_bytes_and_rate() {
        let start = Instant::now();
        let mut tally = Tally::new("collecting r/flowers", None, Unit::Posts, start);
        for second in 1..=30 {
            tally.count(&ProgressEvent::Photo { bytes: 1 << 19 }, start + second * SECOND);
            tally.count(&ProgressEvent::Advance(1), start + second * SECOND);
        }
        let now = start + 30 * SECOND;
        assert_eq!(tally.under_way(now), "30 posts, 30 photos, 15.00 MiB, 1.0 photos/s");
        // What came long ago is no rate.
        for second in 31..=60 {
            tally.count(&ProgressEvent::Advance(4), start + second * SECOND);
        }
        let (rate, of) = tally.rate(start + 60 * SECOND);
        assert!((rate - 4.0).abs() < 0.5 && of == "posts", "{rate} {of}");
        assert_eq!(tally.finished(90 * SECOND), "collecting r/flowers, 150 posts, 30 photos, 15.00 MiB in 1 min 30 s");
    }

    #[test]
    fn the_line_of_a_finished_step_counts_in_its_unit() {
        let took = Duration::from_millis(4_210);
        let line = |what, unit, done| Tally { done, ..Tally::new(what, None, unit, Instant::now()) }.finished(took);
        assert_eq!(line("embedding photos", Unit::Items, 1_897), "embedding photos, 1,897 in 4.2 s");
        assert_eq!(line("pulling weights", Unit::Bytes, 18 << 20), "pulling weights, 18.00 MiB in 4.2 s");
        assert_eq!(line("collecting r/a", Unit::Posts, 1), "collecting r/a, 1 post, 0 photos, 0 B in 4.2 s");
        assert_eq!(line("training", Unit::Items, 0), "training, 4.2 s");
    }

    #[test]
    fn the_longest_wait_is_told_until_it_is_over() {
        let start = Instant::now();
        let wait = |host, seconds, reason| Wait { host, wait: Duration::from_secs(seconds), reason };
        let mut waits = Waits::default();
        assert!(!waits.note(wait("a.example", 1, WaitReason::Pace), start), "a moment");
        assert_eq!(waits.told(start), None);
        assert!(waits.note(wait("a.example", 5, WaitReason::BackOff), start));
        assert!(waits.note(wait("oauth.reddit.com", 42, WaitReason::RateLimit), start));
        assert!(!waits.note(wait("oauth.reddit.com", 42, WaitReason::RateLimit), start + SECOND), "it is known");
        assert_eq!(waits.told(start).unwrap(), "waiting 42 s for oauth.reddit.com (rate limit)");
        assert_eq!(waits.told(start + 40 * SECOND).unwrap(), "waiting 2 s for oauth.reddit.com (rate limit)");
        assert_eq!(waits.told(start + 42 * SECOND), None);
    }
}
