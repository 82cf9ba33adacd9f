//! Where a project's settings file is.

use std::path::{Path, PathBuf};

use natureddit_core::fs;

use super::{ConfigError, FILE_NAME};

/// A settings file and the project folder it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The settings file.
    pub file: PathBuf,
    /// The folder it is in, where relative paths start.
    pub root: PathBuf,
}

impl Location {
    /// The nearest `natureddit.toml` in `start` or a folder above it.
    ///
    /// # Errors
    /// [`ConfigError::NotFound`], or [`ConfigError::Read`] for a folder that cannot be looked into.
    pub fn find(start: &Path) -> Result<Self, ConfigError> {
        for folder in start.ancestors() {
            if let Some(found) = Self::in_folder(folder)? {
                return Ok(found);
            }
        }
        Err(ConfigError::NotFound { folder: start.to_owned(), searched_above: true })
    }

    /// The `natureddit.toml` of a project folder.
    ///
    /// # Errors
    /// As [`Location::find`], and [`ConfigError::NoFolder`].
    pub fn of_project(folder: &Path) -> Result<Self, ConfigError> {
        let found = Self::in_folder(folder)?;
        if found.is_none() && fs::optional(fs::metadata(folder))?.is_none() {
            return Err(ConfigError::NoFolder { folder: folder.to_owned() });
        }
        found.ok_or_else(|| ConfigError::NotFound { folder: folder.to_owned(), searched_above: false })
    }

    /// A settings file of any name.
    #[must_use]
    pub fn of_file(file: &Path) -> Self {
        Self { file: file.to_owned(), root: file.parent().unwrap_or(Path::new("")).to_owned() }
    }

    fn in_folder(folder: &Path) -> Result<Option<Self>, ConfigError> {
        let file = folder.join(FILE_NAME);
        let found = fs::optional(fs::metadata(&file))?;
        Ok(found.map(|_| Self { file, root: folder.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_above_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("project/data/images");
        fs::create_dir_all(&deep).unwrap();
        fs::write_atomic(&folder.path().join(FILE_NAME), "").unwrap();
        fs::write_atomic(&folder.path().join("project").join(FILE_NAME), "").unwrap();

        assert_eq!(Location::find(&deep).unwrap().root, folder.path().join("project"));
        assert_eq!(Location::find(folder.path()).unwrap().root, folder.path());
        let named = Location::of_project(&deep);
        assert!(matches!(named, Err(ConfigError::NotFound { searched_above: false, .. })), "{named:?}");
        let nowhere = Location::of_project(&deep.join("nowhere"));
        assert!(matches!(nowhere, Err(ConfigError::NoFolder { .. })), "{nowhere:?}");
    }
}
