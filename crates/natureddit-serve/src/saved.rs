//! What a server serves, kept in a file, so that it survives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use natureddit_core::fs::{self, FsError};
use serde::{Deserialize, Serialize};

use crate::registry::Traffic;

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 4 << 20;

/// What is served under each name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    pub(crate) models: BTreeMap<String, SavedModel>,
    /// What was unregistered: the model store has it, and it is not served again until it is registered.
    #[serde(default)]
    pub(crate) unregistered: BTreeSet<String>,
}

/// A name and its versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedModel {
    pub(crate) default: u64,
    /// The model store's default at that time; where that is another one now, it is followed.
    pub(crate) store_default: Option<u64>,
    #[serde(default)]
    pub(crate) traffic: Traffic,
    pub(crate) versions: Vec<SavedVersion>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedVersion {
    pub(crate) version: u64,
    /// Where it came from, as it was asked for.
    pub(crate) url: String,
    pub(crate) workers: usize,
    pub(crate) batch_size: usize,
    pub(crate) batch_delay_ms: u64,
    /// The longest an answer may take, where that is not as for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_timeout_ms: Option<u64>,
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    #[error(transparent)]
    File(#[from] FsError),
    #[error("it is not what a server writes: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl Saved {
    /// `None` where there is no file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, SavedError> {
        let text = fs::optional(fs::read_limited(path, BYTES_MAX))?;
        Ok(text.map(|text| serde_json::from_slice(&text)).transpose()?)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), SavedError> {
        Ok(fs::write_atomic(path, serde_json::to_string_pretty(self)? + "\n")?)
    }
}
