//! Pusher: a model that both validators bless becomes the next version in the model store, and its default.

mod model_card;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use natureddit_core::Clock;
use natureddit_core::fs::{self, FsError};
use natureddit_data::DatasetVersion;
use natureddit_model::{
    ChangeKind, LockedModel, ModelBundle, ModelVersions, VersionChange, manifest_hash, next_version,
    sweep_partial_pushes,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::evaluator::{EVALUATION_FILE, is_blessed};
use super::infra_validator::read_infra_blessing;
use super::trainer::TRAINING_FILE;
use super::{read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::file_state::FileStates;
use model_card::{Counts, ModelCard};

pub use model_card::{MODEL_CARD_FILE, MODEL_CARD_PAGE};

/// The file that says where a model was pushed; absent where it was not blessed.
pub const PUSHED_FILE: &str = "pushed.json";

/// Where a model was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The model's name.
    pub name: String,
    /// The version it became.
    pub version: u64,
}

/// Pushes a model.
pub struct Pusher {
    /// The model store: `<name>/<version>/`.
    pub models_dir: PathBuf,
    /// The model's name.
    pub name: String,
    /// Where the dataset lies, whose version the model card tells.
    pub data_dir: PathBuf,
    /// The time of a push, for the model's history.
    pub clock: Clock,
}

impl Component for Pusher {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Pusher",
                version: 3,
                inputs: &[
                    Port::new("model", ArtifactType::Model),
                    Port::new("blessing", ArtifactType::ModelBlessing),
                    Port::optional("infra_blessing", ArtifactType::InfraBlessing),
                    Port::optional("evaluation", ArtifactType::ModelEvaluation),
                    Port::optional("examples", ArtifactType::Examples),
                ],
                outputs: &[Port::new("pushed_model", ArtifactType::PushedModel)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({ "name": self.name })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let infra = io.optional_input("infra_blessing").map(read_infra_blessing).transpose()?.flatten();
        let blessed = is_blessed(io.input("blessing"))? && infra.is_none_or(|verdict| verdict.blessed);
        cx.set_property("pushed_model", "pushed", blessed);
        if !blessed {
            return Ok(());
        }
        let metrics = io.optional_input("evaluation").map(metrics).transpose()?.unwrap_or_default();
        let version = self.push(io.input("model"), metrics)?;
        self.write_model_card(version, io)?;
        cx.set_property("pushed_model", "pushed_version", version.to_string());
        write_json(&io.output("pushed_model").join(PUSHED_FILE), &Pushed { name: self.name.clone(), version })
    }

    /// The model is pushed again where its version was deleted from the model store or a file of it changed, and where
    /// another model was pushed after it: the default version is what is served. A version that somebody chose in its
    /// place stays.
    fn change_outside(&self, io: &ExecutionIo, files: &mut FileStates) -> Option<OutsideChange> {
        let pushed: Pushed = read_json(&io.output("pushed_model").join(PUSHED_FILE)).ok()??;
        let store = self.models_dir.join(&pushed.name);
        let dir = store.join(pushed.version.to_string());
        let versions = ModelVersions::read(&store).ok();
        if versions.as_ref().is_some_and(|versions| matches!(kept_back(versions, io.input("model")), Ok(Some(_)))) {
            return None;
        }
        if !is_same_bundle(&dir, io.input("model")).unwrap_or(false) {
            return Some(OutsideChange::Lost(dir));
        }
        if let Some(change) = changed_file(&dir, io.input("model"), files) {
            return Some(change);
        }
        let default = versions?.default_version().map(|(version, _)| version);
        (default != Some(pushed.version)).then_some(OutsideChange::Superseded(dir))
    }
}

impl Pusher {
    /// Copies the bundle to the next free version, visible only when it is whole, and makes that the default. The default
    /// version is kept when it is the same bundle and none of its files is damaged; a damaged one stays beside, as a server
    /// may have it open. A version that somebody chose is kept, too, unless the model was never pushed before.
    fn push(&self, model: &Path, metrics: BTreeMap<String, f64>) -> anyhow::Result<u64> {
        let store = self.models_dir.join(&self.name);
        let mut locked = LockedModel::lock(&store)?;
        sweep_partial_pushes(&store)?;
        if let Some(version) = kept_back(&locked.versions, model)? {
            return Ok(version);
        }
        let before = locked.versions.default_version();
        if let Some((version, dir)) = before
            && is_same_bundle(dir, model)?
            && ModelBundle::read(dir).is_ok()
        {
            return Ok(version);
        }
        let before = before.map(|(version, _)| version);
        let version = match unrecorded(&locked.versions, model)? {
            Some(version) => version,
            None => copy_to_next(model, &store)?,
        };
        let (at, manifest) = (self.now()?, manifest_hash(model)?);
        let change = ChangeKind::Push;
        locked.record(VersionChange { at, change, version, before, manifest, metrics, reason: None })?;
        Ok(version)
    }

    /// Writes the model card of a version that has none yet. It is no part of the bundle, so that a push that was killed
    /// before it is finished by the next run.
    fn write_model_card(&self, version: u64, io: &ExecutionIo) -> anyhow::Result<()> {
        let dir = self.models_dir.join(&self.name).join(version.to_string());
        // A version that was left for another and deleted is not made again.
        if !is_same_bundle(&dir, io.input("model"))? || ModelCard::is_in(&dir)? {
            return Ok(());
        }
        let evaluation = io.optional_input("evaluation").map(|folder| read_json(&folder.join(EVALUATION_FILE)));
        let card = ModelCard {
            manifest: &ModelBundle::read_manifest(&dir)?,
            version,
            pushed_at: self.now()?,
            dataset: DatasetVersion::of(&self.data_dir),
            counts: io.optional_input("examples").map(Counts::read).transpose()?,
            training: read_json(&io.input("model").join(TRAINING_FILE))?,
            evaluation: evaluation.transpose()?.flatten(),
        };
        Ok(card.write(&dir)?)
    }

    /// To the second.
    fn now(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::from_second(self.clock.now().as_second())?)
    }
}

/// Copies a bundle to the next free version, which is visible only when it is whole. What could not be copied whole takes no
/// room: a full disk is no fuller after it.
fn copy_to_next(model: &Path, store: &Path) -> anyhow::Result<u64> {
    let version = next_version(store)?;
    let target = store.join(version.to_string());
    let partial = fs::beside(&target);
    let copied = copy_whole(model, &partial);
    if copied.is_err() {
        // The failure that matters is the first one.
        let _ = fs::remove_dir_all(&partial);
    }
    copied?;
    fs::rename(&partial, &target)?;
    Ok(version)
}

fn copy_whole(model: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(model)? {
        let name = file.file_name().context("a file in a bundle has a name")?;
        fs::copy(&file, &to.join(name))?;
    }
    ModelBundle::read(to).context("the copied bundle is not whole")?;
    Ok(())
}

/// The version of a bundle that was pushed before and is kept back for another that somebody chose.
fn kept_back(versions: &ModelVersions, model: &Path) -> Result<Option<u64>, FsError> {
    let Some((_, chosen)) = versions.chosen() else { return Ok(None) };
    if is_same_bundle(chosen, model)? { Ok(None) } else { versions.version_of_bundle(model) }
}

/// A version that was pushed and not written down, because the push was killed in between.
fn unrecorded(versions: &ModelVersions, model: &Path) -> Result<Option<u64>, FsError> {
    let newest = versions.iter().next_back().filter(|(version, _)| versions.push_of(*version).is_none());
    let Some((version, folder)) = newest else { return Ok(None) };
    Ok((is_same_bundle(folder, model)? && ModelBundle::read(folder).is_ok()).then_some(version))
}

/// What the Evaluator measured that a list of versions shows.
fn metrics(evaluation: &Path) -> anyhow::Result<BTreeMap<String, f64>> {
    let evaluation: Option<Value> = read_json(&evaluation.join(EVALUATION_FILE))?;
    let metrics = evaluation.unwrap_or_default()["metrics"].take();
    let shown = ["macro_f1", "accuracy", "examples"];
    Ok(shown.iter().filter_map(|&name| Some((name.to_owned(), metrics[name].as_f64()?))).collect())
}

/// The first file of a pushed bundle that is not the model's.
fn changed_file(dir: &Path, model: &Path, files: &mut FileStates) -> Option<OutsideChange> {
    for file in fs::read_dir(model).ok()? {
        let pushed = dir.join(file.file_name()?);
        match (files.hash_file(&pushed), files.hash_file(&file)) {
            (Ok(found), Ok(expected)) if found == expected => {}
            (Err(e), _) if e.is_not_found() => return Some(OutsideChange::Lost(pushed)),
            _ => return Some(OutsideChange::Changed(pushed)),
        }
    }
    None
}

/// Whether two folders are the same bundle: their manifests name the same files by hash.
pub(crate) fn is_same_bundle(a: &Path, b: &Path) -> Result<bool, FsError> {
    let manifest = |dir: &Path| fs::optional(fs::read(&dir.join(ModelBundle::MANIFEST)));
    Ok(matches!((manifest(a)?, manifest(b)?), (Some(a), Some(b)) if a == b))
}

#[cfg(test)]
mod tests {
    use natureddit_core::{ClassNames, ContentHash, Progress};
    use natureddit_model::metrics::{Bootstrap, Metrics, evaluate};
    use natureddit_testkit::tiny_bundle;

    use super::*;
    use crate::component::InputFolder;
    use crate::components::evaluator::Evaluation;

    fn pusher(dir: &Path) -> Pusher {
        let clock = Clock::fixed(1_800_000_000);
        Pusher { models_dir: dir.join("models"), name: "m".into(), data_dir: dir.join("data"), clock }
    }

    #[test]
    fn a_push_is_undone_by_its_loss_and_by_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let pusher = pusher(dir);
        let bundle =
            |path: &str, text: &str| fs::write_atomic(&dir.join(path).join(ModelBundle::MANIFEST), text).unwrap();
        let (model, hash) = (dir.join("model"), ContentHash::of(b"model"));
        let io = ExecutionIo {
            inputs: [("model", InputFolder { path: model, hash })].into(),
            outputs: [("pushed_model", dir.join("pushed"))].into(),
        };
        let mut files = FileStates::read(&dir.join("file_states.json"), false);
        bundle("model", "B");
        bundle("models/m/2", "B");
        write_json(&dir.join("pushed").join(PUSHED_FILE), &Pushed { name: "m".into(), version: 2 }).unwrap();
        assert_eq!(pusher.change_outside(&io, &mut files), None);
        // The other model came back as version 3: B, asked for again, is not what is served.
        bundle("models/m/3", "A");
        assert_eq!(pusher.change_outside(&io, &mut files), Some(OutsideChange::Superseded(dir.join("models/m/2"))));
        bundle("models/m/2", "C");
        assert_eq!(pusher.change_outside(&io, &mut files), Some(OutsideChange::Lost(dir.join("models/m/2"))));
    }

    #[test]
    fn a_pushed_file_that_is_gone_or_another_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let pusher = pusher(dir);
        let (model, pushed) = (dir.join("model"), dir.join("models/m/1"));
        for bundle in [&model, &pushed] {
            fs::write_atomic(&bundle.join(ModelBundle::MANIFEST), "B").unwrap();
            fs::write_atomic(&bundle.join("head"), "a head").unwrap();
        }
        let io = ExecutionIo {
            inputs: [("model", InputFolder { path: model, hash: ContentHash::of(b"model") })].into(),
            outputs: [("pushed_model", dir.join("pushed"))].into(),
        };
        write_json(&dir.join("pushed").join(PUSHED_FILE), &Pushed { name: "m".into(), version: 1 }).unwrap();
        fs::write_atomic(&pushed.join("notes"), "a file that is no part of a bundle").unwrap();
        let mut files = FileStates::read(&dir.join("file_states.json"), false);
        let mut change = || pusher.change_outside(&io, &mut files);
        assert_eq!(change(), None);
        fs::write_atomic(&pushed.join("head"), "a he").unwrap();
        assert_eq!(change(), Some(OutsideChange::Changed(pushed.join("head"))));
        fs::remove_file(&pushed.join("head")).unwrap();
        assert_eq!(change(), Some(OutsideChange::Lost(pushed.join("head"))));
    }

    /// A verdict on a model of that macro-F1.
    fn evaluation() -> Evaluation {
        let classes = ClassNames::new(["discs", "stripes", "horizon"].map(str::to_owned).to_vec()).unwrap();
        let nothing = evaluate(&[], &classes, &Bootstrap { samples: 0, confidence: 0.95, seed: 1 });
        Evaluation {
            metrics: Metrics { macro_f1: 0.75, ..nothing },
            slices: Vec::new(),
            champion: None,
            quantisation: None,
            blessed: true,
            reasons: Vec::new(),
            refused_by: Vec::new(),
        }
    }

    /// A model store and the models that a pipeline makes.
    struct Store {
        folder: tempfile::TempDir,
        pusher: Pusher,
    }

    impl Store {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { pusher: pusher(folder.path()), folder }
        }

        fn model(&self) -> PathBuf {
            self.folder.path().join("models/m")
        }

        /// The folders of a run in which the Trainer made the model of that seed.
        fn io(&self, seed: u8) -> ExecutionIo {
            let dir = self.folder.path().join(format!("run {seed}"));
            tiny_bundle(&dir.join("model"), "m", seed);
            fs::write_atomic(&dir.join("blessing/BLESSED"), "").unwrap();
            write_json(&dir.join("evaluation").join(EVALUATION_FILE), &evaluation()).unwrap();
            let inputs = ["model", "blessing", "evaluation"]
                .map(|key| (key, InputFolder { path: dir.join(key), hash: ContentHash::of(&[seed]) }));
            ExecutionIo { inputs: inputs.into(), outputs: [("pushed_model", dir.join("pushed"))].into() }
        }

        /// Runs the Pusher whatever the cache says; gives the version it names.
        fn execute(&self, io: &ExecutionIo) -> Option<u64> {
            let mut cx = ExecutionContext::new(self.pusher.spec(), Progress::silent());
            fs::remove_dir_all(io.output("pushed_model")).unwrap();
            self.pusher.execute(io, &mut cx).unwrap();
            let pushed: Option<Pushed> = read_json(&io.output("pushed_model").join(PUSHED_FILE)).unwrap();
            pushed.map(|pushed| pushed.version)
        }

        /// What would make an unchanged run push again.
        fn change(&self, io: &ExecutionIo) -> Option<OutsideChange> {
            let mut files = FileStates::read(&self.folder.path().join("file_states.json"), false);
            self.pusher.change_outside(io, &mut files)
        }

        fn default(&self) -> Option<u64> {
            ModelVersions::read(&self.model()).unwrap().default_version().map(|(version, _)| version)
        }

        fn roll_back(&self) {
            LockedModel::lock(&self.model()).unwrap().roll_back(None, None, Timestamp::UNIX_EPOCH).unwrap();
        }
    }

    #[test]
    fn a_push_is_the_default_and_written_down_with_its_figures() {
        let store = Store::new();
        assert_eq!(store.execute(&store.io(1)), Some(1));
        assert_eq!(store.execute(&store.io(2)), Some(2));
        assert_eq!((store.default(), store.change(&store.io(2))), (Some(2), None));
        assert_eq!(store.execute(&store.io(2)), Some(2), "the same model is not pushed twice");
        let versions = ModelVersions::read(&store.model()).unwrap();
        let last = versions.changes().last().unwrap();
        assert_eq!((last.version, last.before, last.at.as_second()), (2, Some(1), 1_800_000_000));
        assert_eq!((last.metrics["macro_f1"], last.metrics["examples"]), (0.75, 0.0));
        assert_eq!(versions.changes().len(), 2);
    }

    #[test]
    fn going_back_holds_until_another_model_is_pushed() {
        let store = Store::new();
        store.execute(&store.io(1));
        let second = store.io(2);
        store.execute(&second);
        store.roll_back();
        // An unchanged run, and one in which the Pusher runs for another reason.
        assert_eq!((store.default(), store.change(&second)), (Some(1), None));
        assert_eq!(store.execute(&second), Some(2));
        assert_eq!((store.default(), store.change(&second)), (Some(1), None));
        // What was left is not even missed when it is removed, or damaged.
        fs::write_atomic(&store.model().join("2/head.safetensors"), "half").unwrap();
        assert_eq!(store.change(&second), None);
        fs::remove_dir_all(&store.model().join("2")).unwrap();
        assert_eq!((store.change(&second), store.execute(&second), store.default()), (None, Some(2), Some(1)));
        // The same model as the one that was chosen is that one.
        assert_eq!(store.execute(&store.io(1)), Some(1));
        let third = store.io(3);
        assert_eq!(store.execute(&third), Some(3), "the number of what is gone is not used again");
        assert_eq!((store.default(), store.change(&third)), (Some(3), None));
    }

    #[test]
    fn a_model_that_comes_back_without_anybody_having_chosen_is_pushed_again() {
        let store = Store::new();
        let first = store.io(1);
        store.execute(&first);
        store.execute(&store.io(2));
        assert_eq!(store.change(&first), Some(OutsideChange::Superseded(store.model().join("1"))));
        assert_eq!((store.execute(&first), store.default()), (Some(3), Some(3)));
    }

    #[test]
    fn a_pushed_model_has_a_card_that_is_no_part_of_its_bundle() {
        let store = Store::new();
        let first = store.io(1);
        store.execute(&first);
        let card = store.model().join("1").join(MODEL_CARD_FILE);
        assert!(fs::read_to_string(&card).unwrap().starts_with("# Model card: m 1\n"));
        assert!(store.model().join("1").join(MODEL_CARD_PAGE).is_file());
        assert!(ModelBundle::read(&store.model().join("1")).is_ok());
        // What somebody wrote into it stays, and pushes nothing.
        fs::write_atomic(&card, "our own words").unwrap();
        assert_eq!((store.change(&first), store.execute(&first)), (None, Some(1)));
        assert_eq!(fs::read_to_string(&card).unwrap(), "our own words");
    }

    #[test]
    fn a_push_that_failed_leaves_nothing_of_its_copy() {
        let store = Store::new();
        let io = store.io(1);
        fs::write_atomic(&io.input("model").join("head.safetensors"), "half").unwrap();
        let mut cx = ExecutionContext::new(store.pusher.spec(), Progress::silent());
        let error = store.pusher.execute(&io, &mut cx).unwrap_err();
        assert_eq!(error.to_string(), "the copied bundle is not whole");
        let left = fs::read_dir(&store.model()).unwrap();
        assert!(left.iter().all(|path| !path.is_dir()), "{left:?}");
    }

    #[test]
    fn a_push_that_was_killed_before_it_was_written_down_is_finished() {
        let store = Store::new();
        store.execute(&store.io(1));
        tiny_bundle(&store.model().join("2"), "m", 2);
        assert_eq!(store.default(), Some(1));
        assert_eq!((store.execute(&store.io(2)), store.default()), (Some(2), Some(2)));
        assert!(store.model().join("2").join(MODEL_CARD_FILE).is_file());
    }

    #[test]
    fn nothing_is_pushed_that_one_of_the_validators_does_not_bless() {
        let store = Store::new();
        let dir = store.folder.path().join("infra");
        let with_infra = |file: &str| {
            let mut io = store.io(1);
            fs::remove_dir_all(&dir).unwrap();
            fs::write_atomic(&dir.join(file), "not met: nobody answers\n").unwrap();
            io.inputs.insert("infra_blessing", InputFolder { path: dir.clone(), hash: ContentHash::of(b"infra") });
            io
        };
        assert_eq!(store.execute(&with_infra("INFRA_NOT_BLESSED")), None);
        assert_eq!(store.execute(&with_infra("INFRA_BLESSED")), Some(1));
        let unblessed = store.io(2);
        fs::rename(&unblessed.input("blessing").join("BLESSED"), &unblessed.input("blessing").join("NOT_BLESSED"))
            .unwrap();
        assert_eq!(store.execute(&unblessed), None);
        assert_eq!(store.default(), Some(1));
    }
}
