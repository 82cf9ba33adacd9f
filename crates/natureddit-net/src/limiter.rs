//! How many requests are under way to one host at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hosts that are remembered although nothing is under way to them.
const IDLE_HOSTS_MAX: usize = 1024;

/// A place for each of the requests that a host may be asked at once.
pub(crate) struct HostLimiter {
    requests_per_host_max: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl HostLimiter {
    pub(crate) fn new(requests_per_host_max: usize) -> Self {
        Self { requests_per_host_max: requests_per_host_max.max(1), hosts: Mutex::default() }
    }

    /// Waits for a place; it is free again when the permit is dropped.
    pub(crate) async fn enter(&self, host: &str) -> OwnedSemaphorePermit {
        let places = self.places(host);
        places.acquire_owned().await.expect("the semaphore is never closed")
    }

    fn places(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() > IDLE_HOSTS_MAX {
            hosts.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let places =
            hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.requests_per_host_max)));
        Arc::clone(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn one_host_waits_and_another_does_not() {
        let limiter = HostLimiter::new(2);
        let first = limiter.enter("a").await;
        let _second = limiter.enter("a").await;
        assert!(limiter.enter("a").now_or_never().is_none());
        let _other = limiter.enter("b").await;
        drop(first);
        assert!(limiter.enter("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn idle_hosts_are_forgotten() {
        let limiter = HostLimiter::new(1);
        let _busy = limiter.enter("busy").await;
        for host in 0..2 * IDLE_HOSTS_MAX {
            drop(limiter.enter(&host.to_string()).await);
        }
        assert!(limiter.hosts.lock().unwrap().len() <= IDLE_HOSTS_MAX + 1);
        assert!(limiter.enter("busy").now_or_never().is_none());
    }
}
