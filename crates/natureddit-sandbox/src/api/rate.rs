//! How many requests a client may still make.

use std::sync::{Mutex, PoisonError};

/// A window of time with a limit of requests. All clients are counted together.
pub(crate) struct RateWindow {
    requests_max: u64,
    seconds: i64,
    /// Which window it is, and the requests in it.
    state: Mutex<(i64, u64)>,
}

/// What a request finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) used: u64,
    pub(crate) remaining: u64,
    /// Seconds until the next window.
    pub(crate) reset: i64,
    /// Whether this request is one too many.
    pub(crate) is_over: bool,
}

impl RateWindow {
    pub(crate) fn new(requests_max: u64, seconds: i64) -> Self {
        Self { requests_max, seconds: seconds.max(1), state: Mutex::new((0, 0)) }
    }

    /// Counts a request.
    pub(crate) fn count(&self, now: i64) -> Rate {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let window = now.div_euclid(self.seconds);
        if state.0 != window {
            *state = (window, 0);
        }
        let is_over = state.1 >= self.requests_max;
        state.1 += u64::from(!is_over);
        let reset = (window + 1) * self.seconds - now;
        Rate { used: state.1, remaining: self.requests_max - state.1, reset, is_over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_and_the_next_begins() {
        let window = RateWindow::new(2, 600);
        assert_eq!(window.count(1_190), Rate { used: 1, remaining: 1, reset: 10, is_over: false });
        assert_eq!(window.count(1_191), Rate { used: 2, remaining: 0, reset: 9, is_over: false });
        assert_eq!(window.count(1_192), Rate { used: 2, remaining: 0, reset: 8, is_over: true });
        assert_eq!(window.count(1_200), Rate { used: 1, remaining: 1, reset: 600, is_over: false });
    }
}
