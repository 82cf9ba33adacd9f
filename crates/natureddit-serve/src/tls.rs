//! HTTPS: the certificate a user gives, or a self-signed one made on first start and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use natureddit_core::Clock;
use natureddit_core::fs::{self, FsError};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How long a self-signed certificate is valid. Who trusts it does so by its bytes, so changing it often only hurts.
const SELF_SIGNED_YEARS: i32 = 10;

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
    /// `certificate.pem` and `key.pem` in a folder, made on first start for `localhost`, 127.0.0.1, ::1 and `host`,
    /// and used from then on. Removing the folder makes new ones.
    SelfSigned {
        /// The folder; its parent must be there or be makeable.
        folder: PathBuf,
        /// A further name or address that clients use.
        host: Option<String>,
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
    /// A self-signed certificate could not be made.
    #[error("could not make a self-signed certificate")]
    SelfSign(#[from] rcgen::Error),
}

/// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1. Reads the files, making the self-signed ones where they are missing.
///
/// # Errors
/// When a file cannot be read, holds something else, or the two do not belong together.
pub(crate) fn read_tls(files: &TlsFiles, clock: &Clock) -> Result<ServerConfig, TlsError> {
    match files {
        TlsFiles::Given { certificate, key } => server_config(certificate, key),
        TlsFiles::SelfSigned { folder, host } => {
            let (certificate, key) = (folder.join(CERTIFICATE_FILE), folder.join("key.pem"));
            if fs::optional(fs::metadata(&certificate))?.is_none() {
                write_self_signed(folder, host.as_deref(), clock)?;
            }
            server_config(&certificate, &key)
        }
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

/// Both files appear together, by renaming a whole folder: two servers that start at once cannot mix their pairs.
fn write_self_signed(folder: &Path, host: Option<&str>, clock: &Clock) -> Result<(), TlsError> {
    let key = KeyPair::generate()?;
    let certificate = self_signed_params(host, clock)?.self_signed(&key)?;
    let partial = fs::beside(folder);
    fs::write_private(&partial.join("key.pem"), key.serialize_pem())?;
    fs::write_atomic(&partial.join(CERTIFICATE_FILE), certificate.pem())?;
    let Err(error) = fs::rename(&partial, folder) else {
        tracing::info!(folder = %folder.display(), "made a self-signed certificate");
        return Ok(());
    };
    fs::remove_dir_all(&partial)?;
    // Another server was first: its pair is as good.
    let other = fs::optional(fs::metadata(&folder.join(CERTIFICATE_FILE)))?;
    other.map(|_| ()).ok_or_else(|| error.into())
}

fn self_signed_params(host: Option<&str>, clock: &Clock) -> Result<CertificateParams, rcgen::Error> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(host.filter(|host| !names.iter().any(|name| name == host)).map(str::to_owned));
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "NatuReddit self-signed");
    let now = TimeZone::UTC.to_datetime(clock.now());
    let year = i32::from(now.year());
    // The first day of this month and of that month years later: every month has one, also after a leap day, and a
    // client whose clock is a little behind is not refused.
    let month = now.month().unsigned_abs();
    params.not_before = rcgen::date_time_ymd(year, month, 1);
    params.not_after = rcgen::date_time_ymd(year + SELF_SIGNED_YEARS, month, 1);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed(folder: &Path) -> TlsFiles {
        TlsFiles::SelfSigned { folder: folder.join("tls"), host: Some("model.example".to_owned()) }
    }

    #[test]
    fn the_self_signed_certificate_is_made_once_and_its_key_is_private() {
        let temp = tempfile::tempdir().unwrap();
        read_tls(&self_signed(temp.path()), &Clock::fixed(1_700_000_000)).unwrap();
        let certificate = fs::read(&temp.path().join("tls/certificate.pem")).unwrap();
        read_tls(&self_signed(temp.path()), &Clock::fixed(1_800_000_000)).unwrap();
        assert_eq!(fs::read(&temp.path().join("tls/certificate.pem")).unwrap(), certificate);
        assert_eq!(fs::read_dir(temp.path()).unwrap(), [temp.path().join("tls")]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&temp.path().join("tls/key.pem")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn servers_that_start_at_once_end_with_one_pair() {
        let temp = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..4).map(|_| scope.spawn(|| read_tls(&self_signed(temp.path()), &Clock::System).map(drop))).collect();
            starts.into_iter().for_each(|start| start.join().unwrap().unwrap());
        });
        assert_eq!(fs::read_dir(temp.path()).unwrap(), [temp.path().join("tls")]);
    }

    #[test]
    fn it_is_made_even_on_a_leap_day() {
        let leap_day = Clock::fixed(1_709_200_000);
        assert_eq!(leap_day.now().to_string(), "2024-02-29T09:46:40Z");
        assert!(self_signed_params(None, &leap_day).is_ok());
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

    #[test]
    fn a_key_whose_certificate_is_gone_is_not_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        read_tls(&self_signed(temp.path()), &Clock::System).unwrap();
        fs::remove_file(&temp.path().join("tls/certificate.pem")).unwrap();
        assert!(matches!(read_tls(&self_signed(temp.path()), &Clock::System), Err(TlsError::File(_))));
        assert_eq!(fs::read_dir(temp.path()).unwrap(), [temp.path().join("tls")]);
    }
}
