//! What became of the versions of a model: `history.jsonl` in the model's folder, an object a line, the newest last.
//!
//! ```text
//! {"at":"2026-11-29T12:00:00Z","change":"push","version":2,"before":1,"manifest":"1f…","metrics":{"macro_f1":0.91}}
//! {"at":"2026-11-30T08:15:00Z","change":"rollback","version":1,"before":2,"reason":"foxes are called flora"}
//! ```
//! Its last line also says which version answers where none is asked for: one file, so that the two cannot disagree. A
//! line is added by writing the file anew and renaming it, so that a reader sees it with the line or without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use natureddit_core::ContentHash;
use natureddit_core::fs::{self, FsError};
use serde::{Deserialize, Serialize};

/// The history in a model's folder.
pub const HISTORY_FILE: &str = "history.jsonl";

/// Some hundred thousand pushes; a larger file is no history.
const BYTES_MAX: u64 = 64 << 20;

/// How a version came to answer where none is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The pipeline pushed it.
    Push,
    /// Somebody chose it.
    Promote,
    /// Somebody went back to it.
    Rollback,
}

impl ChangeKind {
    /// The word for it: `push`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
        }
    }
}

/// A line of the history: from then on `version` was the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionChange {
    /// When, to the second.
    pub at: Timestamp,
    /// How.
    pub change: ChangeKind,
    /// The version.
    pub version: u64,
    /// The default before; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Of a push: the SHA-256 of the bundle's manifest, by which the same model is known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ContentHash>,
    /// Of a push: what was measured of the model before, such as `macro_f1`; finite numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Why, in the words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A history that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FsError),
    /// A line that is none of a history.
    #[error("line {line} of {path} is not valid", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The changes, the oldest first; none where there is no history yet.
pub(super) fn read(model: &Path) -> Result<Vec<VersionChange>, HistoryError> {
    let path = model.join(HISTORY_FILE);
    let Some(bytes) = fs::optional(fs::read_limited(&path, BYTES_MAX))? else { return Ok(Vec::new()) };
    let lines = bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let parse = |(at, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|source| HistoryError::Line { path: path.clone(), line: at + 1, source })
    };
    lines.map(parse).collect()
}

/// Writes the history with one more line. Only who holds the model's lock may.
pub(super) fn write(model: &Path, changes: &[VersionChange]) -> Result<(), HistoryError> {
    let path = model.join(HISTORY_FILE);
    let mut text = String::new();
    for (at, change) in changes.iter().enumerate() {
        let line = serde_json::to_string(change);
        text += &line.map_err(|source| HistoryError::Line { path: path.clone(), line: at + 1, source })?;
        text.push('\n');
    }
    Ok(fs::write_atomic(&path, text)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change() -> impl Strategy<Value = VersionChange> {
        let kind = prop_oneof![Just(ChangeKind::Push), Just(ChangeKind::Promote), Just(ChangeKind::Rollback)];
        // Figures of few digits: JSON is read quickly here, which may be wrong in the last of 53 bits.
        let figure = (-1_000_000_i32..1_000_000).prop_map(|millionths| f64::from(millionths) / 1e6);
        let metrics = proptest::collection::btree_map("[a-z_1]{1,8}", figure, 0..3);
        (
            0_i64..4_000_000_000,
            kind,
            any::<u64>(),
            any::<Option<u64>>(),
            any::<Option<u8>>(),
            metrics,
            any::<Option<String>>(),
        )
            .prop_map(|(at, change, version, before, manifest, metrics, reason)| VersionChange {
                at: Timestamp::from_second(at).unwrap(),
                change,
                version,
                before,
                manifest: manifest.map(|byte| ContentHash::of(&[byte])),
                metrics,
                reason,
            })
    }

    proptest! {
        #[test]
        fn a_history_survives_its_file_whatever_the_reasons_say(changes in proptest::collection::vec(change(), 0..5)) {
            let folder = tempfile::tempdir().unwrap();
            prop_assert!(read(folder.path()).unwrap().is_empty());
            write(folder.path(), &changes).unwrap();
            prop_assert_eq!(read(folder.path()).unwrap(), changes);
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let good = r#"{"at":"2026-11-29T12:00:00Z","change":"push","version":1,"of a later program":true}"#;
        let path = folder.path().join(HISTORY_FILE);
        fs::write_atomic(&path, format!("{good}\n\n{}\n", &good[..40])).unwrap();
        let error = read(folder.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("line 3 of {} is not valid", path.display()));
        fs::write_atomic(&path, good).unwrap();
        assert_eq!(read(folder.path()).unwrap()[0].version, 1);
    }
}
