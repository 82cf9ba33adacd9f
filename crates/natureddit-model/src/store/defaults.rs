//! Which versions a model has, which of them answers where none is asked for, and which did before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use natureddit_core::ContentHash;
use natureddit_core::fs;

use super::history::{self, ChangeKind, HistoryError, VersionChange};
use super::{is_folder, versions};
use crate::bundle::{BundleError, ModelBundle};

/// The versions of a model and what became of them.
///
/// The **default** version is the one the last line of the history names; where that is gone, the one that was the default
/// before it and is there. A model without a history has its newest version for a default, as if each had been pushed in
/// the order of the numbers. A version that was put there by hand is no default until it is promoted.
#[derive(Clone, Debug)]
pub struct ModelVersions {
    folder: PathBuf,
    found: BTreeMap<u64, PathBuf>,
    changes: Vec<VersionChange>,
    /// What was the default and was not rolled back, the oldest first, each of them there, no two neighbours equal.
    defaults: Vec<u64>,
}

impl ModelVersions {
    /// Looks at a model's folder; one that is not there has no versions.
    ///
    /// # Errors
    /// When the folder cannot be listed or its history is damaged.
    pub fn read(model: &Path) -> Result<Self, HistoryError> {
        // The history first: a version that is pushed in between is then there and not yet the default.
        let changes = if is_folder(model)? { history::read(model)? } else { Vec::new() };
        let found = versions(model)?;
        let defaults = defaults(&found, &changes);
        Ok(Self { folder: model.to_owned(), found, changes, defaults })
    }

    /// The folder of a version.
    #[must_use]
    pub fn get(&self, version: u64) -> Option<&Path> {
        self.found.get(&version).map(PathBuf::as_path)
    }

    /// Each version with its folder, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Path)> {
        self.found.iter().map(|(version, folder)| (*version, folder.as_path()))
    }

    /// The version that answers where none is asked for.
    #[must_use]
    pub fn default_version(&self) -> Option<(u64, &Path)> {
        self.past_defaults().next()
    }

    /// The default, then those that it followed, each of them there.
    pub fn past_defaults(&self) -> impl Iterator<Item = (u64, &Path)> {
        self.defaults.iter().rev().filter_map(|version| Some((*version, self.get(*version)?)))
    }

    /// Every change, the oldest first.
    #[must_use]
    pub fn changes(&self) -> &[VersionChange] {
        &self.changes
    }

    /// How a version was pushed; `None` for one that was put there by hand or before there was a history.
    #[must_use]
    pub fn push_of(&self, version: u64) -> Option<&VersionChange> {
        self.changes.iter().rev().find(|change| change.change == ChangeKind::Push && change.version == version)
    }

    /// The default where somebody chose after the pipeline's last push: it stays the default until a model is pushed that was
    /// never pushed before. Where the version that was chosen is gone, it is the one before it, and not what was left.
    #[must_use]
    pub fn chosen(&self) -> Option<(u64, &Path)> {
        self.changes.last().filter(|last| last.change != ChangeKind::Push)?;
        self.default_version()
    }

    /// The version whose bundle is this one: the latest that is there, or else the one it was pushed as once. A bundle is
    /// known by its manifest.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub fn version_of_bundle(&self, bundle: &Path) -> Result<Option<u64>, fs::FsError> {
        let Some(wanted) = manifest_hash(bundle)? else { return Ok(None) };
        for (version, folder) in self.iter().rev() {
            if manifest_hash(folder)? == Some(wanted) {
                return Ok(Some(version));
            }
        }
        Ok(self.changes.iter().rev().find(|change| change.manifest == Some(wanted)).map(|change| change.version))
    }

    /// The version to go back to: the default before the present one, or `to`, which must have been one.
    ///
    /// # Errors
    /// [`ChangeError`] when there is none.
    pub fn rollback_target(&self, to: Option<u64>) -> Result<u64, ChangeError> {
        let before: Vec<u64> = self.past_defaults().skip(1).map(|(version, _)| version).collect();
        let Some(current) = self.defaults.last().copied() else { return Err(self.nothing()) };
        match to {
            None => before.first().copied().ok_or_else(|| ChangeError::NothingBefore { model: self.name(), current }),
            Some(to) if to == current => Ok(to),
            Some(to) => {
                self.get(to).ok_or_else(|| self.unknown(to))?;
                let never = ChangeError::NeverDefault { model: self.name(), version: to, before: before.clone() };
                before.contains(&to).then_some(to).ok_or(never)
            }
        }
    }

    fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn nothing(&self) -> ChangeError {
        ChangeError::NothingPushed { model: self.name() }
    }

    fn unknown(&self, version: u64) -> ChangeError {
        if self.found.is_empty() {
            return self.nothing();
        }
        ChangeError::NoVersion { model: self.name(), version, known: self.found.keys().copied().collect() }
    }
}

/// Why another version cannot be made the default.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The model's folder or its history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The model has no version.
    #[error("no version of {model} was pushed yet")]
    NothingPushed {
        /// The model.
        model: String,
    },
    /// There is no such version.
    #[error("{model} has no version {version}")]
    NoVersion {
        /// The model.
        model: String,
        /// The version asked for.
        version: u64,
        /// Those that are there, the oldest first.
        known: Vec<u64>,
    },
    /// There is nothing to go back to.
    #[error("no version of {model} was the default before version {current}")]
    NothingBefore {
        /// The model.
        model: String,
        /// The default.
        current: u64,
    },
    /// Going back leads only to what was the default before.
    #[error("version {version} of {model} was not the default before")]
    NeverDefault {
        /// The model.
        model: String,
        /// The version asked for.
        version: u64,
        /// Those that were, the latest first.
        before: Vec<u64>,
    },
    /// The version could not be loaded, so that nobody would be answered.
    #[error("version {version} of {model} is damaged")]
    Damaged {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// What is wrong with it.
        source: BundleError,
    },
}

/// A change that was made, or that was not needed.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultChange {
    /// The default before.
    pub before: Option<u64>,
    /// The default now.
    pub version: u64,
}

/// A model whose versions nobody else changes for so long: the one writer of its history.
#[derive(Debug)]
pub struct LockedModel {
    /// What is there.
    pub versions: ModelVersions,
    _lock: fs::Lock,
}

impl LockedModel {
    /// Waits for whoever is changing the model, then looks at it. Makes the model's folder.
    ///
    /// # Errors
    /// As [`ModelVersions::read`], and when there can be no lock.
    pub fn lock(model: &Path) -> Result<Self, HistoryError> {
        let lock = fs::lock(&model.join(".lock"))?;
        Ok(Self { versions: ModelVersions::read(model)?, _lock: lock })
    }

    /// Adds a line to the history, which makes its version the default.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn record(&mut self, change: VersionChange) -> Result<(), HistoryError> {
        let mut changes = self.versions.changes.clone();
        changes.push(change);
        history::write(&self.versions.folder, &changes)?;
        self.versions = ModelVersions::read(&self.versions.folder)?;
        Ok(())
    }

    /// Makes a version the default, if its bundle is whole. Nothing is written where it is the default already.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn promote(
        &mut self,
        version: u64,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<DefaultChange, ChangeError> {
        self.versions.get(version).ok_or_else(|| self.versions.unknown(version))?;
        self.make_default(ChangeKind::Promote, version, reason, at)
    }

    /// Goes back to the version that was the default before, or to `to`.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn roll_back(
        &mut self,
        to: Option<u64>,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<DefaultChange, ChangeError> {
        let version = self.versions.rollback_target(to)?;
        self.make_default(ChangeKind::Rollback, version, reason, at)
    }

    fn make_default(
        &mut self,
        change: ChangeKind,
        version: u64,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<DefaultChange, ChangeError> {
        let before = self.versions.default_version().map(|(version, _)| version);
        if let Some(folder) = self.versions.get(version) {
            let whole = ModelBundle::read(folder).and_then(|bundle| bundle.head().map(|_| ()));
            let model = self.versions.name();
            whole.map_err(|source| ChangeError::Damaged { model, version, source })?;
        }
        if before == Some(version) {
            return Ok(DefaultChange { before, version });
        }
        let none = BTreeMap::new();
        self.record(VersionChange { at, change, version, before, manifest: None, metrics: none, reason })?;
        Ok(DefaultChange { before, version })
    }
}

/// The SHA-256 of a bundle's manifest, which names all its files by theirs; `None` where there is none.
///
/// # Errors
/// When it cannot be read.
pub fn manifest_hash(bundle: &Path) -> Result<Option<ContentHash>, fs::FsError> {
    fs::optional(ContentHash::of_file(&bundle.join(ModelBundle::MANIFEST)))
}

/// What was the default, the oldest first. Going back takes away what came after, so that going back twice leads further back.
fn defaults(found: &BTreeMap<u64, PathBuf>, changes: &[VersionChange]) -> Vec<u64> {
    // What was there before the first line was pushed without one.
    let newest = changes.first().map_or(u64::MAX, |first| first.before.unwrap_or(0));
    let mut defaults: Vec<u64> = found.keys().copied().filter(|&version| version <= newest).collect();
    for change in changes {
        let known = defaults.iter().rposition(|&version| version == change.version);
        match (change.change, known) {
            (ChangeKind::Rollback, Some(at)) => defaults.truncate(at + 1),
            _ => defaults.push(change.version),
        }
    }
    defaults.retain(|version| found.contains_key(version));
    defaults.dedup();
    defaults
}

#[cfg(test)]
mod tests {
    use natureddit_testkit::tiny_bundle;
    use proptest::prelude::*;

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    /// A model with these versions, as a pipeline of an earlier program left it: without a history.
    fn model(versions: &[u64]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        versions.iter().for_each(|version| put(folder.path(), *version));
        folder
    }

    fn put(model: &Path, version: u64) {
        tiny_bundle(&model.join(version.to_string()), "m", u8::try_from(version).unwrap());
    }

    fn push(model: &Path, version: u64) {
        put(model, version);
        let mut locked = LockedModel::lock(model).unwrap();
        let before = locked.versions.default_version().map(|(version, _)| version);
        let manifest = manifest_hash(&model.join(version.to_string())).unwrap();
        let (metrics, reason) = (BTreeMap::new(), None);
        locked
            .record(VersionChange { at: AT, change: ChangeKind::Push, version, before, manifest, metrics, reason })
            .unwrap();
    }

    fn roll_back(model: &Path, to: Option<u64>) -> Result<u64, ChangeError> {
        LockedModel::lock(model).unwrap().roll_back(to, None, AT).map(|change| change.version)
    }

    fn promote(model: &Path, version: u64) -> Result<u64, ChangeError> {
        LockedModel::lock(model).unwrap().promote(version, None, AT).map(|change| change.version)
    }

    fn default(model: &Path) -> Option<u64> {
        ModelVersions::read(model).unwrap().default_version().map(|(version, _)| version)
    }

    #[test]
    fn without_a_history_the_newest_answers_and_going_back_goes_down() {
        let folder = model(&[1, 2, 10]);
        assert_eq!(default(folder.path()), Some(10));
        assert_eq!(roll_back(folder.path(), None).unwrap(), 2);
        assert_eq!(roll_back(folder.path(), None).unwrap(), 1);
        let error = roll_back(folder.path(), None).unwrap_err();
        assert!(matches!(error, ChangeError::NothingBefore { current: 1, .. }), "{error}");
        assert_eq!(default(folder.path()), Some(1));
        for nothing in ["nowhere", "1/manifest.json"] {
            assert_eq!(ModelVersions::read(&folder.path().join(nothing)).unwrap().default_version(), None);
        }
    }

    #[test]
    fn a_push_answers_and_going_back_leads_to_what_did_before() {
        let folder = model(&[1, 2]);
        push(folder.path(), 3);
        assert_eq!(default(folder.path()), Some(3));
        promote(folder.path(), 1).unwrap();
        push(folder.path(), 4);
        assert_eq!(roll_back(folder.path(), None).unwrap(), 1, "not 3, which was left for 1");
        assert_eq!(roll_back(folder.path(), None).unwrap(), 3);
        push(folder.path(), 5);
        assert_eq!(roll_back(folder.path(), Some(2)).unwrap(), 2);
        assert_eq!(roll_back(folder.path(), Some(2)).unwrap(), 2, "again is no error");
        assert!(matches!(roll_back(folder.path(), Some(5)), Err(ChangeError::NeverDefault { version: 5, .. })));
        assert!(matches!(roll_back(folder.path(), Some(9)), Err(ChangeError::NoVersion { version: 9, .. })));
        let changes = ModelVersions::read(folder.path()).unwrap().changes().to_vec();
        let told: Vec<_> = changes.iter().map(|c| format!("{} {}", c.change.word(), c.version)).collect();
        assert_eq!(
            told,
            ["push 3", "promote 1", "push 4", "rollback 1", "rollback 3", "push 5", "rollback 2"],
            "what changed nothing is not written down"
        );
    }

    #[test]
    fn a_version_put_there_by_hand_answers_once_it_is_promoted() {
        let folder = model(&[]);
        push(folder.path(), 1);
        put(folder.path(), 2);
        assert_eq!(default(folder.path()), Some(1));
        assert_eq!(promote(folder.path(), 2).unwrap(), 2);
        assert_eq!(roll_back(folder.path(), None).unwrap(), 1);
    }

    #[test]
    fn where_the_default_is_gone_the_one_before_answers() {
        let folder = model(&[]);
        (1..=3).for_each(|version| push(folder.path(), version));
        roll_back(folder.path(), None).unwrap();
        fs::remove_dir_all(&folder.path().join("2")).unwrap();
        assert_eq!(default(folder.path()), Some(1), "not 3, which was left");
        let chosen = ModelVersions::read(folder.path()).unwrap().chosen().map(|(version, _)| version);
        assert_eq!(chosen, Some(1), "the next run must not bring 3 back");
        assert!(matches!(promote(folder.path(), 2), Err(ChangeError::NoVersion { known, .. }) if known == [1, 3]));
    }

    #[test]
    fn a_damaged_version_is_never_made_the_default() {
        let folder = model(&[1, 2]);
        fs::write_atomic(&folder.path().join("1/head.safetensors"), "half a head").unwrap();
        for refused in [roll_back(folder.path(), None), promote(folder.path(), 1)] {
            assert!(matches!(refused, Err(ChangeError::Damaged { version: 1, .. })));
        }
        // The one that answers is not said to be in order, either.
        fs::write_atomic(&folder.path().join("2/head.safetensors"), "half a head").unwrap();
        assert!(matches!(promote(folder.path(), 2), Err(ChangeError::Damaged { version: 2, .. })));
        // Whole by its hashes, and yet no head.
        tiny_bundle(&folder.path().join("1"), "m", 1);
        let head = fs::read(&folder.path().join("1/head.safetensors")).unwrap();
        let manifest = fs::read_to_string(&folder.path().join("1/manifest.json")).unwrap();
        let nonsense = vec![b'x'; head.len()];
        let manifest = manifest.replace(&ContentHash::of(&head).to_string(), &ContentHash::of(&nonsense).to_string());
        fs::write_atomic(&folder.path().join("1/head.safetensors"), &nonsense).unwrap();
        fs::write_atomic(&folder.path().join("1/manifest.json"), manifest).unwrap();
        assert!(matches!(promote(folder.path(), 1), Err(ChangeError::Damaged { version: 1, .. })));
        assert_eq!(default(folder.path()), Some(2));
        assert!(ModelVersions::read(folder.path()).unwrap().changes().is_empty());
    }

    #[test]
    fn a_bundle_is_known_again_by_its_manifest_even_when_its_folder_is_gone() {
        let folder = model(&[]);
        (1..=2).for_each(|version| push(folder.path(), version));
        let other = tempfile::tempdir().unwrap();
        tiny_bundle(other.path(), "m", 2);
        let version = |bundle: &Path| ModelVersions::read(folder.path()).unwrap().version_of_bundle(bundle).unwrap();
        assert_eq!(version(other.path()), Some(2));
        fs::remove_dir_all(&folder.path().join("2")).unwrap();
        assert_eq!(version(other.path()), Some(2));
        tiny_bundle(other.path(), "m", 7);
        assert_eq!(version(other.path()), None);
        assert_eq!(version(&other.path().join("nowhere")), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Promote(u64),
        RollBack,
        Lose(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Push),
            (1_u64..8).prop_map(Step::Promote),
            Just(Step::RollBack),
            (1_u64..8).prop_map(Step::Lose)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_happens_a_version_that_is_there_answers(legacy in 0_u64..3, steps in proptest::collection::vec(step(), 0..10)) {
            let folder = model(&(1..=legacy).collect::<Vec<_>>());
            for step in steps {
                let before = ModelVersions::read(folder.path()).unwrap();
                match step {
                    Step::Push => {
                        let version = crate::store::next_version(folder.path()).unwrap();
                        push(folder.path(), version);
                        prop_assert_eq!(default(folder.path()), Some(version));
                    }
                    Step::Promote(version) => {
                        let done = promote(folder.path(), version).is_ok();
                        prop_assert_eq!(done, before.get(version).is_some());
                        prop_assert!(!done || default(folder.path()) == Some(version));
                    }
                    Step::RollBack => {
                        let wanted = before.past_defaults().nth(1).map(|(version, _)| version);
                        prop_assert_eq!(roll_back(folder.path(), None).ok(), wanted);
                        prop_assert!(wanted.is_none() || default(folder.path()) == wanted);
                    }
                    Step::Lose(version) => fs::remove_dir_all(&folder.path().join(version.to_string())).unwrap(),
                }
                let now = ModelVersions::read(folder.path()).unwrap();
                prop_assert!(now.past_defaults().all(|(_, dir)| dir.is_dir()));
            }
        }
    }
}
