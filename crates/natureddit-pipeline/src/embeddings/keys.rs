//! Which content a file of features has, kept beside it.
//!
//! `NRKEYS01`, what the file looked like (`[size][mtime in nanoseconds][inode]`, each `u64`), `[32-byte content
//! hash][limits: 2 x u64]` of each of its records, and the SHA-256 of all that, little-endian.

use std::path::{Path, PathBuf};

use natureddit_core::ContentHash;
use natureddit_core::fs::{self, FsError};

use super::{HASH_LEN, LIMITS_LEN, ReadLimits};
use crate::file_state::{Looks, looks};

const MAGIC: &[u8; 8] = b"NRKEYS01";
const KEY_LEN: usize = HASH_LEN + LIMITS_LEN;

/// Whose features a record has, and under which limits it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) content: [u8; HASH_LEN],
    pub(super) limits: ReadLimits,
}

impl Key {
    /// The beginning of a record.
    pub(super) fn from_bytes(record: &[u8]) -> Self {
        let content = std::array::from_fn(|i| record[i]);
        Self { content, limits: ReadLimits::from_bytes(&record[HASH_LEN..]) }
    }
}

/// The list of the keys of a file of features.
#[derive(Debug)]
pub(super) struct KeysFile {
    features: PathBuf,
    path: PathBuf,
}

impl KeysFile {
    pub(super) fn beside(features: &Path) -> Self {
        Self { features: features.to_owned(), path: features.with_extension("keys") }
    }

    /// The keys of all records, if the file of features still looks as it did when they were written down. A damaged list
    /// is none: the file tells all that is in it.
    pub(super) fn read(&self) -> Result<Option<Vec<Key>>, FsError> {
        let Some(bytes) = fs::optional(fs::read(&self.path))? else { return Ok(None) };
        let Some((content, hash)) = bytes.split_last_chunk::<HASH_LEN>() else { return Ok(None) };
        let head = head(looks(&self.features)?);
        let Some(keys) = content.strip_prefix(head.as_slice()) else { return Ok(None) };
        let (keys, rest) = keys.as_chunks::<KEY_LEN>();
        let is_whole = rest.is_empty() && ContentHash::of(content).as_bytes() == hash;
        Ok(is_whole.then(|| keys.iter().map(|key| Key::from_bytes(key)).collect()))
    }

    pub(super) fn write(&self, keys: &[Key]) -> Result<(), FsError> {
        let mut bytes = head(looks(&self.features)?);
        for Key { content, limits } in keys {
            bytes.extend(content);
            bytes.extend(limits.to_bytes());
        }
        let hash = ContentHash::of(&bytes);
        bytes.extend(hash.as_bytes());
        fs::write_atomic(&self.path, bytes)
    }

    pub(super) fn remove(&self) -> Result<(), FsError> {
        fs::optional(fs::remove_file(&self.path)).map(drop)
    }
}

fn head((size, mtime_ns, inode): Looks) -> Vec<u8> {
    let numbers = [size, mtime_ns, inode].into_iter().flat_map(u64::to_le_bytes);
    MAGIC.iter().copied().chain(numbers).collect()
}
