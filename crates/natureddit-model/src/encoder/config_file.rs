//! The files of a folder as Hugging Face's libraries save it.

use std::collections::BTreeMap;
use std::path::Path;

use natureddit_core::{ContentHash, WEIGHT_INDEX_BYTES_MAX, WEIGHT_INDEX_FILE, WeightIndex, fs};
use serde::de::DeserializeOwned;

use super::EncoderError;
use super::source::{HashedFile, ShardedFiles, WeightsSource};

/// Far above any config; a larger file is not one.
const BYTES_MAX: u64 = 1 << 20;

pub(super) const CONFIG: &str = "config.json";

/// A small JSON file of the folder; `None` where there is none.
pub(super) fn read_optional<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, EncoderError> {
    let path = folder.join(name);
    let Some(bytes) = fs::optional(fs::read_limited(&path, BYTES_MAX))? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| EncoderError::format(&path, e.to_string()))
}

/// `config.json`.
pub(super) fn read_config<T: DeserializeOwned>(folder: &Path) -> Result<T, EncoderError> {
    read_optional(folder, CONFIG)?.ok_or_else(|| missing(folder, CONFIG))
}

/// The weights, hashed: in one file, or in those that an index names.
pub(super) fn weights(folder: &Path) -> Result<WeightsSource, EncoderError> {
    if let Some(file) = first(folder, &["model.safetensors", "pytorch_model.bin"])? {
        return Ok(WeightsSource::File(file));
    }
    let path = folder.join(WEIGHT_INDEX_FILE);
    let Some(bytes) = fs::optional(fs::read_limited(&path, WEIGHT_INDEX_BYTES_MAX))? else {
        return Err(missing(folder, format!("model.safetensors, no pytorch_model.bin and no {WEIGHT_INDEX_FILE}")));
    };
    let index = WeightIndex::parse(&bytes).map_err(|e| EncoderError::format(&path, e.to_string()))?;
    let mut files = BTreeMap::new();
    for name in index.files() {
        let file = fs::optional(HashedFile::look_at(folder.join(name)))?;
        files.insert(name.to_owned(), file.ok_or_else(|| missing(folder, name))?);
    }
    let index_file = HashedFile { path, sha256: ContentHash::of(&bytes) };
    Ok(WeightsSource::Shards(ShardedFiles { index, index_file, files }))
}

/// The first of these files that is there, hashed.
pub(super) fn first(folder: &Path, names: &[&str]) -> Result<Option<HashedFile>, EncoderError> {
    for name in names {
        if let Some(file) = fs::optional(HashedFile::look_at(folder.join(name)))? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

pub(super) fn missing(folder: &Path, wanted: impl Into<String>) -> EncoderError {
    EncoderError::Missing { folder: folder.to_owned(), wanted: wanted.into() }
}

/// An error of `config.json`.
pub(super) fn wrong(folder: &Path, reason: impl Into<String>) -> EncoderError {
    EncoderError::format(&folder.join(CONFIG), reason)
}
