//! How fast hosts are asked: each API at its own pace, and not at all while it says that it has had enough.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use natureddit_core::Clock;

/// Hosts whose turns are remembered although they are over.
const IDLE_HOSTS_MAX: usize = 1024;

/// The pace of requests, and the patience of each.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// Which time waits are measured by. A fixed clock is moved on instead of waiting.
    pub clock: Clock,
    /// API hosts, as named in addresses (not as mapped), and the shortest time between the starts of two requests to
    /// each. What such a host says about its limits is heeded.
    pub api_hosts: BTreeMap<String, Duration>,
    /// The shortest time between the starts of two requests to any other host, such as one that has photos.
    pub interval: Duration,
    /// The longest that one request may wait in all: for its turn, for a limit to be over, between repetitions.
    pub wait_max: Duration,
}

impl Pacing {
    /// A quarter of an hour: Reddit's limits are those of ten minutes.
    pub const WAIT_MAX: Duration = Duration::from_secs(900);

    /// No API, and no pause between requests; waits of at most [`Pacing::WAIT_MAX`] by the system's clock.
    #[must_use]
    pub fn none() -> Self {
        Self { clock: Clock::System, api_hosts: BTreeMap::new(), interval: Duration::ZERO, wait_max: Self::WAIT_MAX }
    }

    /// The same with one more API, and the shortest time between the starts of two requests to it.
    #[must_use]
    pub fn api_host(mut self, host: &str, interval: Duration) -> Self {
        self.api_hosts.insert(host.to_ascii_lowercase(), interval);
        self
    }
}

/// What one request may still wait.
#[derive(Debug)]
pub(crate) struct Budget(pub(crate) Duration);

impl Budget {
    /// Takes a wait out of the budget; `false`, and nothing taken, when it is longer than what is left.
    pub(crate) fn take(&mut self, wait: Duration) -> bool {
        match self.0.checked_sub(wait) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

/// When each host may be asked next.
pub(crate) struct Turns {
    pub(crate) pacing: Pacing,
    next: Mutex<HashMap<String, Turn>>,
}

#[derive(Clone, Copy)]
struct Turn {
    /// When this was written down: a clock that is before that has been set back, and the rest means nothing.
    noted_at: Timestamp,
    free_at: Timestamp,
}

impl Turn {
    fn wait(self, now: Timestamp) -> Duration {
        if now < self.noted_at { Duration::ZERO } else { between(now, self.free_at) }
    }
}

impl Turns {
    pub(crate) fn new(pacing: Pacing) -> Self {
        Self { pacing, next: Mutex::default() }
    }

    /// Whether a host is an API.
    pub(crate) fn is_api(&self, host: &str) -> bool {
        self.pacing.api_hosts.contains_key(host)
    }

    /// Waits for the next turn at a host.
    ///
    /// # Errors
    /// The wait, when it is longer than what the budget has left; the turn is then another's.
    pub(crate) async fn enter(&self, host: &str, budget: &mut Budget) -> Result<(), Duration> {
        let wait = self.reserve(host, budget)?;
        pause(&self.pacing.clock, wait).await;
        Ok(())
    }

    fn reserve(&self, host: &str, budget: &mut Budget) -> Result<Duration, Duration> {
        let interval = self.pacing.api_hosts.get(host).copied().unwrap_or(self.pacing.interval);
        let now = self.pacing.clock.now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = next.get(host).map_or(Duration::ZERO, |turn| turn.wait(now));
        if !budget.take(wait) {
            return Err(wait);
        }
        if !interval.is_zero() {
            note(&mut next, host, now, wait + interval);
        }
        Ok(wait)
    }

    /// Keeps everybody from a host for so long.
    pub(crate) fn hold(&self, host: &str, wait: Duration) {
        let now = self.pacing.clock.now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.get(host).is_none_or(|turn| turn.wait(now) < wait) {
            note(&mut next, host, now, wait);
        }
    }
}

fn note(next: &mut HashMap<String, Turn>, host: &str, now: Timestamp, wait: Duration) {
    if next.len() > IDLE_HOSTS_MAX {
        next.retain(|_, turn| !turn.wait(now).is_zero());
    }
    let free_at = SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok());
    next.insert(host.to_owned(), Turn { noted_at: now, free_at: free_at.unwrap_or(Timestamp::MAX) });
}

/// The time from `now` to `then`; none when that is over.
pub(crate) fn between(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// Lets time pass: a fixed clock is moved on by whole seconds, for nothing else moves it.
pub(crate) async fn pause(clock: &Clock, wait: Duration) {
    match clock {
        Clock::System => tokio::time::sleep(wait).await,
        Clock::Fixed(_) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            clock.advance(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn turns() -> (Turns, Clock) {
        let clock = Clock::fixed(1_700_000_000);
        let none = Pacing::none().api_host("API.example", Duration::from_secs(1));
        let pacing = Pacing { clock: clock.clone(), wait_max: MINUTE, ..none };
        (Turns::new(pacing), clock)
    }

    fn since(clock: &Clock) -> i64 {
        clock.now().as_second() - 1_700_000_000
    }

    #[tokio::test]
    async fn an_api_is_asked_once_a_second_and_other_hosts_at_once() {
        let (turns, clock) = turns();
        let mut budget = Budget(MINUTE);
        for second in 0..4 {
            turns.enter("api.example", &mut budget).await.unwrap();
            assert_eq!(since(&clock), second);
            turns.enter("photos.example", &mut budget).await.unwrap();
            assert_eq!(since(&clock), second);
        }
        assert_eq!(budget.0, MINUTE - Duration::from_secs(3));
        clock.advance(10);
        turns.enter("api.example", &mut budget).await.unwrap();
        assert_eq!(since(&clock), 13, "a host that was left alone is asked at once");
    }

    #[tokio::test]
    async fn a_held_host_is_left_alone_and_a_shorter_hold_changes_nothing() {
        let (turns, clock) = turns();
        turns.hold("api.example", Duration::from_secs(42));
        turns.hold("api.example", Duration::from_secs(2));
        turns.enter("api.example", &mut Budget(MINUTE)).await.unwrap();
        assert_eq!(since(&clock), 42);
    }

    #[tokio::test]
    async fn who_may_not_wait_so_long_takes_no_turn() {
        let (turns, clock) = turns();
        turns.hold("api.example", Duration::from_secs(42));
        let wait = turns.enter("api.example", &mut Budget(Duration::from_secs(41))).await.unwrap_err();
        assert_eq!((wait, since(&clock)), (Duration::from_secs(42), 0));
        turns.hold("api.example", Duration::MAX);
        assert!(turns.enter("api.example", &mut Budget(MINUTE)).await.is_err());
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_does_not_make_anybody_wait() {
        let (turns, clock) = turns();
        turns.hold("api.example", Duration::from_secs(42));
        clock.advance(-3600);
        turns.enter("api.example", &mut Budget(Duration::ZERO)).await.unwrap();
    }
}
