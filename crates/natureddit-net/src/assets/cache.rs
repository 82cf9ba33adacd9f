//! The place of an asset in the cache. Everything here blocks.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use natureddit_core::fs::{self, FsError};
use natureddit_core::{Asset, ContentHash};

use super::error::{AssetError, SourceError};

/// The place of an asset, whether it is there or not.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    path: PathBuf,
    expected: ContentHash,
    /// The asset's size.
    pub(super) bytes: u64,
    /// The asset's name.
    pub(super) name: &'static str,
}

impl Entry {
    /// # Panics
    /// When the asset's SHA-256 is none: assets are written down in the program.
    pub(super) fn new(root: &Path, asset: &Asset) -> Self {
        const PREFIX_DIGITS: usize = 16;
        let expected: ContentHash = asset.sha256.parse().expect("an asset is declared with its SHA-256");
        let path = root.join(&expected.to_string()[..PREFIX_DIGITS]).join(asset.file_name);
        Self { path, expected, bytes: asset.bytes, name: asset.name }
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Where the content is gathered before it is verified.
    pub(super) fn partial(&self) -> PathBuf {
        self.beside(".partial")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// The path, if the content is the right one now, or was when its stamp was written and has not changed since.
    pub(super) fn find(&self) -> Result<Option<PathBuf>, FsError> {
        let Some(stamp) = fs::optional(read_stamp(&self.path))? else { return Ok(None) };
        // A stamp that cannot be read is as good as none.
        if fs::read_to_string(&self.beside(".stamp")).is_ok_and(|recorded| recorded == stamp) {
            return Ok(Some(self.path.clone()));
        }
        let found = ContentHash::of_file(&self.path)?;
        if found != self.expected {
            tracing::warn!(path = %self.path.display(), %found, expected = %self.expected, "a cached asset has changed");
            return Ok(None);
        }
        self.write_stamp(&stamp);
        Ok(Some(self.path.clone()))
    }

    /// As [`Entry::find`], without trusting the stamp.
    pub(super) fn verify(&self) -> Result<Option<PathBuf>, AssetError> {
        let Some(found) = fs::optional(ContentHash::of_file(&self.path))? else { return Ok(None) };
        if found != self.expected {
            return Err(AssetError::Mismatch { path: self.path.clone(), expected: self.expected, found });
        }
        Ok(Some(self.path.clone()))
    }

    /// Takes the content from a file of the user's; `None` if there is none.
    pub(super) fn copy_from(&self, path: &Path) -> Result<Option<PathBuf>, AssetError> {
        if fs::optional(fs::metadata(path))?.is_none() {
            return Ok(None);
        }
        fs::copy(path, &self.partial())?;
        let found = self.settle()?;
        if found != self.expected {
            return Err(AssetError::Mismatch { path: path.to_owned(), expected: self.expected, found });
        }
        Ok(Some(self.path.clone()))
    }

    /// Verifies what was gathered and makes it the content; what is wrong is removed.
    pub(super) fn accept(&self) -> Result<PathBuf, SourceError> {
        let found = self.settle()?;
        if found != self.expected {
            return Err(SourceError::WrongContent { expected: self.expected, found });
        }
        Ok(self.path.clone())
    }

    /// Keeps what was gathered if it is right, removes it if not, and says what it is.
    fn settle(&self) -> Result<ContentHash, FsError> {
        let partial = self.partial();
        let stamp = read_stamp(&partial)?;
        let found = ContentHash::of_file(&partial)?;
        if found == self.expected {
            fs::rename(&partial, &self.path)?;
            self.write_stamp(&stamp);
        } else {
            fs::remove_file(&partial)?;
        }
        Ok(found)
    }

    /// Writes down how the file was before it was hashed, so that a change while it was is seen the next time. A cache
    /// that cannot be written costs the next run a second look, no more.
    fn write_stamp(&self, stamp: &str) {
        if let Err(error) = fs::write_atomic(&self.beside(".stamp"), stamp) {
            tracing::debug!(%error, cause = %error.source, "the stamp of a verified asset was not written");
        }
    }
}

/// What changes when a file is written to: its size, and its modification time in nanoseconds.
fn read_stamp(path: &Path) -> Result<String, FsError> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified().map_err(|e| FsError::new("inspect", path, e))?;
    let nanoseconds = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    Ok(format!("{} {nanoseconds}", metadata.len()))
}
