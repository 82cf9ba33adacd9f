//! The files of a folder as Hugging Face's libraries save it.

use std::path::Path;

use natureddit_core::fs;
use serde::de::DeserializeOwned;

use super::EncoderError;
use super::source::{HashedFile, WeightsSource};

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

/// The weights, hashed.
pub(super) fn weights(folder: &Path) -> Result<WeightsSource, EncoderError> {
    let file = first(folder, &["model.safetensors", "pytorch_model.bin"])?;
    let file = file.ok_or_else(|| missing(folder, "model.safetensors and no pytorch_model.bin"))?;
    Ok(WeightsSource::File(file))
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

pub(super) fn missing(folder: &Path, wanted: &str) -> EncoderError {
    EncoderError::Missing { folder: folder.to_owned(), wanted: wanted.to_owned() }
}

/// An error of `config.json`.
pub(super) fn wrong(folder: &Path, reason: impl Into<String>) -> EncoderError {
    EncoderError::format(&folder.join(CONFIG), reason)
}
