//! Weights in several files, as Hugging Face's libraries save large ones: an index says which file has which tensor.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::name::{PLAIN_NAME, is_plain_name};

/// The name of the index, beside the files that it names.
pub const WEIGHT_INDEX_FILE: &str = "model.safetensors.index.json";

/// A line a tensor: far above any that is one.
pub const WEIGHT_INDEX_BYTES_MAX: u64 = 16 << 20;

/// Far more than a model that fits into one graph is cut into.
const FILES_MAX: usize = 256;

/// Which file has which tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightIndex {
    file_of: BTreeMap<String, String>,
}

/// An index that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum WeightIndexError {
    /// It is no JSON, or has no `weight_map`.
    #[error("it is no index of weights: {0}")]
    Json(#[from] serde_json::Error),
    /// It names no tensor.
    #[error("it names no tensor")]
    Empty,
    /// It names more files than are read.
    #[error("it names {0} files, and at most {most} are read", most = FILES_MAX)]
    TooManyFiles(usize),
    /// A file that does not lie beside it, or is none of weights.
    #[error("it names the file {0:?}: a name must be {plain}, and end in .safetensors", plain = PLAIN_NAME)]
    BadName(String),
}

/// What else the file says, such as the size of all, is not needed.
#[derive(Deserialize)]
struct Written {
    weight_map: BTreeMap<String, String>,
}

impl WeightIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// See [`WeightIndexError`]; no name of a file leads out of the folder.
    pub fn parse(json: &[u8]) -> Result<Self, WeightIndexError> {
        let Written { weight_map: file_of } = serde_json::from_slice(json)?;
        let index = Self { file_of };
        let files = index.files();
        if files.is_empty() {
            return Err(WeightIndexError::Empty);
        }
        if files.len() > FILES_MAX {
            return Err(WeightIndexError::TooManyFiles(files.len()));
        }
        let is_good = |name: &str| is_plain_name(name) && name.ends_with(".safetensors");
        if let Some(bad) = files.into_iter().find(|name| !is_good(name)) {
            return Err(WeightIndexError::BadName(bad.to_owned()));
        }
        Ok(index)
    }

    /// The files, each once.
    #[must_use]
    pub fn files(&self) -> BTreeSet<&str> {
        self.file_of.values().map(String::as_str).collect()
    }

    /// The tensors that a file has.
    pub fn tensors_of<'a>(&'a self, file: &'a str) -> impl Iterator<Item = &'a str> {
        self.file_of.iter().filter(move |(_, of)| *of == file).map(|(tensor, _)| tensor.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_tensors_are_told() {
        let json = br#"{"metadata":{"total_size":9},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}}"#;
        let index = WeightIndex::parse(json).unwrap();
        assert_eq!(index.files().into_iter().collect::<Vec<_>>(), ["m-1.safetensors", "m-2.safetensors"]);
        assert_eq!(index.tensors_of("m-1.safetensors").collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn what_leads_elsewhere_or_is_none_is_refused() {
        let told =
            |map: &str| WeightIndex::parse(format!("{{\"weight_map\":{map}}}").as_bytes()).unwrap_err().to_string();
        assert_eq!(told("{}"), "it names no tensor");
        for name in ["../m.safetensors", "/m.safetensors", "a/m.safetensors", "m.bin", ".safetensors", ""] {
            assert!(told(&format!("{{\"a\":{name:?}}}")).contains("and end in .safetensors"), "{name}");
        }
        let many: Vec<String> = (0..300).map(|at| format!("\"t{at}\":\"m{at}.safetensors\"")).collect();
        assert_eq!(told(&format!("{{{}}}", many.join(","))), "it names 300 files, and at most 256 are read");
        for json in ["[]", "{}", "<html>", "{\"weight_map\":{\"a\":1}}"] {
            assert!(matches!(WeightIndex::parse(json.as_bytes()), Err(WeightIndexError::Json(_))), "{json}");
        }
    }
}
