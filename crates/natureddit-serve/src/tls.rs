//! HTTPS: the certificate a user gives, or a self-signed one made on first start and kept.

mod self_signed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use natureddit_core::fs::{self, FsError};
use natureddit_core::{Clock, ContentHash};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore, ServerConfig};

/// How long before its end a certificate is warned about.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The name of a self-signed certificate in its folder.
pub const CERTIFICATE_FILE: &str = "certificate.pem";

/// Where the server's certificate and private key come from.
#[derive(Clone, Debug)]
pub enum TlsFiles {
    /// PEM files of the user: the certificate (with its chain) and its unencrypted private key.
    Given {
        /// The certificate, then those that signed it.
        certificate: PathBuf,
        /// The private key: PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
    /// `certificate.pem` and `key.pem` in a folder, made on first start for `localhost`, 127.0.0.1, ::1 and `names`,
    /// and used until one of these is not named or the certificate has expired. A new one also has the names of the old
    /// ones, which are kept in the file `names`. Removing the three makes new ones.
    SelfSigned {
        /// The folder; its parent must be there or be makeable.
        folder: PathBuf,
        /// Further names and addresses that clients use.
        names: Vec<String>,
    },
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// No certificate in the file.
    #[error("no certificate in {path}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// No private key in the file, or an encrypted one.
    #[error("no unencrypted private key in {path}: {reason}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The two do not belong together or cannot be used.
    #[error("the certificate {certificate} cannot be used with the key {key}", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// A name that no certificate can have.
    #[error("{0:?} is neither a host name nor an ip address")]
    Name(String),
    /// A self-signed certificate could not be made.
    #[error("could not make a self-signed certificate")]
    SelfSign(#[from] rcgen::Error),
}

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1. Reads the files, making the self-signed ones where they are missing.
///
/// # Errors
/// When a file cannot be read, holds something else, or the two do not belong together.
pub(crate) fn read_tls(files: &TlsFiles, clock: &Clock) -> Result<ServerConfig, TlsError> {
    let (config, certificate) = match files {
        TlsFiles::Given { certificate, key } => (server_config(certificate, key)?, certificate.clone()),
        TlsFiles::SelfSigned { folder, names } => {
            (self_signed::provide(folder, names, clock)?, folder.join(CERTIFICATE_FILE))
        }
    };
    if let Some(warning) = expiry_warning(&certificate, clock)? {
        tracing::warn!(certificate = %certificate.display(), "{warning}");
    }
    Ok(config)
}

/// What the two files hold at this moment, to be compared; `None` for one that cannot be read.
pub(crate) fn content(files: &TlsFiles) -> [Option<ContentHash>; 2] {
    let paths = match files {
        TlsFiles::Given { certificate, key } => [certificate.clone(), key.clone()],
        TlsFiles::SelfSigned { folder, .. } => [CERTIFICATE_FILE, self_signed::KEY_FILE].map(|name| folder.join(name)),
    };
    paths.map(|path| fs::read(&path).ok().map(|bytes| ContentHash::of(&bytes)))
}

/// What to say about a certificate that clients refuse or soon will.
fn expiry_warning(certificate: &Path, clock: &Clock) -> Result<Option<String>, TlsError> {
    let chain = read_chain(certificate)?;
    let Some(end) = chain.first().and_then(expiry) else { return Ok(None) };
    let left = end.duration_since(clock.now());
    Ok(if left <= SignedDuration::ZERO {
        Some(format!("the certificate expired at {end}"))
    } else if left <= EXPIRY_WARNING {
        Some(format!("the certificate expires in {} days, at {end}", left.as_hours() / 24))
    } else {
        None
    })
}

/// The end of a certificate: what a check at the end of time says that it missed. `None` where that cannot be told.
fn expiry(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(Timestamp::MAX.as_second().unsigned_abs()));
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let no_roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&certificate, &no_roots, &[], end_of_time, algorithms) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok()
        }
        _ => None,
    }
}

fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let chain = read_chain(certificate)?;
    let private = read_key(key)?;
    let unusable = |source| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, private).map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(path)?;
    let refused = |e: PemError| TlsError::Certificate { path: path.to_owned(), reason: e.to_string() };
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(refused)?;
    if chain.is_empty() { Err(refused(PemError::NoItemsFound)) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = fs::read(path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|e| TlsError::Key { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed(folder: &Path) -> TlsFiles {
        TlsFiles::SelfSigned { folder: folder.join("tls"), names: Vec::new() }
    }

    #[test]
    fn the_end_of_a_certificate_is_warned_about() {
        let temp = tempfile::tempdir().unwrap();
        // 2023-11-14: the certificate ends on 2033-11-01.
        read_tls(&self_signed(temp.path()), &Clock::fixed(1_700_000_000)).unwrap();
        let certificate = temp.path().join("tls/certificate.pem");
        let warning = |now: &str| {
            let now: Timestamp = now.parse().unwrap();
            expiry_warning(&certificate, &Clock::fixed(now.as_second())).unwrap()
        };
        assert_eq!(warning("2033-10-01T00:00:00Z"), None);
        let soon = "the certificate expires in 9 days, at 2033-11-01T00:00:00Z";
        assert_eq!(warning("2033-10-22T12:00:00Z").unwrap(), soon);
        assert_eq!(warning("2033-11-01T00:00:01Z").unwrap(), "the certificate expired at 2033-11-01T00:00:00Z");
    }

    #[test]
    fn bad_files_are_named_in_the_error() {
        let temp = tempfile::tempdir().unwrap();
        read_tls(&self_signed(temp.path()), &Clock::System).unwrap();
        read_tls(&self_signed(&temp.path().join("other")), &Clock::System).unwrap();
        let (certificate, key) = (temp.path().join("tls/certificate.pem"), temp.path().join("tls/key.pem"));
        let others_key = temp.path().join("other/tls/key.pem");
        let refused = |certificate: &Path, key: &Path| {
            let files = TlsFiles::Given { certificate: certificate.to_owned(), key: key.to_owned() };
            read_tls(&files, &Clock::System).unwrap_err()
        };
        assert!(matches!(refused(&key, &key), TlsError::Certificate { path, .. } if path == key));
        assert!(matches!(refused(&certificate, &certificate), TlsError::Key { path, .. } if path == certificate));
        assert!(matches!(refused(&certificate, &others_key), TlsError::Pair { .. }));
        assert!(matches!(refused(Path::new("/nowhere.pem"), &key), TlsError::File(e) if e.is_not_found()));
    }
}
