//! A self-signed certificate that is made on the first start and kept in a folder.

use std::path::Path;

use jiff::tz::TimeZone;
use natureddit_core::Clock;
use natureddit_core::fs;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use super::{CERTIFICATE_FILE, TlsError, expiry, read_chain, server_config};

/// The name of the private key in its folder.
pub(super) const KEY_FILE: &str = "key.pem";

/// Whom a self-made certificate names as its owner; it is known by that.
const OWNER: &str = "NatuReddit self-signed";

/// Every name that a certificate of the folder was made for, one a line, the latest last: servers that share the folder and
/// go by other names share the certificate instead of making it anew in turns.
const NAMES_FILE: &str = "names";

/// How many names are remembered; an address that changes every day must not grow the certificate for ever.
const NAMES_MAX: usize = 64;

/// How long a self-signed certificate is valid. Who trusts it does so by its bytes, so changing it often only hurts.
const YEARS: i32 = 10;

/// The names that every certificate is made for.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What is in the folder.
enum Kept {
    /// A pair to serve with.
    Usable(Box<ServerConfig>),
    /// Nothing.
    Missing,
    /// What was made here and is of no use any more: why.
    Outdated(String),
}

/// Serves with the pair in `folder`. It is made where there is none, and made anew where it was made here and has
/// expired or does not name all of `names`. What somebody else has put there is used and never replaced.
pub(super) fn provide(folder: &Path, names: &[String], clock: &Clock) -> Result<ServerConfig, TlsError> {
    let names = all_names(names)?;
    let found = inspect(folder, &names, clock);
    if let Ok(Kept::Usable(config)) = found {
        return Ok(*config);
    }
    fs::create_private_dir(folder)?;
    // Another server that starts at the same time may be at it, and what was seen may be half of its work.
    let _lock = fs::lock(&folder.join(".lock"))?;
    let found = inspect(folder, &names, clock)?;
    if let Kept::Usable(config) = found {
        return Ok(*config);
    }
    write(folder, &with_remembered(folder, &names)?, clock)?;
    match found {
        Kept::Outdated(why) => {
            tracing::warn!(folder = %folder.display(), "replaced the self-signed certificate: {why}; clients must trust the new one");
        }
        _ => tracing::info!(folder = %folder.display(), "made a self-signed certificate"),
    }
    server_config(&folder.join(CERTIFICATE_FILE), &folder.join(KEY_FILE))
}

/// The loopback names and `more`, each once.
fn all_names(more: &[String]) -> Result<Vec<String>, TlsError> {
    let mut names: Vec<String> = LOOPBACK.map(str::to_owned).into();
    for name in more {
        if ServerName::try_from(name.as_str()).is_err() {
            return Err(TlsError::Name(name.clone()));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

/// The names and those that are remembered, the latest of which win.
fn with_remembered(folder: &Path, names: &[String]) -> Result<Vec<String>, TlsError> {
    let path = folder.join(NAMES_FILE);
    let text = fs::optional(fs::read_to_string(&path))?.unwrap_or_default();
    let is_name = |name: &&str| ServerName::try_from(*name).is_ok() && !names.iter().any(|known| known == name);
    let mut all: Vec<String> = text.lines().filter(is_name).map(str::to_owned).collect();
    all.extend_from_slice(names);
    all.drain(..all.len().saturating_sub(NAMES_MAX.max(names.len())));
    fs::write_atomic(&path, all.join("\n") + "\n")?;
    Ok(all)
}

fn inspect(folder: &Path, names: &[String], clock: &Clock) -> Result<Kept, TlsError> {
    let (certificate, key) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
    let has_key = fs::optional(fs::metadata(&key))?.is_some();
    if fs::optional(fs::metadata(&certificate))?.is_none() && !has_key {
        return Ok(Kept::Missing);
    }
    let chain = read_chain(&certificate)?;
    let own = chain.first().is_some_and(|first| is_self_made(first));
    // The certificate is written before the key.
    if own && !has_key {
        return Ok(Kept::Outdated("it has no key".to_owned()));
    }
    // Before anything is replaced: a key that does not belong to the certificate may be the user's.
    let config = server_config(&certificate, &key)?;
    match chain.first().and_then(|first| fault(first, names, clock)) {
        Some(why) if own => return Ok(Kept::Outdated(why)),
        Some(why) => {
            tracing::warn!(certificate = %certificate.display(), "the certificate is kept, although {why}");
        }
        None => {}
    }
    Ok(Kept::Usable(Box::new(config)))
}

fn is_self_made(certificate: &CertificateDer<'_>) -> bool {
    certificate.windows(OWNER.len()).any(|part| part == OWNER.as_bytes())
}

/// What makes a certificate unfit for `names`.
fn fault(certificate: &CertificateDer<'_>, names: &[String], clock: &Clock) -> Option<String> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let covers = |name: &&String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    let missing: Vec<&str> = names.iter().filter(|name| !covers(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Some(format!("it does not name {}", missing.join(", ")));
    }
    let end = expiry(certificate)?;
    (end <= clock.now()).then(|| format!("it expired at {end}"))
}

/// The certificate first: one without a key is seen to be unfinished, while a key alone could be anybody's.
fn write(folder: &Path, names: &[String], clock: &Clock) -> Result<(), TlsError> {
    let key = KeyPair::generate()?;
    let certificate = params(names, clock)?.self_signed(&key)?;
    fs::write_atomic(&folder.join(CERTIFICATE_FILE), certificate.pem())?;
    fs::write_private(&folder.join(KEY_FILE), key.serialize_pem())?;
    Ok(())
}

fn params(names: &[String], clock: &Clock) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, OWNER);
    let now = TimeZone::UTC.to_datetime(clock.now());
    let year = i32::from(now.year());
    // The first day of this month and of that month years later: every month has one, also after a leap day, and a
    // client whose clock is a little behind is not refused.
    let month = now.month().unsigned_abs();
    params.not_before = rcgen::date_time_ymd(year, month, 1);
    params.not_after = rcgen::date_time_ymd(year + YEARS, month, 1);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000;
    const ELEVEN_YEARS: i64 = 11 * 366 * 24 * 3_600;

    fn provided(folder: &Path, names: &[&str], now: i64) -> Result<Vec<u8>, TlsError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        provide(folder, &names, &Clock::fixed(now))?;
        Ok(fs::read(&folder.join(CERTIFICATE_FILE)).unwrap())
    }

    #[test]
    fn it_is_made_once_and_is_its_owners() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("deep/tls");
        let made = provided(&folder, &["model.example"], START).unwrap();
        assert_eq!(provided(&folder, &["model.example"], START + 1).unwrap(), made);
        #[cfg(unix)]
        for (name, expected) in [("", 0o700), (KEY_FILE, 0o600)] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&folder.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected, "{name:?}");
        }
    }

    #[test]
    fn it_is_made_anew_when_it_does_not_name_what_is_asked_or_has_expired() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("tls");
        let first = provided(&folder, &["model.example", "192.168.1.2"], START).unwrap();
        // Fewer names, and any in another order, are covered.
        assert_eq!(provided(&folder, &["192.168.1.2"], START).unwrap(), first);
        assert_eq!(provided(&folder, &[], START).unwrap(), first);
        let other_address = provided(&folder, &["192.168.1.3"], START).unwrap();
        assert_ne!(other_address, first);
        let other_name = provided(&folder, &["192.168.1.3", "other.example"], START).unwrap();
        assert_ne!(other_name, other_address);
        let later = provided(&folder, &["192.168.1.3", "other.example"], START + ELEVEN_YEARS).unwrap();
        assert_ne!(later, other_name);
        assert_eq!(provided(&folder, &["192.168.1.3", "other.example"], START + ELEVEN_YEARS).unwrap(), later);
    }

    #[test]
    fn servers_of_other_names_that_share_a_folder_come_to_share_a_certificate() {
        let temp = tempfile::tempdir().unwrap();
        provided(temp.path(), &["one.example"], START).unwrap();
        let both = provided(temp.path(), &["two.example"], START).unwrap();
        for names in [["one.example"], ["two.example"]] {
            assert_eq!(provided(temp.path(), &names, START).unwrap(), both);
        }
        // Not for ever: what was asked for long ago is forgotten.
        (0..70).for_each(|i| drop(provided(temp.path(), &[&format!("n{i}.example")], START).unwrap()));
        let remembered = fs::read_to_string(&temp.path().join(NAMES_FILE)).unwrap();
        assert_eq!(remembered.lines().count(), NAMES_MAX);
        assert_eq!(remembered.lines().next_back(), Some("n69.example"));
    }

    #[test]
    fn what_the_user_has_put_there_is_used_and_never_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let users = CertificateParams::new(["model.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        fs::write_atomic(&temp.path().join(CERTIFICATE_FILE), &users).unwrap();
        fs::write_atomic(&temp.path().join(KEY_FILE), key.serialize_pem()).unwrap();
        assert_eq!(provided(temp.path(), &["other.example"], START).unwrap(), users.as_bytes());
        assert_eq!(fs::read(&temp.path().join(KEY_FILE)).unwrap(), key.serialize_pem().as_bytes());
        // Also when only one of the two is theirs.
        let folder = temp.path().join("tls");
        provided(&folder, &[], START).unwrap();
        fs::write_atomic(&folder.join(KEY_FILE), key.serialize_pem()).unwrap();
        assert!(matches!(provided(&folder, &["other.example"], START), Err(TlsError::Pair { .. })));
        assert_eq!(fs::read(&folder.join(KEY_FILE)).unwrap(), key.serialize_pem().as_bytes());
    }

    #[test]
    fn what_a_killed_server_left_is_finished_but_a_key_alone_is_not_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let made = provided(temp.path(), &[], START).unwrap();
        fs::remove_file(&temp.path().join(KEY_FILE)).unwrap();
        assert_ne!(provided(temp.path(), &[], START).unwrap(), made);
        let key = fs::read(&temp.path().join(KEY_FILE)).unwrap();
        fs::remove_file(&temp.path().join(CERTIFICATE_FILE)).unwrap();
        assert!(matches!(provided(temp.path(), &[], START), Err(TlsError::File(e)) if e.is_not_found()));
        assert_eq!(fs::read(&temp.path().join(KEY_FILE)).unwrap(), key);
    }

    #[test]
    fn servers_that_start_at_once_end_with_one_pair() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("tls");
        for names in [&[][..], &["model.example"]] {
            let provided: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| provided(&folder, names, START).unwrap())).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            assert!(provided.iter().all(|certificate| certificate == &provided[0]));
        }
    }

    #[test]
    fn it_is_made_even_on_a_leap_day() {
        let leap_day = Clock::fixed(1_709_200_000);
        assert_eq!(leap_day.now().to_string(), "2024-02-29T09:46:40Z");
        assert!(params(&[], &leap_day).is_ok());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        for name in ["", "two words", "https://model.example", "127.0.0.1:8080"] {
            assert!(
                matches!(provided(temp.path(), &[name], START), Err(TlsError::Name(bad)) if bad == name),
                "{name:?}"
            );
        }
    }
}
