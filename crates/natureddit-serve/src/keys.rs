//! The keys clients show as `Authorization: Bearer KEY`: one for predictions, one for management, and one that makes new
//! ones. They stand in a file as TorchServe's, which only its owner may read; a file that was changed is read again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use natureddit_core::fs::{self, FsError};
use natureddit_core::{Clock, ContentHash, Secret};
use rustls::crypto::ring;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// The largest key file, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// Random bytes in a key.
const KEY_BYTES: usize = 24;

/// The least bytes of a key; those that TorchServe makes have as many.
const KEY_LEN_MIN: usize = 8;

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Predictions.
    Inference,
    /// Registering, scaling and the like.
    Management,
    /// New keys of the other two kinds.
    Api,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// The file holds something else.
    #[error("{path} is no key file: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said; nothing of what stands in it.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system has no random numbers to give")]
    Randomness(#[source] rustls::Error),
}

/// The file, in TorchServe's form.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    management: Key,
    inference: Key,
    #[serde(rename = "API")]
    api: Key,
}

impl KeyFile {
    /// Why its keys keep nobody out; nothing of the keys themselves.
    fn weakness(&self) -> Option<String> {
        let named = [("management", &self.management), ("inference", &self.inference), ("API", &self.api)];
        let named = named.map(|(name, key)| (name, key.key.0.expose()));
        for (at, (name, key)) in named.iter().enumerate() {
            if key.len() < KEY_LEN_MIN {
                return Some(format!("the {name} key has {} characters, at least {KEY_LEN_MIN} are needed", key.len()));
            }
            if let Some((other, _)) = named[..at].iter().find(|(_, other)| other == key) {
                return Some(format!("the {other} key and the {name} key are the same, so that one opens both doors"));
            }
        }
        None
    }
}

#[derive(Serialize, Deserialize)]
struct Key {
    key: SecretText,
    /// From when on it is refused; a key without it stays good.
    #[serde(rename = "expiration time", skip_serializing_if = "Option::is_none", default)]
    expires: Option<Timestamp>,
}

/// A [`Secret`] that is written to its file.
struct SecretText(Secret);

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// The keys of a server.
pub(crate) struct AccessKeys {
    path: PathBuf,
    clock: Clock,
    current: RwLock<KeyFile>,
    /// What was in the file when it was looked at last: what is wrong with it is said once, and not with every look. Not its
    /// time, which may be any of a file that is moved into place.
    seen: Mutex<Seen>,
}

/// What a look at the file found: the hash of its content, nothing, or why it could not be read.
type Seen = Result<Option<ContentHash>, String>;

impl AccessKeys {
    /// Reads the file, or makes it with new keys where there is none. Not for an async thread.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn open(path: &Path, clock: Clock) -> Result<Self, KeyError> {
        let (current, seen) = match read(path)? {
            Some(there) => there,
            None => {
                write(path, &KeyFile { management: new_key()?, inference: new_key()?, api: new_key()? })?;
                read(path)?.ok_or_else(|| gone(path))?
            }
        };
        let (current, seen) = (RwLock::new(current), Mutex::new(Ok(Some(seen))));
        Ok(Self { path: path.to_owned(), clock, current, seen })
    }

    /// Whether a request shows the key of a kind. The comparison takes as long whatever the two have in common.
    ///
    /// # Errors
    /// [`ApiError::InvalidKey`] when it does not, or the key has expired.
    pub(crate) fn check(&self, kind: KeyKind, headers: &HeaderMap) -> Result<(), ApiError> {
        let value = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = value
            .and_then(|value| value.split_at_checked(7))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        let (_, shown) = shown.ok_or(ApiError::InvalidKey)?;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let key = match kind {
            KeyKind::Inference => &current.inference,
            KeyKind::Management => &current.management,
            KeyKind::Api => &current.api,
        };
        let equal = bool::from(shown.ct_eq(key.key.0.expose().as_bytes()));
        let expired = key.expires.is_some_and(|end| end <= self.clock.now());
        if equal && !expired { Ok(()) } else { Err(ApiError::InvalidKey) }
    }

    /// Replaces a key by a new one, which only the file tells. Not for an async thread.
    ///
    /// # Errors
    /// When the file cannot be written; the key stays as it was.
    pub(crate) fn renew(&self, kind: KeyKind) -> Result<(), KeyError> {
        // One at a time reads the file and takes what it says.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have changed the other key by hand meanwhile.
        let Some((mut there, _)) = read(&self.path)? else { return Err(gone(&self.path)) };
        match kind {
            KeyKind::Inference => there.inference = new_key()?,
            KeyKind::Management => there.management = new_key()?,
            KeyKind::Api => there.api = new_key()?,
        }
        write(&self.path, &there)?;
        let (written, hash) = read(&self.path)?.ok_or_else(|| gone(&self.path))?;
        *seen = Ok(Some(hash));
        self.take(written);
        Ok(())
    }

    /// Reads the file again if it was changed, and says whether it was. Not for an async thread.
    ///
    /// # Errors
    /// When it was, and cannot be read or is gone: the keys stay as they were, and nothing is said until it is changed again.
    pub(crate) fn refresh(&self) -> Result<bool, KeyError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let text = content(&self.path);
        let now = match &text {
            Ok(text) => Ok(text.as_deref().map(ContentHash::of)),
            Err(error) => Err(error.to_string()),
        };
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        let text = text?.ok_or_else(|| gone(&self.path))?;
        self.take(parse(&self.path, &text)?);
        Ok(true)
    }

    /// From now on these are asked for.
    fn take(&self, keys: KeyFile) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

fn gone(path: &Path) -> KeyError {
    KeyError::Damaged { path: path.to_owned(), reason: "it went away".to_owned() }
}

fn content(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    fs::optional(fs::read_limited(path, BYTES_MAX))
}

/// The keys in the file and the hash of what is in it; `None` where there is none.
fn read(path: &Path) -> Result<Option<(KeyFile, ContentHash)>, KeyError> {
    let Some(text) = content(path)? else { return Ok(None) };
    Ok(Some((parse(path, &text)?, ContentHash::of(&text))))
}

fn parse(path: &Path, text: &[u8]) -> Result<KeyFile, KeyError> {
    let damaged = |reason| KeyError::Damaged { path: path.to_owned(), reason };
    let keys: KeyFile = serde_json::from_slice(text).map_err(|error| {
        // Its own words may quote a key.
        damaged(format!("line {}, column {}: {:?}", error.line(), error.column(), error.classify()))
    })?;
    match keys.weakness() {
        Some(reason) => Err(damaged(reason)),
        None => Ok(keys),
    }
}

fn write(path: &Path, keys: &KeyFile) -> Result<(), KeyError> {
    let damaged = |e: serde_json::Error| KeyError::Damaged { path: path.to_owned(), reason: e.to_string() };
    let text = serde_json::to_string_pretty(keys).map_err(damaged)? + "\n";
    if let Some(folder) = path.parent() {
        fs::create_private_dir(folder)?;
    }
    let partial = fs::beside(path);
    fs::write_private(&partial, text)?;
    Ok(fs::rename(&partial, path)?)
}

fn new_key() -> Result<Key, KeyError> {
    let mut bytes = [0; KEY_BYTES];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|e| KeyError::Randomness(e.into()))?;
    let mut text = String::with_capacity(2 * KEY_BYTES);
    for byte in bytes {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Key { key: SecretText(Secret::new(text)), expires: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).unwrap())])
    }

    fn key(path: &Path, kind: &str) -> String {
        let file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        file[kind]["key"].as_str().unwrap().to_owned()
    }

    #[test]
    fn keys_are_made_once_and_each_opens_its_own_door() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serve/keys.json");
        let keys = AccessKeys::open(&path, Clock::fixed(0)).unwrap();
        let names = ["inference", "management", "API"];
        let kinds = [KeyKind::Inference, KeyKind::Management, KeyKind::Api];
        for (name, of) in names.iter().zip(kinds) {
            for kind in kinds {
                assert_eq!(keys.check(kind, &shown(&key(&path, name))).is_ok(), kind == of);
            }
        }
        assert!(keys.check(KeyKind::Api, &HeaderMap::new()).is_err());
        assert!(keys.check(KeyKind::Api, &shown("")).is_err());
        let again = AccessKeys::open(&path, Clock::fixed(0)).unwrap();
        assert!(again.check(KeyKind::Api, &shown(&key(&path, "API"))).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_renewed_key_replaces_the_old_one_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = AccessKeys::open(&path, Clock::fixed(0)).unwrap();
        let (before, management) = (key(&path, "inference"), key(&path, "management"));
        keys.renew(KeyKind::Inference).unwrap();
        assert!(keys.check(KeyKind::Inference, &shown(&before)).is_err());
        assert!(keys.check(KeyKind::Inference, &shown(&key(&path, "inference"))).is_ok());
        assert!(keys.check(KeyKind::Management, &shown(&management)).is_ok());
    }

    #[test]
    fn a_key_expires_and_a_file_changed_by_hand_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let text = |inference: &str| {
            format!(
                r#"{{"management":{{"key":"management-key","expiration time":"1970-01-01T00:01:00Z"}},"inference":{{"key":"{inference}"}},"API":{{"key":"key-for-keys"}}}}"#
            )
        };
        fs::write_atomic(&path, text("inference-key")).unwrap();
        let clock = Clock::fixed(0);
        let keys = AccessKeys::open(&path, clock.clone()).unwrap();
        assert!(keys.check(KeyKind::Management, &shown("management-key")).is_ok());
        clock.advance(60);
        assert!(keys.check(KeyKind::Management, &shown("management-key")).is_err());
        assert!(!keys.refresh().unwrap());
        fs::write_atomic(&path, text("another-key")).unwrap();
        assert!(keys.refresh().unwrap());
        assert!(keys.check(KeyKind::Inference, &shown("another-key")).is_ok());
        let half = r#"{"management":{"key":"hunter2""#;
        fs::write_atomic(&path, half).unwrap();
        let Err(error) = AccessKeys::open(&path, clock) else { panic!("half a file") };
        assert!(!error.to_string().contains("hunter2"), "{error}");
        // What is wrong with it is said once, whenever it is looked at again.
        assert_eq!(keys.refresh().unwrap_err().to_string(), error.to_string());
        assert!(!keys.refresh().unwrap());
        fs::remove_file(&path).unwrap();
        assert!(keys.refresh().unwrap_err().to_string().ends_with("it went away"));
        assert!(!keys.refresh().unwrap());
        assert!(keys.check(KeyKind::Inference, &shown("another-key")).is_ok());
        fs::write_atomic(&path, half).unwrap();
        assert!(keys.refresh().is_err());
        fs::write_atomic(&path, text("a-third-key")).unwrap();
        assert!(keys.refresh().unwrap());
        assert!(keys.check(KeyKind::Inference, &shown("a-third-key")).is_ok());
    }

    #[test]
    fn keys_that_keep_nobody_out_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let told = |[management, inference, api]: [&str; 3]| {
            let keys = serde_json::json!({
                "management": {"key": management}, "inference": {"key": inference}, "API": {"key": api},
            });
            fs::write_atomic(&path, keys.to_string()).unwrap();
            AccessKeys::open(&path, Clock::fixed(0)).err().map(|error| error.to_string())
        };
        let ([one, two, three], refused) = (["first-key", "second-key", "third-key"], "is no key file: ");
        assert_eq!(told([one, two, three]), None);
        for (keys, reason) in [
            (["", two, three], "the management key has 0 characters, at least 8 are needed"),
            ([one, two, "seven77"], "the API key has 7 characters, at least 8 are needed"),
            ([one, one, three], "the management key and the inference key are the same, so that one opens both doors"),
            ([one, two, two], "the inference key and the API key are the same, so that one opens both doors"),
        ] {
            assert!(told(keys).unwrap().ends_with(&format!("{refused}{reason}")), "{keys:?}");
        }
    }
}
