//! `forgetting.json`: posts whose deletion was begun and is not done everywhere. It is written before the first change and
//! removed when nothing is left of them, so that a deletion that was cut off is finished by whoever comes next.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{ContentHash, PostId};
use serde::{Deserialize, Serialize};

use crate::dataset::PostRow;

const FILE: &str = "forgetting.json";

/// What is to be removed everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingDeletion {
    /// The posts.
    pub posts: BTreeSet<PostId>,
    /// The hashes of their photos and titles, by which what was computed from them is kept.
    pub content: BTreeSet<ContentHash>,
}

impl PendingDeletion {
    /// What was begun on the dataset in a folder; `None` where nothing was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, FsError> {
        let path = file(data_dir);
        let Some(bytes) = fs::optional(fs::read(&path))? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| FsError::new("read", &path, io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Whether something was begun.
    #[must_use]
    pub fn is_there(data_dir: &Path) -> bool {
        file(data_dir).exists()
    }

    /// Adds a post and its rows.
    pub(crate) fn add(&mut self, id: &PostId, rows: &[PostRow]) {
        self.posts.insert(id.clone());
        self.content.extend(rows.iter().flat_map(content));
    }

    pub(crate) fn write(&self, data_dir: &Path) -> Result<(), FsError> {
        let path = file(data_dir);
        let text = serde_json::to_string_pretty(self).map_err(|e| FsError::new("write", &path, e.into()))?;
        fs::write_atomic(&path, text + "\n")
    }

    /// Says that nothing is left of them.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub fn done(data_dir: &Path) -> Result<(), FsError> {
        fs::optional(fs::remove_file(&file(data_dir))).map(drop)
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// By which hashes what was computed from a row is kept.
fn content(row: &PostRow) -> [ContentHash; 2] {
    [row.sha256, ContentHash::of(row.post.title.as_bytes())]
}
