//! Garbage collection: which outputs of components may go, and what must go when a post is forgotten.
//!
//! | kept | why |
//! |---|---|
//! | the newest outputs of every component | the next run finds them in its cache |
//! | what an execution made or found in the cache within the limit | settings are tried back and forth |
//! | a pushed model whose version is still in the model store, and a blessed model | it is served, or could be |
//! | what those were made from, at any distance, but the features (`TransformedExamples`) | so that it can be told which posts a served model has learnt from, and why it was blessed |
//!
//! The features are by far the largest, and are made again from the embedding cache without an encoder; their content is the
//! same then, so that nothing after them runs again. Folders with a number that no artifact has, left by runs that were
//! killed, go when they are older than the limit.
//!
//! Folders are removed first and marked DELETED in the store then: who is interrupted leaves an output that is missing,
//! which the next run makes again if it needs it. What was removed keeps its place in every lineage.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use natureddit_core::PostId;
use natureddit_core::fs::{self, FsError, Lock};
use serde::Serialize;

use crate::artifact::{ArtifactId, ArtifactType, PropertyValue};
use crate::components::pusher::{PUSHED_FILE, Pushed};
use crate::components::read_json;
use crate::examples::read_split;
use crate::graph::Graph;
use crate::metadata::{KnownArtifact, Metadata, MetadataError};
use crate::runner::{RunError, Runner};
use crate::split::Split;

/// What garbage collection is to do.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// Outputs that were used since so long are kept.
    pub keep: Duration,
    /// The model store; models whose versions are in it are kept.
    pub models_dir: PathBuf,
    /// Only tell what would go.
    pub dry_run: bool,
}

/// What garbage collection did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The outputs that went, in the order of their ids.
    pub removed: Vec<RemovedOutput>,
    /// Folders that no artifact had.
    pub orphans: Vec<String>,
    /// How many outputs stay.
    pub kept: usize,
    /// The size of the files that went.
    pub bytes: u64,
}

/// An output that went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovedOutput {
    /// Its artifact.
    pub artifact: ArtifactId,
    /// `Model`.
    pub type_name: String,
    /// Its folder, relative to the project folder.
    pub uri: String,
    /// The size of its files.
    pub bytes: u64,
}

/// Types whose artifacts hold nothing of single posts.
const FREE_OF_POSTS: [ArtifactType; 5] = [
    ArtifactType::HyperParameters,
    ArtifactType::Model,
    ArtifactType::ModelBlessing,
    ArtifactType::InfraBlessing,
    ArtifactType::PushedModel,
];

impl Runner {
    /// Removes outputs that nothing needs: see the module's table.
    ///
    /// # Errors
    /// [`RunError::Locked`] while a run is at work; when the store or a folder cannot be read or written.
    pub fn collect(&self, graph: &Graph, options: &CollectOptions) -> Result<Collected, RunError> {
        let _lock = self.lock()?;
        let mut metadata = match Metadata::open(self.metadata_location()) {
            Err(MetadataError::Absent(_)) => return Ok(Collected::default()),
            opened if options.dry_run => opened?,
            opened => {
                opened?.close()?;
                Metadata::open_or_create(self.metadata_location())?
            }
        };
        let artifacts = metadata.live_outputs(self.pipeline())?;
        let kept = self.kept(&artifacts, options);
        let gone = artifacts.iter().filter(|artifact| !kept.contains(&artifact.id));
        let mut collected = self.remove(&mut metadata, gone, options.dry_run)?;
        collected.kept = kept.len();
        // Those of a pipeline that had another name are known, too.
        let known = metadata.live_uris()?;
        self.remove_orphans(graph, &known, self.limit(options), options.dry_run, &mut collected)?;
        metadata.close()?;
        Ok(collected)
    }

    /// Removes every output that holds something of these posts, and all that runs left behind that were killed; the next
    /// run makes it anew without them. What a model's weights have learnt from a post stays until a model is trained
    /// without it, which the next run does. Messages of failures may name posts and authors, so that they go as well.
    ///
    /// `_held` is what [`Runner::lock`] gave: no run may make anew what is forgotten.
    ///
    /// # Errors
    /// When the store or a folder cannot be read or written.
    pub fn forget(&self, graph: &Graph, posts: &BTreeSet<PostId>, _held: &Lock) -> Result<Collected, RunError> {
        let mut metadata = Metadata::open_or_create(self.metadata_location())?;
        metadata.forget_messages()?;
        let artifacts = metadata.live_outputs(self.pipeline())?;
        let holding: BTreeSet<ArtifactId> =
            artifacts.iter().filter(|artifact| self.holds(artifact, posts)).map(|artifact| artifact.id).collect();
        let touched = with_descendants(&artifacts, holding);
        let is_free = |artifact: &KnownArtifact| FREE_OF_POSTS.iter().any(|free| free.name() == artifact.type_name);
        let gone = artifacts.iter().filter(|artifact| touched.contains(&artifact.id) && !is_free(artifact));
        let mut collected = self.remove(&mut metadata, gone, false)?;
        collected.kept = artifacts.len() - collected.removed.len();
        let known = metadata.live_uris()?;
        metadata.close()?;
        // Nobody knows what is in those.
        self.sweep(graph)?;
        self.remove_orphans(graph, &known, i64::MAX, false, &mut collected)?;
        Ok(collected)
    }

    /// Whether an output names one of the posts itself. Predictions are about all posts; examples that cannot be read
    /// may be about any.
    fn holds(&self, artifact: &KnownArtifact, posts: &BTreeSet<PostId>) -> bool {
        if artifact.type_name == ArtifactType::InferenceResult.name() {
            return true;
        }
        let folder = self.path(&artifact.uri);
        artifact.type_name == ArtifactType::Examples.name()
            && Split::ALL.into_iter().any(|split| {
                read_split(&folder, split)
                    .map_or(true, |examples| examples.iter().any(|example| posts.contains(&example.id)))
            })
    }

    fn kept(&self, artifacts: &[KnownArtifact], options: &CollectOptions) -> BTreeSet<ArtifactId> {
        let limit = self.limit(options);
        let mut newest: BTreeMap<&Path, (i64, ArtifactId)> = BTreeMap::new();
        for artifact in artifacts {
            // An older output is the newest one when it was found in the cache since.
            let used = (artifact.used_ms, artifact.id);
            if let Some(port) = Path::new(&artifact.uri).parent() {
                newest.entry(port).and_modify(|last| *last = used.max(*last)).or_insert(used);
            }
        }
        let served = artifacts.iter().filter(|artifact| self.is_served(artifact, &options.models_dir));
        let served = with_ancestors(artifacts, served.map(|artifact| artifact.id).collect());
        let is_large = |artifact: &KnownArtifact| artifact.type_name == ArtifactType::TransformedExamples.name();
        let needed = artifacts.iter().filter(|artifact| {
            artifact.used_ms >= limit
                || newest.values().any(|&(_, id)| id == artifact.id)
                || (served.contains(&artifact.id) && !is_large(artifact))
        });
        needed.map(|artifact| artifact.id).collect()
    }

    /// Whether it is a pushed model whose version is still in the model store, or says that a model is blessed.
    fn is_served(&self, artifact: &KnownArtifact, models_dir: &Path) -> bool {
        if artifact.type_name == ArtifactType::ModelBlessing.name() {
            return artifact.properties.get("blessed") == Some(&PropertyValue::Int(1));
        }
        if artifact.type_name != ArtifactType::PushedModel.name() {
            return false;
        }
        // What cannot be read is kept.
        let pushed: Option<Pushed> = match read_json(&self.path(&artifact.uri).join(PUSHED_FILE)) {
            Ok(pushed) => pushed,
            Err(_) => return true,
        };
        pushed.is_some_and(|pushed| models_dir.join(&pushed.name).join(pushed.version.to_string()).exists())
    }

    /// Removes outputs that are on this machine. Those of a shared store that are not were made by another machine; those
    /// of a store of our own are gone already, and that is written down.
    fn remove<'a>(
        &self,
        metadata: &mut Metadata,
        artifacts: impl Iterator<Item = &'a KnownArtifact>,
        dry_run: bool,
    ) -> Result<Collected, RunError> {
        let is_own = self.metadata_location().file().is_some();
        let (mut collected, mut marked) = (Collected::default(), Vec::new());
        for artifact in artifacts {
            let folder = self.path(&artifact.uri);
            let is_here = folder.exists();
            if !is_here && !is_own {
                continue;
            }
            if is_here {
                let bytes = size_of(&folder)?;
                if !dry_run {
                    fs::remove_dir_all(&folder)?;
                }
                let (type_name, uri) = (artifact.type_name.clone(), artifact.uri.clone());
                collected.removed.push(RemovedOutput { artifact: artifact.id, type_name, uri, bytes });
                collected.bytes += bytes;
            }
            marked.push(artifact.id);
        }
        if !dry_run && !marked.is_empty() {
            metadata.mark_deleted(&marked, self.now_ms())?;
        }
        Ok(collected)
    }

    /// What was used since this moment is kept, in milliseconds since the epoch.
    fn limit(&self, options: &CollectOptions) -> i64 {
        self.now_ms().saturating_sub(i64::try_from(options.keep.as_millis()).unwrap_or(i64::MAX))
    }

    /// Removes folders of outputs that the store does not know and that are older than the limit.
    fn remove_orphans(
        &self,
        graph: &Graph,
        known: &[String],
        limit: i64,
        dry_run: bool,
        collected: &mut Collected,
    ) -> Result<(), RunError> {
        let known: BTreeSet<PathBuf> = known.iter().map(|uri| self.path(uri)).collect();
        for folder in self.numbered_outputs(graph)? {
            let modified = fs::metadata(&folder)?.modified().map_err(|e| FsError::new("inspect", &folder, e))?;
            // A time that cannot be told is taken for new.
            let modified = jiff::Timestamp::try_from(modified).map_or(i64::MAX - 1, jiff::Timestamp::as_millisecond);
            if known.contains(&folder) || modified >= limit {
                continue;
            }
            collected.bytes += size_of(&folder)?;
            collected.orphans.push(self.uri(&folder));
            if !dry_run {
                fs::remove_dir_all(&folder)?;
            }
        }
        Ok(())
    }
}

/// The size of all files below a folder.
fn size_of(folder: &Path) -> Result<u64, FsError> {
    fs::walk(folder)?.iter().try_fold(0, |bytes, file| Ok(bytes + fs::metadata(file)?.len()))
}

/// Artifacts, and all that they were made from.
fn with_ancestors(artifacts: &[KnownArtifact], mut found: BTreeSet<ArtifactId>) -> BTreeSet<ArtifactId> {
    // What something was made from has a smaller id, so that one pass from the last meets all.
    for artifact in artifacts.iter().rev() {
        if found.contains(&artifact.id) {
            found.extend(&artifact.made_from);
        }
    }
    found
}

/// Artifacts, and all that was made from them.
fn with_descendants(artifacts: &[KnownArtifact], mut found: BTreeSet<ArtifactId>) -> BTreeSet<ArtifactId> {
    for artifact in artifacts {
        if !artifact.made_from.is_disjoint(&found) {
            found.insert(artifact.id);
        }
    }
    found
}
