//! Finding bundles: in a model store, or in folders that are named.
//!
//! What a model store is and which of its folders are versions: `natureddit_model::versions`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{PLAIN_NAME, is_plain_name};
use natureddit_model::{version_of, versions};

/// A bundle to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The newest version of a model in the model store.
    Newest(String),
    /// One version of a model in the model store.
    Version(String, u64),
    /// A bundle folder anywhere, under a name. Its version is the number the folder is named by, or else 1.
    Folder(String, PathBuf),
}

/// Why a bundle was not found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A folder could not be listed.
    #[error(transparent)]
    File(#[from] FsError),
    /// There is nothing to serve.
    #[error("no model in the model store {}", .0.display())]
    Empty(PathBuf),
    /// A name that cannot be a folder's.
    #[error("{0:?} is not a model name: it must be {PLAIN_NAME}")]
    BadName(String),
    /// The model has no version.
    #[error("model {name} has no version in the model store {store}", store = store.display())]
    NotFound {
        /// The model.
        name: String,
        /// Where it was looked for.
        store: PathBuf,
    },
    /// The model has other versions.
    #[error("version {version} of model {name} is not in the model store {store}", store = store.display())]
    VersionNotFound {
        /// The model.
        name: String,
        /// The version.
        version: u64,
        /// Where it was looked for.
        store: PathBuf,
    },
    /// Two choices are the same model in the same version.
    #[error("version {version} of model {name} is chosen twice")]
    Twice {
        /// The model.
        name: String,
        /// The version.
        version: u64,
    },
}

/// A bundle and what it is served as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BundleFolder {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) folder: PathBuf,
}

/// The bundles chosen, or, where none is, the newest version of each model in the store; never none.
///
/// # Errors
/// When a model is not there.
pub(crate) fn find_bundles(store: &Path, choices: &[ModelChoice]) -> Result<Vec<BundleFolder>, StoreError> {
    if choices.is_empty() { find_newest(store) } else { find_chosen(store, choices) }
}

fn find_chosen(store: &Path, choices: &[ModelChoice]) -> Result<Vec<BundleFolder>, StoreError> {
    let bundles = choices.iter().map(|choice| find_bundle(store, choice)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = BTreeSet::new();
    match bundles.iter().find(|bundle| !seen.insert((&bundle.name, bundle.version))) {
        Some(BundleFolder { name, version, .. }) => Err(StoreError::Twice { name: name.clone(), version: *version }),
        None => Ok(bundles),
    }
}

fn find_newest(store: &Path) -> Result<Vec<BundleFolder>, StoreError> {
    let mut newest = Vec::new();
    for path in fs::optional(fs::read_dir(store))?.unwrap_or_default() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_plain_name(&name)
            && let Some((version, folder)) = versions(&path)?.pop_last()
        {
            newest.push(BundleFolder { name, version, folder });
        }
    }
    if newest.is_empty() { Err(StoreError::Empty(store.to_owned())) } else { Ok(newest) }
}

fn find_bundle(store: &Path, choice: &ModelChoice) -> Result<BundleFolder, StoreError> {
    let (ModelChoice::Newest(name) | ModelChoice::Version(name, _) | ModelChoice::Folder(name, _)) = choice;
    if !is_plain_name(name) {
        return Err(StoreError::BadName(name.clone()));
    }
    let name = name.clone();
    match choice {
        ModelChoice::Folder(_, folder) => {
            let version = version_of(folder).unwrap_or(1);
            Ok(BundleFolder { name, version, folder: folder.clone() })
        }
        ModelChoice::Newest(_) => match versions(&store.join(&name))?.pop_last() {
            Some((version, folder)) => Ok(BundleFolder { name, version, folder }),
            None => Err(StoreError::NotFound { name, store: store.to_owned() }),
        },
        ModelChoice::Version(_, version) => match versions(&store.join(&name))?.remove(version) {
            Some(folder) => Ok(BundleFolder { name, version: *version, folder }),
            None => Err(StoreError::VersionNotFound { name, version: *version, store: store.to_owned() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(bundles: &[&str]) -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        let manifest = |bundle: &&str| store.path().join(bundle).join(natureddit_model::ModelBundle::MANIFEST);
        bundles.iter().for_each(|bundle| fs::write_atomic(&manifest(bundle), "{}").unwrap());
        store
    }

    fn bundle(store: &Path, name: &str, version: u64) -> BundleFolder {
        let folder = store.join(name).join(version.to_string());
        BundleFolder { name: name.to_owned(), version, folder }
    }

    #[test]
    fn the_newest_version_is_the_highest_number_and_unfinished_bundles_are_passed_over() {
        let store = store(&["a/2", "a/10", "a/.11.1234-0.partial", "a/latest", "b/1", ".hidden/1"]);
        fs::create_dir_all(&store.path().join("empty")).unwrap();
        fs::write_atomic(&store.path().join("a.txt"), "no model").unwrap();
        let found = find_bundles(store.path(), &[]).unwrap();
        assert_eq!(found, [bundle(store.path(), "a", 10), bundle(store.path(), "b", 1)]);
    }

    #[test]
    fn one_version_can_be_asked_for() {
        let store = store(&["a/2", "a/10"]);
        let choices = [ModelChoice::Version("a".into(), 2), ModelChoice::Newest("a".into())];
        let found = find_bundles(store.path(), &choices).unwrap();
        assert_eq!(found, [bundle(store.path(), "a", 2), bundle(store.path(), "a", 10)]);
    }

    #[test]
    fn a_folder_is_served_with_the_number_it_is_named_by() {
        let found = |folder: &str| {
            let choice = ModelChoice::Folder("a".into(), folder.into());
            find_bundles(Path::new("/no store"), &[choice]).unwrap().remove(0)
        };
        assert_eq!(found("/candidates/7").version, 7);
        assert_eq!(found("/candidates/best").version, 1);
    }

    #[test]
    fn what_cannot_be_served_is_named() {
        let store = store(&["a/2"]);
        let refused = |choice| find_bundles(store.path(), &[choice]).unwrap_err();
        assert!(matches!(refused(ModelChoice::Newest("b".into())), StoreError::NotFound { name, .. } if name == "b"));
        assert!(matches!(refused(ModelChoice::Version("a".into(), 3)), StoreError::VersionNotFound { version: 3, .. }));
        let twice = [ModelChoice::Newest("a".into()), ModelChoice::Version("a".into(), 2)];
        assert!(matches!(find_bundles(store.path(), &twice), Err(StoreError::Twice { version: 2, .. })));
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(find_bundles(empty.path(), &[]), Err(StoreError::Empty(_))));
        assert!(matches!(find_bundles(&empty.path().join("none"), &[]), Err(StoreError::Empty(_))));
    }

    #[test]
    fn no_name_leads_out_of_the_store() {
        let store = store(&["models/a/1", "secret/1"]);
        for name in ["../secret", "..", ".", "", "a/../../secret", "/etc", "-a", "a\\b"] {
            let choice = ModelChoice::Newest(name.to_owned());
            let refused = find_bundles(&store.path().join("models"), &[choice]).unwrap_err();
            assert!(matches!(refused, StoreError::BadName(_)), "{name}");
        }
    }
}
