//! Pusher: a blessed model becomes the next version in the model store.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use natureddit_core::fs::{self, FsError};
use natureddit_model::{ModelBundle, next_version, sweep_partial_pushes, versions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::evaluator::is_blessed;
use super::{read_json, write_json};
use crate::artifact::ArtifactType;
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, OutsideChange, Port};
use crate::file_state::FileStates;

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
}

impl Component for Pusher {
    fn spec(&self) -> &'static ComponentSpec {
        const {
            &ComponentSpec {
                id: "Pusher",
                version: 1,
                inputs: &[Port::new("model", ArtifactType::Model), Port::new("blessing", ArtifactType::ModelBlessing)],
                outputs: &[Port::new("pushed_model", ArtifactType::PushedModel)],
            }
        }
    }

    fn exec_properties(&self) -> Value {
        json!({ "name": self.name })
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        let blessed = is_blessed(io.input("blessing"))?;
        cx.set_property("pushed_model", "pushed", blessed);
        if !blessed {
            return Ok(());
        }
        let version = self.push(io.input("model"))?;
        cx.set_property("pushed_model", "pushed_version", version.to_string());
        write_json(&io.output("pushed_model").join(PUSHED_FILE), &Pushed { name: self.name.clone(), version })
    }

    /// The model is pushed again where its version was deleted from the model store or a file of it changed, and where
    /// another model was pushed after it: the newest version is what is served.
    fn change_outside(&self, io: &ExecutionIo, files: &mut FileStates) -> Option<OutsideChange> {
        let pushed: Pushed = read_json(&io.output("pushed_model").join(PUSHED_FILE)).ok()??;
        let store = self.models_dir.join(&pushed.name);
        let dir = store.join(pushed.version.to_string());
        if !is_same_bundle(&dir, io.input("model")).unwrap_or(false) {
            return Some(OutsideChange::Lost(dir));
        }
        if let Some(change) = changed_file(&dir, io.input("model"), files) {
            return Some(change);
        }
        let newest = versions(&store).ok()?.pop_last().map(|(version, _)| version);
        (newest != Some(pushed.version)).then_some(OutsideChange::Superseded(dir))
    }
}

impl Pusher {
    /// Copies the bundle to the next free version, visible only when it is whole; the newest version is kept when it
    /// is the same bundle and none of its files is damaged. A damaged one stays beside, as a server may have it open.
    fn push(&self, model: &Path) -> anyhow::Result<u64> {
        let store = self.models_dir.join(&self.name);
        fs::create_dir_all(&store)?;
        // The pipeline's lock is held: nobody else pushes.
        sweep_partial_pushes(&store)?;
        if let Some((version, dir)) = versions(&store)?.pop_last()
            && is_same_bundle(&dir, model)?
            && ModelBundle::read(&dir).is_ok()
        {
            return Ok(version);
        }
        let version = next_version(&store)?;
        let target = store.join(version.to_string());
        let partial = fs::beside(&target);
        fs::create_dir_all(&partial)?;
        for file in fs::read_dir(model)? {
            let name = file.file_name().context("a file in a bundle has a name")?;
            fs::copy(&file, &partial.join(name))?;
        }
        ModelBundle::read(&partial).context("the copied bundle is not whole")?;
        fs::rename(&partial, &target)?;
        Ok(version)
    }
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
    use natureddit_core::ContentHash;

    use super::*;
    use crate::component::InputFolder;

    #[test]
    fn a_push_is_undone_by_its_loss_and_by_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let pusher = Pusher { models_dir: dir.join("models"), name: "m".into() };
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
        let pusher = Pusher { models_dir: dir.join("models"), name: "m".into() };
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
}
