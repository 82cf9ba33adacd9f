//! Which outs a checkout was putting into the work tree: one that was killed leaves neither the old version nor the new
//! one, and nobody's change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};

use super::error::DvcError;
use super::repo::DvcRepo;

/// The longest note that is read.
const NOTE_BYTES_MAX: u64 = 1 << 24;

impl DvcRepo {
    /// Whether a checkout of an out was begun and did not end.
    ///
    /// # Errors
    /// [`DvcError::Fs`].
    pub(crate) fn is_half_checked_out(&self, path: &Path) -> Result<bool, DvcError> {
        Ok(self.half_checked_out()?.contains(&self.shown(path)))
    }

    /// Notes that outs are going to change.
    pub(super) fn begin_checkout<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<(), DvcError> {
        let mut noted = self.half_checked_out()?;
        noted.extend(paths.map(|path| self.shown(path)));
        self.write_note(&noted)
    }

    /// Notes that outs are what their pointers say, by whatever way.
    pub(super) fn end_checkout<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<(), DvcError> {
        let mut noted = self.half_checked_out()?;
        let before = noted.len();
        paths.for_each(|path| _ = noted.remove(&self.shown(path)));
        if noted.len() == before { Ok(()) } else { self.write_note(&noted) }
    }

    fn half_checked_out(&self) -> Result<BTreeSet<String>, DvcError> {
        let Some(note) = fs::optional(fs::read_limited(&self.note(), NOTE_BYTES_MAX))? else {
            return Ok(BTreeSet::new());
        };
        // One that cannot be read was written by nobody that this program knows.
        Ok(serde_json::from_slice(&note).unwrap_or_default())
    }

    fn write_note(&self, noted: &BTreeSet<String>) -> Result<(), DvcError> {
        let path = self.note();
        if noted.is_empty() {
            return Ok(fs::remove_file(&path)?);
        }
        let json = serde_json::to_vec(noted).map_err(|e| FsError::new("write", &path, e.into()))?;
        Ok(fs::write_atomic(&path, json)?)
    }

    fn note(&self) -> PathBuf {
        self.root.join(".dvc/tmp/natureddit.checkout")
    }
}
