//! How many requests are worked on at a time, and who is turned away when there are more.
//!
//! Up to `many` wait. Clients that send their next request when they have the answer to the last never have more under way
//! than they have connections; when even `many` are there, requests come faster than they can be answered, and to let all of
//! them wait would only make every answer late. From then on, until for a while nobody had to be turned away, a `few` are let
//! in, and of those that wait already the newest `few` are worked on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// So long after the last one was turned away the crowd is gone. While twice as many come as can be answered the next is turned
/// away within a few milliseconds; when half as many come, a few are there by chance every now and then, which is no crowd.
const SETTLED: Duration = Duration::from_millis(100);

/// Before anybody was turned away.
const NEVER: u64 = u64::MAX;

/// Lets requests in.
pub(crate) struct Admissions {
    permits: Arc<Semaphore>,
    many: usize,
    few: usize,
    /// How many were let in.
    let_in: AtomicU64,
    started: Instant,
    /// When the last one was turned away, in microseconds since `started`, or [`NEVER`].
    turned_away: AtomicU64,
    somebody_was_turned_away: Notify,
}

/// Leave to work on a request until this is dropped.
pub(crate) struct Admission {
    /// Its place among all.
    number: u64,
    admissions: Arc<Admissions>,
    _permit: OwnedSemaphorePermit,
}

impl Admissions {
    /// For at most `many` requests at a time, and `few` while there is a crowd.
    pub(crate) fn new(many: usize, few: usize) -> Arc<Self> {
        let many = many.min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(many));
        let (let_in, turned_away) = (AtomicU64::new(0), AtomicU64::new(NEVER));
        let (few, started, somebody_was_turned_away) = (few.clamp(1, many.max(1)), Instant::now(), Notify::new());
        Arc::new(Self { permits, many, few, let_in, started, turned_away, somebody_was_turned_away })
    }

    /// How many requests are let in and not yet answered.
    pub(crate) fn under_way(&self) -> usize {
        self.many.saturating_sub(self.permits.available_permits())
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// [`ApiError::Busy`] when there are too many.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Admission, ApiError> {
        self.enter_at(Instant::now())
    }

    fn enter_at(self: &Arc<Self>, now: Instant) -> Result<Admission, ApiError> {
        let has_room = !self.is_crowded(now) || self.under_way() < self.few;
        let permit = has_room.then(|| Arc::clone(&self.permits).try_acquire_owned().ok()).flatten();
        let Some(permit) = permit else {
            self.turned_away.store(self.microseconds(now), Ordering::Relaxed);
            self.somebody_was_turned_away.notify_waiters();
            return Err(ApiError::Busy);
        };
        let number = self.let_in.fetch_add(1, Ordering::Relaxed);
        Ok(Admission { number, admissions: Arc::clone(self), _permit: permit })
    }

    fn is_crowded(&self, now: Instant) -> bool {
        let last = self.turned_away.load(Ordering::Relaxed);
        last != NEVER && Duration::from_micros(self.microseconds(now).saturating_sub(last)) < SETTLED
    }

    fn microseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_micros()).unwrap_or(NEVER - 1)
    }
}

impl Admission {
    /// Waits for the answer to the request, unless there is a crowd and newer ones take its place.
    ///
    /// # Errors
    /// As `answer`, and [`ApiError::Busy`] when it was passed over.
    pub(crate) async fn unless_passed_over<T>(
        &self,
        answer: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            biased;
            answered = answer => answered,
            () = self.passed_over() => Err(ApiError::Busy),
        }
    }

    async fn passed_over(&self) {
        loop {
            let turned_away = self.admissions.somebody_was_turned_away.notified();
            if self.is_passed_over(Instant::now()) {
                return;
            }
            turned_away.await;
        }
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        let newer = self.admissions.let_in.load(Ordering::Relaxed).saturating_sub(self.number + 1);
        newer >= self.admissions.few as u64 && self.admissions.is_crowded(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn many_wait_and_the_next_is_turned_away() {
        let admissions = Admissions::new(5, 2);
        let inside: Vec<_> = (0..5).map(|_| admissions.enter().unwrap()).collect();
        assert!(
            inside.iter().all(|admission| !admission.is_passed_over(Instant::now())),
            "without a crowd all are worked on"
        );
        assert!(matches!(admissions.enter(), Err(ApiError::Busy)));
        assert_eq!(admissions.under_way(), 5);
    }

    #[test]
    fn in_a_crowd_the_newest_few_are_worked_on_and_few_are_let_in() {
        let admissions = Admissions::new(5, 2);
        let mut inside: Vec<_> = (0..5).map(|_| admissions.enter().unwrap()).collect();
        assert!(admissions.enter().is_err());
        let passed_over: Vec<_> = inside.iter().map(|admission| admission.is_passed_over(Instant::now())).collect();
        assert_eq!(passed_over, [true, true, true, false, false]);
        inside.truncate(2);
        assert!(admissions.enter().is_err(), "two are few, though five have room");
        inside.truncate(1);
        let next = admissions.enter().unwrap();
        assert!(!next.is_passed_over(Instant::now()));
    }

    #[tokio::test]
    async fn who_waits_is_told_when_it_is_passed_over() {
        let admissions = Admissions::new(2, 1);
        let [older, newer] = [admissions.enter().unwrap(), admissions.enter().unwrap()];
        let waiting = tokio::spawn(async move { older.passed_over().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert!(admissions.enter().is_err());
        waiting.await.unwrap();
        assert!(!newer.is_passed_over(Instant::now()));
    }

    #[test]
    fn a_crowd_is_gone_when_nobody_was_turned_away_for_a_while() {
        let admissions = Admissions::new(3, 1);
        let now = admissions.started;
        let inside: Vec<_> = (0..3).map(|_| admissions.enter_at(now).unwrap()).collect();
        assert!(admissions.enter_at(now).is_err());
        assert!(inside[0].is_passed_over(now + SETTLED - MOMENT));
        assert!(!inside[0].is_passed_over(now + SETTLED));
        drop(inside);
        let one = admissions.enter_at(now + MOMENT).unwrap();
        assert!(admissions.enter_at(now + SETTLED - MOMENT).is_err(), "one is few");
        assert!(admissions.enter_at(now + SETTLED + MOMENT).is_err(), "somebody was turned away a moment ago");
        assert!(admissions.enter_at(now + 2 * SETTLED + MOMENT).is_ok());
        drop(one);
    }

    #[test]
    fn there_are_no_more_of_a_few_than_of_many() {
        let admissions = Admissions::new(1, 6);
        let one = admissions.enter().unwrap();
        assert!(admissions.enter().is_err());
        assert!(!one.is_passed_over(Instant::now()));
        drop(one);
        assert!(admissions.enter().is_ok());
    }
}
