//! Certificates that are replaced while they are served.

use std::path::Path;
use std::time::Duration;

use natureddit_core::fs;
use natureddit_serve::TlsFiles;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client, StatusCode};
use tempfile::TempDir;

use crate::fixture::{Fixture, logged, steady};

/// A certificate for `localhost`, and its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self { certificate: cert.pem(), key: signing_key.serialize_pem() }
    }

    fn put_certificate(&self, folder: &Path) {
        fs::write_atomic(&folder.join("cert.pem"), &self.certificate).unwrap();
    }

    fn put_key(&self, folder: &Path) {
        fs::write_atomic(&folder.join("key.pem"), &self.key).unwrap();
    }

    /// A client that trusts this certificate alone, and opens a connection for every request.
    fn client(&self) -> Client {
        let certificate = Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([certificate]).pool_max_idle_per_host(0).build().unwrap()
    }

    /// Whether a new connection is served with this certificate.
    async fn is_served_by(&self, fixture: &Fixture) -> bool {
        match self.client().get(fixture.url("/ping")).send().await {
            Ok(response) => response.status() == StatusCode::OK,
            Err(error) => {
                assert!(error.is_connect(), "{error}");
                false
            }
        }
    }
}

/// A server that looks often whether its files have changed.
async fn start(pair: &Pair) -> (Fixture, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    pair.put_certificate(folder.path());
    pair.put_key(folder.path());
    let files = TlsFiles::Given { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let fixture = Fixture::start_with(vec![steady(1, [0.0, 1.0, 0.0])], |config| {
        config.tls = Some(files);
        config.control.refresh_interval = Some(Duration::from_millis(5));
    });
    (fixture.await, folder)
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_served_without_a_restart_and_open_connections_stay() {
    let [first, second] = [Pair::new(), Pair::new()];
    let (fixture, folder) = start(&first).await;
    assert!(first.is_served_by(&fixture).await && !second.is_served_by(&fixture).await);
    let certificate = Certificate::from_pem(first.certificate.as_bytes()).unwrap();
    let before = Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap();
    let ping = async || before.get(fixture.url("/ping")).send().await.unwrap().status();
    assert_eq!(ping().await, StatusCode::OK);
    // One file after the other: in between they do not belong together.
    second.put_certificate(folder.path());
    second.put_key(folder.path());
    while !second.is_served_by(&fixture).await {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_served_by(&fixture).await);
    assert_eq!(ping().await, StatusCode::OK, "its connection was opened before");
}

#[tokio::test]
async fn a_broken_certificate_is_not_served_and_the_next_good_one_is() {
    let [first, second] = [Pair::new(), Pair::new()];
    let (fixture, folder) = start(&first).await;
    // No PEM, a certificate without its key, and none at all; each is noticed, and told.
    let told = || logged().matches(&format!("{}", folder.path().display())).count();
    let unread = async |change: &dyn Fn()| {
        let before = told();
        change();
        while told() == before {
            tokio::task::yield_now().await;
        }
        assert!(first.is_served_by(&fixture).await);
    };
    unread(&|| fs::write_atomic(&folder.path().join("cert.pem"), "no certificate").unwrap()).await;
    unread(&|| second.put_certificate(folder.path())).await;
    unread(&|| fs::remove_file(&folder.path().join("cert.pem")).unwrap()).await;
    second.put_certificate(folder.path());
    second.put_key(folder.path());
    while !second.is_served_by(&fixture).await {
        tokio::task::yield_now().await;
    }
}
