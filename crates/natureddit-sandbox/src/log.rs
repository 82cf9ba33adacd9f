//! The last requests, for tests that ask how a client behaves.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// How many requests are remembered.
const ENTRIES_MAX: usize = 10_000;

/// One request and the status it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// Counted from 1 since the start.
    pub number: u64,
    /// When, by the simulator's time, in seconds since the epoch.
    pub at: i64,
    /// The HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// The client's name for itself; empty when it gave none.
    pub user_agent: String,
    /// The media types that the client asked for; empty when it did not say.
    pub accept: String,
    /// Whether it showed a token or other credentials.
    pub has_token: bool,
    /// The HTTP status; what the client read of the answer may be less when a fault was planned.
    pub status: u16,
}

/// The last requests; older ones are forgotten.
#[derive(Default)]
pub(crate) struct RequestLog {
    entries: Mutex<VecDeque<LogEntry>>,
    /// How many there were since the start.
    count: watch::Sender<u64>,
}

impl RequestLog {
    /// Appends a request and numbers it.
    pub(crate) fn push(&self, entry: LogEntry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.count.borrow() + 1;
        if entries.len() == ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(LogEntry { number, ..entry });
        self.count.send_replace(number);
    }

    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_forgets_the_oldest() {
        let log = RequestLog::default();
        for at in 0..ENTRIES_MAX + 3 {
            let (method, path) = ("GET".into(), format!("/{at}"));
            let (user_agent, accept) = (String::new(), String::new());
            log.push(LogEntry { number: 0, at: 0, method, path, user_agent, accept, has_token: false, status: 200 });
        }
        let entries = log.entries();
        assert_eq!((entries.len(), entries[0].number), (ENTRIES_MAX, 4));
    }
}
