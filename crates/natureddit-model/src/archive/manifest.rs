//! `MAR-INF/MANIFEST.json`, as torch-model-archiver writes it.

use serde::{Deserialize, Serialize};

use super::HANDLER;
use crate::bundle::Manifest;

/// An archive made twice is the same twice: its manifest names no moment, but the first one that ZIP knows.
const CREATED_ON: &str = "01/01/1980 00:00:00";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchiveManifest {
    #[serde(default)]
    created_on: String,
    #[serde(default)]
    runtime: String,
    pub(super) model: ArchivedModelRecord,
    #[serde(default)]
    archiver_version: String,
}

/// Of other archives there is more, which is not of interest.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchivedModelRecord {
    pub(super) model_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) handler: Option<String>,
    pub(super) model_version: String,
}

impl ArchiveManifest {
    pub(super) fn of(bundle: &Manifest, version: u64) -> Self {
        Self {
            created_on: CREATED_ON.to_owned(),
            runtime: "python".to_owned(),
            model: ArchivedModelRecord {
                model_name: bundle.name.clone(),
                handler: Some(HANDLER.to_owned()),
                model_version: version.to_string(),
            },
            archiver_version: concat!("natureddit ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// The version that a text of TorchServe's means, `3` or `3.0`: versions are whole numbers here.
#[must_use]
pub fn version_number(text: &str) -> Option<u64> {
    let whole = text.split_once('.').map_or(Some(text), |(whole, rest)| {
        (!rest.is_empty() && rest.bytes().all(|digit| digit == b'0')).then_some(whole)
    })?;
    whole.bytes().all(|digit| digit.is_ascii_digit()).then(|| whole.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_whole_number() {
        for (text, version) in [("1.0", 1), ("3", 3), ("12.00", 12), ("007", 7)] {
            assert_eq!(version_number(text), Some(version), "{text}");
        }
        for text in ["", "1.", ".0", "1.5", "1.0.1", "-1", "+1", "v1", "1e3", "18446744073709551616"] {
            assert_eq!(version_number(text), None, "{text}");
        }
    }
}
