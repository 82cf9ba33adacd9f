//! Values as texts, and what they mean.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{PropertiesError, PropertyPlace};

/// Where one of the APIs listens, and how it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address and port.
    pub address: SocketAddr,
    /// Whether over HTTPS.
    pub is_https: bool,
}

/// A property: where it stands, and its value as it stands there and with `$$NAME$$` replaced.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) place: PropertyPlace,
    pub(super) key: String,
    pub(super) written: String,
    pub(super) value: String,
}

impl Property {
    /// Refuses the value. As it is written: a variable may hold what is not to be shown.
    pub(super) fn bad(&self, expected: impl Into<String>) -> PropertiesError {
        PropertiesError::Value {
            place: self.place.clone(),
            key: self.key.clone(),
            value: self.written.clone(),
            expected: expected.into(),
        }
    }

    fn text(&self) -> &str {
        self.value.trim()
    }

    /// A text that is not empty.
    pub(super) fn some_text(&self) -> Result<String, PropertiesError> {
        if self.text().is_empty() { Err(self.bad("not empty")) } else { Ok(self.text().to_owned()) }
    }

    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, PropertiesError> {
        let number = self.text().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| self.bad(format!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// A number of things or bytes; the range is that of Java's `int` at most.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Result<usize, PropertiesError> {
        Ok(usize::try_from(self.integer(range)?).unwrap_or(usize::MAX))
    }

    pub(super) fn milliseconds(&self, range: RangeInclusive<u64>) -> Result<Duration, PropertiesError> {
        self.integer(range).map(Duration::from_millis)
    }

    pub(super) fn seconds(&self, range: RangeInclusive<u64>) -> Result<Duration, PropertiesError> {
        self.integer(range).map(Duration::from_secs)
    }

    /// Java takes everything that is not `true` for `false`; here a slip is told.
    pub(super) fn switch(&self) -> Result<bool, PropertiesError> {
        match self.text().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.bad("true or false")),
        }
    }

    /// What stands between commas.
    pub(super) fn list(&self) -> Vec<String> {
        let words = self.text().split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// A path; a relative one starts at the file's folder.
    pub(super) fn path(&self, folder: &Path) -> Result<PathBuf, PropertiesError> {
        Ok(folder.join(self.some_text()?))
    }

    /// `http://127.0.0.1:8080`; without a port those of TorchServe for the two schemes.
    pub(super) fn address(&self, http_port: u16, https_port: u16) -> Result<ListenAddress, PropertiesError> {
        const FORM: &str = "an IP address with its scheme, such as http://127.0.0.1:8080 or https://0.0.0.0:8443";
        let bad = || self.bad(FORM);
        let (scheme, rest) = self.text().split_once("://").ok_or_else(bad)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(bad()),
        };
        let port = if is_https { https_port } else { http_port };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let address = socket_address(rest, port).ok_or_else(bad)?;
        Ok(ListenAddress { address, is_https })
    }
}

fn socket_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    // A name would have to be looked up; this one means the same everywhere.
    if let Some(rest) = text.strip_prefix("localhost") {
        let port = if rest.is_empty() { default_port } else { rest.strip_prefix(':')?.parse().ok()? };
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let ip = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, default_port))
}

/// A name as it is told on a line: no key and no model has control characters.
pub(super) fn plain(name: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(value: &str) -> Property {
        let place = PropertyPlace::Line("/etc/ts/config.properties".into(), 3);
        Property { place, key: "key".to_owned(), written: value.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn an_address_has_a_scheme_an_ip_and_perhaps_a_port() {
        let address = |text: &str| {
            let found = property(text).address(80, 443).ok()?;
            Some((found.address.to_string(), found.is_https))
        };
        let some = |text: &str, is_https| Some((text.to_owned(), is_https));
        assert_eq!(address("http://127.0.0.1:8080"), some("127.0.0.1:8080", false));
        assert_eq!(address(" HTTPS://0.0.0.0:8443/ "), some("0.0.0.0:8443", true));
        assert_eq!(address("http://0.0.0.0"), some("0.0.0.0:80", false));
        assert_eq!(address("https://127.0.0.1"), some("127.0.0.1:443", true));
        assert_eq!(address("http://localhost:1"), some("127.0.0.1:1", false));
        assert_eq!(address("https://localhost"), some("127.0.0.1:443", true));
        assert_eq!(address("https://[::1]:9"), some("[::1]:9", true));
        assert_eq!(address("http://[::]"), some("[::]:80", false));
        for bad in [
            "",
            "127.0.0.1:8080",
            "ftp://127.0.0.1",
            "unix:/tmp/s",
            "http://",
            "http://host.example",
            "http://127.0.0.1:x",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
        for bad in ["http://127.0.0.1:65536", "http://localhostess", "https://[::1", "http://127.0.0.1/x"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_refused_value_is_told_with_its_line_and_key() {
        let error = property("9.5").integer(1..=1_024).unwrap_err().to_string();
        assert_eq!(error, "config.properties line 3: key is \"9.5\" and must be a whole number from 1 to 1024");
        assert!(property("-1").integer(0..=5).is_err() && property("6").integer(0..=5).is_err());
        assert_eq!(property(" 5 ").integer(0..=5).unwrap(), 5);
        assert!(property("TRUE").switch().unwrap() && !property("false").switch().unwrap());
        assert!(property("yes").switch().unwrap_err().to_string().ends_with("must be true or false"));
        assert_eq!(property(" a, b ,,c").list(), ["a", "b", "c"]);
        assert!(property(" ").path(Path::new("/x")).is_err());
    }
}
