//! Features by content hash, kept between runs so that only new photos and titles go through the encoders.
//!
//! One append-only file per encoder, `<hash of the encoder>.features`: a 16-byte header (`NRFEAT02`, the width as
//! `u64`), then records of `[32-byte content hash][limits: 2 x u64][width x f32][4-byte check]`, little-endian. A record
//! whose check does not hold ends the file: it and what follows are cut off, so a torn write costs its own record.
//!
//! What was read under larger limits than today's may be over today's, so it counts as not there and is read again.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, ContentHasher};
use rayon::prelude::*;

use crate::feature_shards;

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
    file: File,
    width: usize,
    limits: ReadLimits,
    /// The whole file.
    bytes: Vec<u8>,
    /// Where in it the record of a content is.
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
        let mut bytes = fs::optional(fs::read(&path))?.unwrap_or_default();
        let header = [MAGIC.as_slice(), &(width as u64).to_le_bytes()].concat();
        let mut file = fs::append(&path)?;
        let repaired = |e: io::Error| FsError::new("repair", &path, e);
        if bytes.starts_with(&header) {
            let records = bytes[HEADER_LEN..].par_chunks_exact(record_len(width));
            let count = records.len();
            let whole = records.position_first(|record| !is_whole(record)).unwrap_or(count);
            bytes.truncate(HEADER_LEN + whole * record_len(width));
            file.set_len(bytes.len() as u64).map_err(repaired)?;
        } else {
            file.set_len(0).and_then(|()| file.write_all(&header)).map_err(repaired)?;
            bytes = header;
        }
        let mut cache = Self { path, file, width, limits, bytes, index: HashMap::new() };
        for at in (HEADER_LEN..cache.bytes.len()).step_by(record_len(width)) {
            let (hash, read_under) = key(&cache.bytes[at..]);
            if read_under.are_within(limits) {
                cache.index.insert(hash, at);
            }
        }
        Ok(cache)
    }

    /// Whether there are features of the content with this hash.
    #[must_use]
    pub fn contains(&self, content: &ContentHash) -> bool {
        self.index.contains_key(content.as_bytes())
    }

    /// The features of the content with this hash.
    #[must_use]
    pub fn get(&self, content: &ContentHash) -> Option<Vec<f32>> {
        let at = self.index.get(content.as_bytes())? + HASH_LEN + LIMITS_LEN;
        let (values, _) = self.bytes[at..at + self.width * 4].as_chunks();
        Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
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
        self.index.insert(*content.as_bytes(), self.bytes.len());
        self.bytes.extend_from_slice(&record);
        Ok(())
    }
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

/// Whose features a record has, and under which limits it was read.
fn key(record: &[u8]) -> ([u8; HASH_LEN], ReadLimits) {
    (std::array::from_fn(|i| record[i]), ReadLimits::from_bytes(&record[HASH_LEN..]))
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
        assert_eq!(again.get(&ContentHash::of(&[4])), Some(vec![4.0; 3]));
        assert_eq!(again.get(&ContentHash::of(&[5])), None);
    }

    #[test]
    fn features_of_forgotten_content_are_gone_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 5);
        let gone = [ContentHash::of(&[3]), ContentHash::of(&[0]), ContentHash::of(b"nowhere")];
        assert_eq!(forget(folder.path(), &gone).unwrap(), 2);
        let cache = open(folder.path(), 3);
        let there: Vec<u8> = (0..5).filter(|&i| cache.get(&ContentHash::of(&[i])).is_some()).collect();
        assert_eq!(there, [1, 2, 4]);
        assert_eq!(forget(folder.path(), &gone).unwrap(), 0);
        assert_eq!(forget(&folder.path().join("nowhere"), &gone).unwrap(), 0);
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
            prop_assert!((0..whole as u8).all(|i| again.get(&ContentHash::of(&[i])).is_some()));
        }
    }
}
