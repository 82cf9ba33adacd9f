//! The simulator's own time, which begins where its posts end and moves with a clock or by hand.

use std::sync::atomic::{AtomicI64, Ordering};

use natureddit_core::Clock;

/// The simulator's time.
pub(crate) struct SimClock {
    clock: Clock,
    /// What is added to the clock's seconds.
    ahead: AtomicI64,
}

impl SimClock {
    /// Starts at `second`, and moves as `clock` does.
    pub(crate) fn new(clock: Clock, second: i64) -> Self {
        let ahead = second - clock.now().as_second();
        Self { clock, ahead: AtomicI64::new(ahead) }
    }

    /// The present second.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_second() + self.ahead.load(Ordering::SeqCst)
    }

    /// Moves the simulator's time on, but not the clock it follows.
    pub(crate) fn advance(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_with_the_clock_and_by_hand() {
        let shared = Clock::fixed(1_700_000_000);
        let time = SimClock::new(shared.clone(), 1_000);
        shared.advance(5);
        time.advance(20);
        assert_eq!((time.now(), shared.now().as_second()), (1_025, 1_700_000_005));
    }
}
