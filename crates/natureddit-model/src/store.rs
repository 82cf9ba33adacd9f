//! The model store: a folder `<name>/<version>/` of bundles. Versions are whole numbers, the highest is the newest.
//!
//! A bundle that is being pushed has a hidden name (`.3.<writer>.partial`, by [`fs::beside`]) until it is whole, so no
//! reader sees half of one.
//!
//! Which version answers where none is asked for, and which did before, is in the model's history: [`ModelVersions`].

mod defaults;
mod history;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};

use crate::bundle::ModelBundle;

pub use defaults::{ChangeError, DefaultChange, LockedModel, ModelVersions, manifest_hash};
pub use history::{ChangeKind, HISTORY_FILE, HistoryError, VersionChange};

/// The versions below a model's folder, oldest first; none where there is no such folder. Whatever is not named by a
/// number or has no manifest is passed over.
///
/// # Errors
/// When the folder cannot be listed.
pub fn versions(model: &Path) -> Result<BTreeMap<u64, PathBuf>, FsError> {
    let mut found = BTreeMap::new();
    for (version, folder) in numbered(model)? {
        if is_folder(&folder)?
            && fs::optional(fs::metadata(&folder.join(ModelBundle::MANIFEST)))?.is_some_and(|file| file.is_file())
        {
            found.insert(version, folder);
        }
    }
    Ok(found)
}

/// The version a folder is named by.
#[must_use]
pub fn version_of(folder: &Path) -> Option<u64> {
    let name = folder.file_name()?.to_str()?;
    // Only the form a push gives: "+1" and "01" are other folders than "1".
    name.parse().ok().filter(|version: &u64| version.to_string() == name)
}

/// The version that the next push becomes: one above everything named by a number, whatever is in it, and above every
/// version that was ever pushed, for its number names that model for ever.
///
/// # Errors
/// When the folder cannot be listed or its history not read, or something is named by the highest number there is.
pub fn next_version(model: &Path) -> Result<u64, HistoryError> {
    let there = numbered(model)?.into_keys().next_back();
    let pushed = history::read(model)?.iter().map(|change| change.version).max();
    let Some(newest) = there.max(pushed) else { return Ok(1) };
    let none =
        || FsError::new("go above", &model.join(newest.to_string()), io::Error::other("no higher version exists"));
    Ok(newest.checked_add(1).ok_or_else(none)?)
}

/// Removes what a killed push left in a model's folder. Nobody else may be pushing there.
///
/// # Errors
/// With the path; a folder that is not there is no error.
pub fn sweep_partial_pushes(model: &Path) -> Result<(), FsError> {
    for path in folders(model)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".partial"));
        let version = partial.and_then(|rest| rest.split_once('.')).map(|(version, _)| version);
        if version.is_some_and(|version| version.parse::<u64>().is_ok()) {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn numbered(model: &Path) -> Result<BTreeMap<u64, PathBuf>, FsError> {
    Ok(folders(model)?.into_iter().filter_map(|folder| Some((version_of(&folder)?, folder))).collect())
}

/// What is in a model's folder; nothing where it is no folder.
fn folders(model: &Path) -> Result<Vec<PathBuf>, FsError> {
    if is_folder(model)? { fs::read_dir(model) } else { Ok(Vec::new()) }
}

fn is_folder(path: &Path) -> Result<bool, FsError> {
    Ok(fs::optional(fs::metadata(path))?.is_some_and(|found| found.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(bundles: &[&str]) -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        for name in bundles {
            fs::write_atomic(&store.path().join(name).join(ModelBundle::MANIFEST), "{}").unwrap();
        }
        store
    }

    #[test]
    fn versions_are_numbers_in_their_order() {
        let store = store(&["2", "10", ".11.1-0.partial", "notes", "+3", "04"]);
        // A file may have a number for its name, too.
        fs::write_atomic(&store.path().join("12"), "").unwrap();
        let found: Vec<u64> = versions(store.path()).unwrap().into_keys().collect();
        assert_eq!(found, [2, 10]);
        assert!(versions(&store.path().join("nowhere")).unwrap().is_empty());
        assert!(versions(&store.path().join("2/manifest.json")).unwrap().is_empty());
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_version_and_its_number_is_not_used_again() {
        let store = store(&["1"]);
        fs::create_dir_all(&store.path().join("5")).unwrap();
        assert_eq!(versions(store.path()).unwrap().into_keys().collect::<Vec<_>>(), [1]);
        assert_eq!(next_version(store.path()).unwrap(), 6);
        assert_eq!(next_version(&store.path().join("nowhere")).unwrap(), 1);
        fs::write_atomic(&store.path().join("8"), "a file").unwrap();
        assert_eq!(next_version(store.path()).unwrap(), 9);
    }

    #[test]
    fn the_number_of_a_version_that_is_gone_is_not_used_again() {
        let store = store(&["1", "2"]);
        let pushed = r#"{"at":"2026-11-29T12:00:00Z","change":"push","version":7}"#;
        fs::write_atomic(&store.path().join(HISTORY_FILE), format!("{pushed}\n")).unwrap();
        assert_eq!(next_version(store.path()).unwrap(), 8);
    }

    #[test]
    fn above_the_highest_number_there_is_no_version() {
        let store = store(&["18446744073709551615"]);
        let error = next_version(store.path()).unwrap_err();
        assert!(error.to_string().starts_with("could not go above "), "{error}");
    }

    #[test]
    fn what_a_killed_push_left_is_swept_and_nothing_else() {
        let store =
            store(&["1", ".2.77-0.partial", ".3.0123456789abcdef-4.partial", ".notes.partial", ".x.1-0.partial"]);
        fs::create_dir_all(&fs::beside(&store.path().join("4"))).unwrap();
        sweep_partial_pushes(store.path()).unwrap();
        sweep_partial_pushes(&store.path().join("nowhere")).unwrap();
        let left: Vec<String> = fs::read_dir(store.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, [".notes.partial", ".x.1-0.partial", "1"]);
    }
}
