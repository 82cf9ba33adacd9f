//! SHA-256 of content, the name by which photos, artifacts and assets are known.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fs::{self, FsError};

/// A SHA-256 digest; printed as 64 lower-case hexadecimal digits and parsed from digits of either case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("not a SHA-256 in hexadecimal: {0:?}")]
pub struct ParseHashError(String);

impl ContentHash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a file, read in pieces.
    ///
    /// # Errors
    /// [`FsError`] with the path when the file cannot be opened or read.
    pub fn of_file(path: &Path) -> Result<Self, FsError> {
        let mut file = fs::open(path)?;
        let mut sha = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Self(sha.finalize().into())),
                Ok(n) => sha.update(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(FsError::new("read", path, e)),
            }
        }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes as a number, most significant first: a uniform 64-bit value for splits.
    #[must_use]
    pub fn leading_u64(&self) -> u64 {
        self.0[..8].iter().fold(0, |value, &byte| (value << 8) | u64::from(byte))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // One call for all: hashes are written by the hundred thousand.
        let digits: [u8; 64] = std::array::from_fn(|at| DIGITS[usize::from(self.0[at / 2] >> (4 * (1 - at % 2)) & 15)]);
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ContentHash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseHashError(text.to_owned());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(bad());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).ok_or_else(bad)? << 4 | digit(*low).ok_or_else(bad)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for ContentHash {
    type Error = ParseHashError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

/// A hash over several parts, each preceded by its length, so that `("ab", "c")` and `("a", "bc")` differ.
#[derive(Clone, Default)]
pub struct ContentHasher(Sha256);

impl ContentHasher {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one part.
    pub fn part(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The hash of all parts so far.
    #[must_use]
    pub fn finish(&self) -> ContentHash {
        ContentHash(self.0.clone().finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hash_of_abc_is_the_published_one() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(ContentHash::of(b"abc").to_string(), expected);
        assert_eq!(expected.parse::<ContentHash>().unwrap(), ContentHash::of(b"abc"));
        assert_eq!(expected.to_uppercase().parse::<ContentHash>().unwrap(), ContentHash::of(b"abc"));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        assert!("abc".parse::<ContentHash>().is_err());
        assert!("é".repeat(32).parse::<ContentHash>().is_err());
        assert!("g".repeat(64).parse::<ContentHash>().is_err());
    }

    proptest! {
        #[test]
        fn where_a_part_ends_changes_the_hash(a in ".{0,8}", b in ".{0,8}", c in ".{1,8}") {
            let one = ContentHasher::new().part(format!("{a}{c}")).part(&b).finish();
            let two = ContentHasher::new().part(&a).part(format!("{c}{b}")).finish();
            prop_assert_ne!(one, two);
        }

        #[test]
        fn every_hash_survives_its_text(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let hash = ContentHash::of(&bytes);
            prop_assert_eq!(hash.to_string().parse::<ContentHash>().unwrap(), hash);
        }
    }
}
