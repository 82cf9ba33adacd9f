//! Features by content hash, kept between runs so that only new photos and titles go through the encoders.
//!
//! One append-only file per encoder, `<hash of the encoder>.features`: a 16-byte header (`NRFEAT02`, the width as
//! `u64`), then records of `[32-byte content hash][limits: 2 x u64][width x f32][4-byte check]`, little-endian. A record
//! whose check does not hold ends the file: it and what follows are cut off, so a torn write costs its own record.
//!
//! What was read under larger limits than today's may be over today's, so it counts as not there and is read again.
//!
//! Beside it lies `<hash of the encoder>.keys`: the hashes and limits of all records, and what the file looked like (size,
//! mtime, inode) when they were written down. While it looks so, the file is not read to open it; a record is checked when
//! it is asked for.

mod keys;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, ContentHasher};
use rayon::prelude::*;

use self::keys::{Key, KeysFile};
use crate::feature_shards;
use crate::file_state::read_exact_at;

const MAGIC: &[u8; 8] = b"NRFEAT02";
const HEADER_LEN: usize = 16;
const HASH_LEN: usize = 32;
const LIMITS_LEN: usize = 16;
const CHECK_LEN: usize = 4;

/// How large content could be when its features were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// The size in bytes.
    pub bytes_max: u64,
    /// Width times height of a photo; 0 for what is none.
    pub pixels_max: u64,
}

impl ReadLimits {
    fn are_within(self, other: Self) -> bool {
        self.bytes_max <= other.bytes_max && self.pixels_max <= other.pixels_max
    }

    fn to_bytes(self) -> [u8; LIMITS_LEN] {
        let (bytes, pixels) = (self.bytes_max.to_le_bytes(), self.pixels_max.to_le_bytes());
        std::array::from_fn(|i| if i < 8 { bytes[i] } else { pixels[i - 8] })
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[from + i]));
        Self { bytes_max: number(0), pixels_max: number(8) }
    }
}

/// The cached features of one encoder.
#[derive(Debug)]
pub struct EmbeddingCache {
    path: PathBuf,
    /// To add records.
    file: File,
    /// To read them.
    reader: File,
    width: usize,
    limits: ReadLimits,
    keys_file: KeysFile,
    /// Of every record, in their order.
    keys: Vec<Key>,
    /// How many of them are written down.
    keys_kept: usize,
    /// Which record has the features of a content that was read under today's limits.
    index: HashMap<[u8; HASH_LEN], usize>,
}

impl EmbeddingCache {
    /// Opens the cache of the encoder with this hash, creating it; `width` is how many features it gives, `limits` under
    /// which content is read today.
    ///
    /// # Errors
    /// When the file cannot be read or repaired.
    pub fn open(dir: &Path, encoder: &ContentHash, width: usize, limits: ReadLimits) -> Result<Self, FsError> {
        fs::create_dir_all(dir)?;
        let path = dir.join(format!("{encoder}.features"));
        let (mut file, reader) = (fs::append(&path)?, fs::open(&path)?);
        let keys_file = KeysFile::beside(&path);
        let known = keys_file.read()?.filter(|keys| record_at(keys.len(), width) == file_len(&file));
        let keys_kept = known.as_ref().map_or(0, Vec::len);
        let keys = known.map_or_else(|| check_all(&path, &mut file, width), Ok)?;
        let within = keys.iter().enumerate().filter(|(_, key)| key.limits.are_within(limits));
        let index = within.map(|(record, key)| (key.content, record)).collect();
        Ok(Self { path, file, reader, width, limits, keys_file, keys, keys_kept, index })
    }

    /// Whether there are features of the content with this hash.
    #[must_use]
    pub fn contains(&self, content: &ContentHash) -> bool {
        self.index.contains_key(content.as_bytes())
    }

    /// The features of the content with this hash.
    ///
    /// # Errors
    /// When they cannot be read or are damaged; then all are checked when the cache is opened next.
    pub fn get(&self, content: &ContentHash) -> Result<Option<Vec<f32>>, FsError> {
        let Some(&at) = self.index.get(content.as_bytes()) else { return Ok(None) };
        let mut record = vec![0; record_len(self.width)];
        let failed = |error| FsError::new("read", &self.path, error);
        read_exact_at(&self.reader, &mut record, record_at(at, self.width)).map_err(failed)?;
        if !is_whole(&record) {
            self.keys_file.remove()?;
            let why = "kept features are damaged; run again: what is damaged is then made anew";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let (values, _) = record[HASH_LEN + LIMITS_LEN..record.len() - CHECK_LEN].as_chunks();
        Ok(Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect()))
    }

    /// Adds features; they are on their way to the disk when this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    ///
    /// # Panics
    /// When there are not as many features as the encoder gives.
    pub fn insert(&mut self, content: &ContentHash, features: &[f32]) -> Result<(), FsError> {
        assert_eq!(features.len(), self.width, "features of an encoder");
        let mut record = Vec::with_capacity(record_len(self.width));
        record.extend_from_slice(content.as_bytes());
        record.extend(self.limits.to_bytes());
        record.extend(features.iter().flat_map(|value| value.to_le_bytes()));
        let check = check(&record);
        record.extend_from_slice(&check);
        self.file.write_all(&record).map_err(|e| FsError::new("append to", &self.path, e))?;
        self.index.insert(*content.as_bytes(), self.keys.len());
        self.keys.push(Key { content: *content.as_bytes(), limits: self.limits });
        Ok(())
    }

    /// Writes down which content the file has, so that it need not be read to be opened again.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn keep_keys(&mut self) -> Result<(), FsError> {
        if self.keys_kept != self.keys.len() {
            // What is said to be there must be.
            self.file.sync_data().map_err(|error| FsError::new("sync", &self.path, error))?;
            self.keys_file.write(&self.keys)?;
            self.keys_kept = self.keys.len();
        }
        Ok(())
    }
}

/// The length of a file; one that cannot be asked has none.
fn file_len(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// Reads all records, cuts off what is damaged, and gives the keys of the others.
fn check_all(path: &Path, file: &mut File, width: usize) -> Result<Vec<Key>, FsError> {
    let bytes = fs::read(path)?;
    let header = [MAGIC.as_slice(), &(width as u64).to_le_bytes()].concat();
    let repaired = |error: io::Error| FsError::new("repair", path, error);
    if !bytes.starts_with(&header) {
        file.set_len(0).and_then(|()| file.write_all(&header)).map_err(repaired)?;
        return Ok(Vec::new());
    }
    let records = bytes[HEADER_LEN..].par_chunks_exact(record_len(width));
    let count = records.len();
    let whole = records.position_first(|record| !is_whole(record)).unwrap_or(count);
    let length = record_at(whole, width);
    if length != bytes.len() as u64 {
        file.set_len(length).map_err(repaired)?;
    }
    let whole = bytes[HEADER_LEN..].chunks_exact(record_len(width)).take(whole);
    Ok(whole.map(Key::from_bytes).collect())
}

/// Where a record begins in the file, in bytes.
fn record_at(record: usize, width: usize) -> u64 {
    (HEADER_LEN + record * record_len(width)) as u64
}

/// Removes all features of an encoder.
///
/// # Errors
/// When they cannot be removed.
pub(crate) fn remove(dir: &Path, encoder: &ContentHash) -> Result<(), FsError> {
    let path = dir.join(format!("{encoder}.features"));
    KeysFile::beside(&path).remove()?;
    fs::optional(fs::remove_file(&path)).map(drop)
}

/// Removes the features of content with these hashes from every cache in a folder, and says how many there were. Caches
/// that cannot be read are removed: they are made anew.
///
/// # Errors
/// When a file cannot be read or written.
pub fn forget(dir: &Path, content: &[ContentHash]) -> Result<u64, FsError> {
    let gone: HashSet<&[u8]> = content.iter().map(|hash| hash.as_bytes().as_slice()).collect();
    let mut count = 0;
    if !gone.is_empty() {
        feature_shards::forget(dir)?;
    }
    for path in fs::optional(fs::read_dir(dir))?.unwrap_or_default() {
        if !gone.is_empty() {
            KeysFile::beside(&path).remove()?;
        }
        if gone.is_empty() || path.extension().is_none_or(|extension| extension != "features") {
            continue;
        }
        let bytes = fs::read(&path)?;
        let header = bytes.get(..HEADER_LEN).filter(|header| header.starts_with(MAGIC));
        let width = header.and_then(|header| usize::try_from(u64::from_le_bytes(header[8..].try_into().ok()?)).ok());
        let Some(length) = width.and_then(|width| width.checked_mul(4)?.checked_add(record_len(0))) else {
            fs::remove_file(&path)?;
            continue;
        };
        let records = bytes[HEADER_LEN..].chunks_exact(length);
        let kept: Vec<_> = records.clone().filter(|record| !gone.contains(&record[..HASH_LEN])).collect();
        let found = (records.count() - kept.len()) as u64;
        if found > 0 {
            fs::write_atomic(&path, [&bytes[..HEADER_LEN], &kept.concat()].concat())?;
        }
        count += found;
    }
    Ok(count)
}

fn record_len(width: usize) -> usize {
    HASH_LEN + LIMITS_LEN + width * 4 + CHECK_LEN
}

fn check(content: &[u8]) -> [u8; CHECK_LEN] {
    let hash = ContentHasher::new().part(content).finish();
    std::array::from_fn(|i| hash.as_bytes()[i])
}

fn is_whole(record: &[u8]) -> bool {
    let (content, found) = record.split_at(record.len() - CHECK_LEN);
    check(content) == found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoder() -> ContentHash {
        ContentHash::of(b"encoder")
    }

    const LIMITS: ReadLimits = ReadLimits { bytes_max: 1_000, pixels_max: 50 };

    fn open(dir: &Path, width: usize) -> EmbeddingCache {
        EmbeddingCache::open(dir, &encoder(), width, LIMITS).unwrap()
    }

    fn filled(dir: &Path, count: u8) -> EmbeddingCache {
        let mut cache = open(dir, 3);
        for i in 0..count {
            cache.insert(&ContentHash::of(&[i]), &[f32::from(i); 3]).unwrap();
        }
        cache
    }

    #[test]
    fn features_are_there_when_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 5);
        let again = open(folder.path(), 3);
        assert_eq!(again.get(&ContentHash::of(&[4])).unwrap(), Some(vec![4.0; 3]));
        assert_eq!(again.get(&ContentHash::of(&[5])).unwrap(), None);
    }

    #[test]
    fn features_of_forgotten_content_are_gone_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 5);
        let gone = [ContentHash::of(&[3]), ContentHash::of(&[0]), ContentHash::of(b"nowhere")];
        assert_eq!(forget(folder.path(), &gone).unwrap(), 2);
        let cache = open(folder.path(), 3);
        let there: Vec<u8> = (0..5).filter(|&i| cache.contains(&ContentHash::of(&[i]))).collect();
        assert_eq!(there, [1, 2, 4]);
        assert_eq!(forget(folder.path(), &gone).unwrap(), 0);
        assert_eq!(forget(&folder.path().join("nowhere"), &gone).unwrap(), 0);
    }

    /// Writes into a file as a damage does; whether its time tells of it.
    #[expect(clippy::disallowed_methods, reason = "written in place, as a damage is")]
    fn damage(path: &Path, at: usize, is_seen: bool) {
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
        let time = if is_seen { modified + std::time::Duration::from_secs(1) } else { modified };
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_file_that_looks_as_it_was_left_is_not_read_and_a_damaged_record_is_found_when_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = filled(folder.path(), 3);
        cache.keep_keys().unwrap();
        let damaged = usize::try_from(record_at(1, 3)).unwrap() + HASH_LEN + LIMITS_LEN;
        damage(&cache.path, damaged, false);
        let again = open(folder.path(), 3);
        assert_eq!((again.keys_kept, again.index.len()), (3, 3), "nothing was read");
        assert_eq!(again.get(&ContentHash::of(&[2])).unwrap(), Some(vec![2.0; 3]));
        let error = again.get(&ContentHash::of(&[1])).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("run again"), "{error:?}");
        // What follows a damaged record is made anew as well.
        assert_eq!(open(folder.path(), 3).index.len(), 1);
    }

    #[test]
    fn a_file_or_list_of_keys_that_was_touched_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = filled(folder.path(), 3);
        cache.keep_keys().unwrap();
        damage(&cache.path, usize::try_from(record_at(2, 3)).unwrap(), true);
        assert_eq!(open(folder.path(), 3).index.len(), 2);
        let mut cache = open(folder.path(), 3);
        cache.keep_keys().unwrap();
        damage(&cache.path.with_extension("keys"), 40, false);
        let again = open(folder.path(), 3);
        assert_eq!((again.keys_kept, again.index.len()), (0, 2), "the file itself is whole and was read");
    }

    #[test]
    fn what_is_forgotten_does_not_stay_in_the_list_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = filled(folder.path(), 3);
        cache.keep_keys().unwrap();
        let gone = ContentHash::of(&[1]);
        assert_eq!(forget(folder.path(), &[gone]).unwrap(), 1);
        assert!(!open(folder.path(), 3).contains(&gone));
        assert!(!cache.path.with_extension("keys").exists());
    }

    #[test]
    fn a_cache_of_another_width_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 5);
        assert!(open(folder.path(), 4).index.is_empty());
    }

    #[test]
    fn what_was_read_under_a_larger_limit_is_not_taken_under_a_smaller_one() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 2);
        let under = |bytes_max, pixels_max| {
            EmbeddingCache::open(folder.path(), &encoder(), 3, ReadLimits { bytes_max, pixels_max }).unwrap()
        };
        assert_eq!((under(999, 50).index.len(), under(1_000, 49).index.len()), (0, 0));
        // What is still within the smaller limit is there under both from then on, beside the other.
        under(999, 50).insert(&ContentHash::of(&[1]), &[1.0; 3]).unwrap();
        assert_eq!((under(999, 50).index.len(), under(1_000, 50).index.len()), (1, 2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_file_torn_anywhere_keeps_every_whole_record_and_can_grow(cut in 0_usize..280, garbage in 0_usize..40) {
            let folder = tempfile::tempdir().unwrap();
            let path = filled(folder.path(), 4).path;
            let mut bytes = fs::read(&path).unwrap();
            let whole = cut.min(bytes.len()).saturating_sub(HEADER_LEN) / record_len(3);
            bytes.truncate(cut);
            bytes.resize(bytes.len() + garbage, 0x5a);
            fs::write_atomic(&path, &bytes).unwrap();

            let mut cache = open(folder.path(), 3);
            prop_assert!(cache.index.len() >= whole);
            cache.insert(&ContentHash::of(b"new"), &[9.0; 3]).unwrap();
            let again = open(folder.path(), 3);
            prop_assert_eq!(again.index.len(), cache.index.len());
            prop_assert!((0..whole as u8).all(|i| matches!(again.get(&ContentHash::of(&[i])), Ok(Some(_)))));
        }
    }
}
