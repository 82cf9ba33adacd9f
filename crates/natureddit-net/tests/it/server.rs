//! A server on a free port of loopback, and a client whose host map leads `site.example` to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use natureddit_net::{Client, ClientConfig, HostMap, RetryPolicy};
use url::Url;

/// Counts the requests that reached a handler.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// Counts one more and says how many there were before.
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub(crate) fn config(address: SocketAddr) -> ClientConfig {
    let base = Url::parse(&format!("http://{address}/")).unwrap();
    ClientConfig {
        user_agent: "natureddit-test/1.0".into(),
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(30),
        retry: RetryPolicy { retries_max: 3, backoff: Duration::from_millis(1), backoff_max: Duration::from_millis(5) },
        redirects_max: 3,
        requests_per_host_max: 8,
        host_map: HostMap::new([("site.example".into(), base)]),
    }
}

pub(crate) async fn client_of(router: Router) -> Client {
    Client::new(config(serve(router).await)).unwrap()
}
