//! Ranges of time: what is asked for, what is covered, what is missing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A half-open range of time, `[since, until)`, in seconds since the epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "WindowText", into = "WindowText")]
pub struct Window {
    since: i64,
    until: i64,
}

/// A window as files write it.
#[derive(Serialize, Deserialize)]
struct WindowText {
    since: Timestamp,
    until: Timestamp,
}

/// A range of time that cannot be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// It ends before it begins, or at once.
    #[error("the window from {} until {} is empty", shown(*since), shown(*until))]
    Empty {
        /// Its first second.
        since: i64,
        /// The second it ends before.
        until: i64,
    },
    /// It reaches outside the years 1970 to 9999.
    #[error("the window from {} until {} is not between 1970 and 9999", shown(*since), shown(*until))]
    OutOfRange {
        /// Its first second.
        since: i64,
        /// The second it ends before.
        until: i64,
    },
}

impl Window {
    /// The window from `since` until before `until`.
    ///
    /// # Errors
    /// An empty window, or one before 1970 or after 9999.
    pub fn new(since: i64, until: i64) -> Result<Self, WindowError> {
        if since < 0 || Timestamp::from_second(until).is_err() {
            return Err(WindowError::OutOfRange { since, until });
        }
        if since >= until {
            return Err(WindowError::Empty { since, until });
        }
        Ok(Self { since, until })
    }

    /// The first second.
    #[must_use]
    pub fn since(self) -> i64 {
        self.since
    }

    /// The second it ends before.
    #[must_use]
    pub fn until(self) -> i64 {
        self.until
    }

    /// One second of it, which must lie between 1970 and 9999.
    pub(crate) fn of_second(second: i64) -> Self {
        Self { since: second, until: second + 1 }
    }

    /// The window that covers both, if they overlap or touch.
    fn join(self, other: Self) -> Option<Self> {
        let touch = self.since <= other.until && other.since <= self.until;
        touch.then(|| Self { since: self.since.min(other.since), until: self.until.max(other.until) })
    }

    /// Whether a moment lies in it.
    #[must_use]
    pub fn contains(self, second: i64) -> bool {
        (self.since..self.until).contains(&second)
    }
}

impl TryFrom<WindowText> for Window {
    type Error = WindowError;

    fn try_from(text: WindowText) -> Result<Self, Self::Error> {
        Self::new(text.since.as_second(), text.until.as_second())
    }
}

impl From<Window> for WindowText {
    fn from(window: Window) -> Self {
        // Checked by `Window::new`.
        let timestamp = |second| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { since: timestamp(window.since), until: timestamp(window.until) }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", shown(self.since), shown(self.until))
    }
}

/// A second since the epoch as messages show it: `2022-05-01T00:00:00Z`. One that no calendar holds stays a number.
pub(crate) fn shown(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |moment| moment.to_string())
}

/// Adds a window to sorted windows that do not touch each other, and keeps them so.
pub(crate) fn add(windows: &mut Vec<Window>, window: Window) {
    windows.push(window);
    windows.sort_by_key(|window| window.since());
    windows.dedup_by(|next, joined| {
        let both = joined.join(*next);
        both.is_some_and(|both| {
            *joined = both;
            true
        })
    });
}

/// What is left of a window without some others, sorted.
pub(crate) fn without(window: Window, others: &[Window]) -> Vec<Window> {
    let mut left = vec![window];
    for other in others {
        let parts = |window: &Window| {
            let before = Window { since: window.since, until: window.until.min(other.since) };
            let after = Window { since: window.since.max(other.until), until: window.until };
            [before, after].into_iter().filter(|part| part.since < part.until)
        };
        left = left.iter().flat_map(parts).collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(since: i64, until: i64) -> Window {
        Window::new(since, until).unwrap()
    }

    #[test]
    fn impossible_windows_are_refused_with_their_dates() {
        let empty = Window::new(1_651_363_200, 1_651_363_200).unwrap_err().to_string();
        assert_eq!(empty, "the window from 2022-05-01T00:00:00Z until 2022-05-01T00:00:00Z is empty");
        assert!(Window::new(-1, 5).is_err());
        assert!(Window::new(0, i64::MAX).is_err());
    }

    #[test]
    fn windows_that_touch_are_one() {
        let mut windows = Vec::new();
        for (since, until) in [(10, 20), (30, 40), (20, 25), (12, 13), (50, 60), (39, 50)] {
            add(&mut windows, window(since, until));
        }
        assert_eq!(windows, [window(10, 25), window(30, 60)]);
    }

    #[test]
    fn what_is_missing_is_taken_out_of_a_window() {
        let missing = [window(5, 12), window(15, 16), window(18, 30)];
        assert_eq!(without(window(10, 20), &missing), [window(12, 15), window(16, 18)]);
        assert_eq!(without(window(10, 20), &[window(10, 20)]), []);
        assert_eq!(without(window(10, 20), &[window(20, 30)]), [window(10, 20)]);
    }
}
