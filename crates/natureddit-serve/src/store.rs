//! Finding bundles: in a model store, or in folders that are named. A model archive (`.mar`) is taken for a bundle.
//!
//! What a model store is, which of its folders are versions and which is the default: `natureddit_model::ModelVersions`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use natureddit_core::fs::{self, FsError};
use natureddit_core::{PLAIN_NAME, is_plain_name};
use natureddit_model::{ArchiveError, ArchivedModel, HistoryError, ModelVersions, is_archive, version_of};

/// A bundle to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The default version of a model in the model store; or `NAME.mar` there, by that name as by `NAME` alone.
    Default(String),
    /// One version of a model in the model store.
    Version(String, u64),
    /// A bundle folder or a model archive anywhere, under a name. The version of a folder is the number it is named by, or
    /// else 1; an archive says its own.
    Folder(String, PathBuf),
}

/// Why a bundle was not found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A folder could not be listed.
    #[error(transparent)]
    File(#[from] FsError),
    /// The versions of a model could not be looked at.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A model archive cannot be taken.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
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
    /// An archive in the model store holds what is there already.
    #[error("{archive} is passed over: version {version} of model {name} is {kept}", archive = archive.display(), kept = kept.display())]
    Doubled {
        /// The archive.
        archive: PathBuf,
        /// The model.
        name: String,
        /// The version.
        version: u64,
        /// Where it is, too.
        kept: PathBuf,
    },
}

/// A bundle and what it is served as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BundleFolder {
    pub(crate) name: String,
    pub(crate) version: u64,
    /// Or its archive.
    pub(crate) folder: PathBuf,
    /// How it is asked for: `name/version`, or the folder.
    pub(crate) url: String,
    /// Whether it answers where no version is asked for.
    pub(crate) is_default: bool,
}

impl BundleFolder {
    fn stored(name: &str, version: u64, versions: &ModelVersions) -> Option<Self> {
        let folder = versions.get(version)?.to_owned();
        let is_default = versions.default_version().is_some_and(|(default, _)| default == version);
        let url = format!("{name}/{version}");
        Some(Self { name: name.to_owned(), version, folder, url, is_default })
    }

    /// A model archive, under a name or else under its own.
    pub(crate) fn archived(path: PathBuf, name: Option<&str>, is_default: bool) -> Result<Self, StoreError> {
        let ArchivedModel { name: own, version } = ArchivedModel::read(&path)?;
        let url = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name: name.map_or(own, str::to_owned), version, folder: path, url, is_default })
    }
}

/// The bundles chosen, or, where none is, the default version of each model in the store and each archive there; never none.
///
/// # Errors
/// When a model is not there.
pub(crate) fn find_bundles(store: &Path, choices: &[ModelChoice]) -> Result<Vec<BundleFolder>, StoreError> {
    if !choices.is_empty() {
        return find_chosen(store, choices);
    }
    let StoreBundles { found, left_out } = default_bundles(store)?;
    if found.is_empty() {
        return Err(left_out.into_iter().next().unwrap_or_else(|| StoreError::Empty(store.to_owned())));
    }
    left_out.iter().for_each(|why| tracing::warn!("not served: {why}"));
    Ok(found)
}

fn find_chosen(store: &Path, choices: &[ModelChoice]) -> Result<Vec<BundleFolder>, StoreError> {
    unique(choices.iter().map(|choice| find_bundle(store, choice)).collect::<Result<Vec<_>, _>>()?)
}

fn unique(bundles: Vec<BundleFolder>) -> Result<Vec<BundleFolder>, StoreError> {
    let mut seen = BTreeSet::new();
    match bundles.iter().find(|bundle| !seen.insert((&bundle.name, bundle.version))) {
        Some(BundleFolder { name, version, .. }) => Err(StoreError::Twice { name: name.clone(), version: *version }),
        None => Ok(bundles),
    }
}

/// What a model store has to serve.
pub(crate) struct StoreBundles {
    /// The default version of each model, and the archives.
    pub(crate) found: Vec<BundleFolder>,
    /// Why the rest is left out: what is damaged or there twice keeps nothing else from being served.
    pub(crate) left_out: Vec<StoreError>,
}

/// The default version of each model in the store and each archive there; there may be none.
///
/// # Errors
/// When the store cannot be listed.
pub(crate) fn default_bundles(store: &Path) -> Result<StoreBundles, StoreError> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    // Every version that is there, and where.
    let mut there = BTreeMap::new();
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let paths = fs::optional(fs::read_dir(store))?.unwrap_or_default().into_iter();
    let (archives, folders): (Vec<_>, Vec<_>) =
        paths.filter(|path| is_plain_name(&name_of(path))).partition(|path| is_archive(path));
    for path in folders {
        let name = name_of(&path);
        match ModelVersions::read(&path) {
            Err(error) => left_out.push(error.into()),
            Ok(versions) => {
                let default = versions.default_version();
                found.extend(default.and_then(|(version, _)| BundleFolder::stored(&name, version, &versions)));
                there.extend(versions.iter().map(|(version, folder)| ((name.clone(), version), folder.to_owned())));
            }
        }
    }
    for path in archives {
        // Of a model that has a folder too, the folder says what answers.
        match BundleFolder::archived(path, None, false) {
            Err(error) => left_out.push(error),
            Ok(bundle) => match there.entry((bundle.name.clone(), bundle.version)) {
                Entry::Occupied(kept) => left_out.push(StoreError::Doubled {
                    archive: bundle.folder,
                    name: bundle.name,
                    version: bundle.version,
                    kept: kept.get().clone(),
                }),
                Entry::Vacant(free) => {
                    free.insert(bundle.folder.clone());
                    found.push(bundle);
                }
            },
        }
    }
    Ok(StoreBundles { found, left_out })
}

/// The bundle of a choice.
///
/// # Errors
/// When it is not there.
pub(crate) fn find_bundle(store: &Path, choice: &ModelChoice) -> Result<BundleFolder, StoreError> {
    let (ModelChoice::Default(name) | ModelChoice::Version(name, _) | ModelChoice::Folder(name, _)) = choice;
    if !is_plain_name(name) {
        return Err(StoreError::BadName(name.clone()));
    }
    let name = name.clone();
    match choice {
        ModelChoice::Folder(_, path) if path.is_file() => BundleFolder::archived(path.clone(), Some(&name), false),
        ModelChoice::Folder(_, folder) => {
            let version = version_of(folder).unwrap_or(1);
            let url = folder.display().to_string();
            Ok(BundleFolder { name, version, folder: folder.clone(), url, is_default: false })
        }
        ModelChoice::Default(_) => {
            let versions = ModelVersions::read(&store.join(&name))?;
            let default = versions.default_version().map(|(version, _)| version);
            if let Some(found) = default.and_then(|version| BundleFolder::stored(&name, version, &versions)) {
                return Ok(found);
            }
            let (with_ending, by_name) = (store.join(&name), store.join(format!("{name}.mar")));
            if is_archive(&with_ending) {
                BundleFolder::archived(with_ending, None, true)
            } else if is_archive(&by_name) {
                BundleFolder::archived(by_name, Some(&name), true)
            } else {
                Err(StoreError::NotFound { name, store: store.to_owned() })
            }
        }
        ModelChoice::Version(_, version) => {
            let versions = ModelVersions::read(&store.join(&name))?;
            let found = BundleFolder::stored(&name, *version, &versions);
            found.ok_or_else(|| StoreError::VersionNotFound { name, version: *version, store: store.to_owned() })
        }
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
        let url = format!("{name}/{version}");
        BundleFolder { name: name.to_owned(), version, folder, url, is_default: true }
    }

    fn other(store: &Path, name: &str, version: u64) -> BundleFolder {
        BundleFolder { is_default: false, ..bundle(store, name, version) }
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
        let choices = [ModelChoice::Version("a".into(), 2), ModelChoice::Default("a".into())];
        let found = find_bundles(store.path(), &choices).unwrap();
        assert_eq!(found, [other(store.path(), "a", 2), bundle(store.path(), "a", 10)]);
    }

    #[test]
    fn the_default_is_what_the_history_says() {
        let store = store(&["a/2", "a/10"]);
        let line = r#"{"at":"2026-11-29T12:00:00Z","change":"rollback","version":2,"before":10}"#;
        fs::write_atomic(&store.path().join("a").join(natureddit_model::HISTORY_FILE), format!("{line}\n")).unwrap();
        assert_eq!(find_bundles(store.path(), &[]).unwrap(), [bundle(store.path(), "a", 2)]);
        let choices = [ModelChoice::Default("a".into()), ModelChoice::Version("a".into(), 10)];
        let found = find_bundles(store.path(), &choices).unwrap();
        assert_eq!(found, [bundle(store.path(), "a", 2), other(store.path(), "a", 10)]);
        fs::write_atomic(&store.path().join("a").join(natureddit_model::HISTORY_FILE), "x\n").unwrap();
        assert!(matches!(find_bundles(store.path(), &[]), Err(StoreError::History(_))));
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
        assert!(matches!(refused(ModelChoice::Default("b".into())), StoreError::NotFound { name, .. } if name == "b"));
        assert!(matches!(refused(ModelChoice::Version("a".into(), 3)), StoreError::VersionNotFound { version: 3, .. }));
        let twice = [ModelChoice::Default("a".into()), ModelChoice::Version("a".into(), 2)];
        assert!(matches!(find_bundles(store.path(), &twice), Err(StoreError::Twice { version: 2, .. })));
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(find_bundles(empty.path(), &[]), Err(StoreError::Empty(_))));
        assert!(matches!(find_bundles(&empty.path().join("none"), &[]), Err(StoreError::Empty(_))));
    }

    /// Puts `file` into the store: the archive of a bundle of the model `a`, in this version.
    fn archive(store: &Path, file: &str, version: u64) {
        let bundle = store.join(".bundle");
        natureddit_testkit::tiny_bundle(&bundle, "a", 1);
        natureddit_model::ModelBundle::read(&bundle).unwrap().write_archive(&store.join(file), version).unwrap();
    }

    #[test]
    fn an_archive_in_the_store_is_found_by_its_name_with_and_without_the_ending() {
        let store = store(&["b/1"]);
        archive(store.path(), "x.mar", 7);
        let found = |name: &str, is_default| BundleFolder {
            name: name.to_owned(),
            version: 7,
            folder: store.path().join("x.mar"),
            url: "x.mar".to_owned(),
            is_default,
        };
        let default = |name: &str| find_bundles(store.path(), &[ModelChoice::Default(name.to_owned())]).unwrap();
        assert_eq!(find_bundles(store.path(), &[]).unwrap(), [bundle(store.path(), "b", 1), found("a", false)]);
        assert_eq!(default("x.mar"), [found("a", true)]);
        assert_eq!(default("x"), [found("x", true)]);
        let named = ModelChoice::Folder("y".to_owned(), store.path().join("x.mar"));
        assert_eq!(find_bundles(Path::new("/no store"), &[named]).unwrap(), [found("y", false)]);
    }

    #[test]
    fn an_archive_that_is_damaged_or_there_already_is_left_out_alone() {
        let store = store(&["a/1", "a/2"]);
        archive(store.path(), "a.mar", 3);
        let versions = || {
            let StoreBundles { found, left_out } = default_bundles(store.path()).unwrap();
            let left_out: Vec<_> = left_out.iter().map(ToString::to_string).collect();
            (found.iter().map(|found| found.version).collect::<Vec<_>>(), left_out.join("\n"))
        };
        assert_eq!(versions(), (vec![2, 3], String::new()));
        // Also of a version that is not the default: it may be made so.
        for version in [2, 1] {
            archive(store.path(), "a.mar", version);
            let (found, left_out) = versions();
            assert_eq!(found, [2]);
            assert!(left_out.contains("a.mar is passed over: version "), "{left_out}");
            assert!(left_out.ends_with(&format!("a/{version}")), "{left_out}");
        }
        archive(store.path(), "a.mar", 3);
        archive(store.path(), "b.mar", 3);
        fs::write_atomic(&store.path().join("c.mar"), "no archive").unwrap();
        let (found, left_out) = versions();
        assert_eq!(found, [2, 3]);
        assert!(
            left_out.contains("b.mar is passed over") && left_out.contains("c.mar is no model archive"),
            "{left_out}"
        );
        // Where nothing else is there, that is why.
        let alone = tempfile::tempdir().unwrap();
        fs::write_atomic(&alone.path().join("a.mar"), "no archive").unwrap();
        assert!(matches!(find_bundles(alone.path(), &[]), Err(StoreError::Archive(_))));
    }

    #[test]
    fn no_name_leads_out_of_the_store() {
        let store = store(&["models/a/1", "secret/1"]);
        for name in ["../secret", "..", ".", "", "a/../../secret", "/etc", "-a", "a\\b"] {
            let choice = ModelChoice::Default(name.to_owned());
            let refused = find_bundles(&store.path().join("models"), &[choice]).unwrap_err();
            assert!(matches!(refused, StoreError::BadName(_)), "{name}");
        }
    }
}
