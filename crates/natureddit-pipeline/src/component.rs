//! A step of the pipeline: what it takes and makes, and how it is run.
//!
//! A component knows folders, not the store: its inputs are folders it reads, its outputs are empty folders it fills.
//! ```text
//! impl Component for Trainer {
//!     fn spec(&self) -> &'static ComponentSpec {
//!         const { &ComponentSpec {
//!             id: "Trainer",
//!             version: 1,
//!             inputs: &[Port::new("examples", ArtifactType::TransformedExamples)],
//!             outputs: &[Port::new("model", ArtifactType::Model)],
//!         } }
//!     }
//!     fn exec_properties(&self) -> Value { json!({ "epochs": self.epochs }) }
//!     fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
//!         let train = read_split(io.input("examples"), Split::Train)?;
//!         ...
//!         write_atomic(&io.output("model").join("head.bin"), head)?;
//!         cx.set_property("model", "parameters", count);
//!         Ok(())
//!     }
//! }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use natureddit_core::{ContentHash, Progress};
use serde_json::Value;

use crate::artifact::{ArtifactType, PropertyValue};
use crate::examples::KeptExamples;
use crate::file_state::FileStates;

/// What a component is: constant, one a type.
#[derive(Clone, Copy, Debug)]
pub struct ComponentSpec {
    /// The component's name, TFX's where there is one: `Trainer`. Also its folder's name.
    pub id: &'static str,
    /// Raised when the same inputs would give other outputs than before: it is part of the cache key.
    pub version: u32,
    /// What it takes.
    pub inputs: &'static [Port],
    /// What it makes; each is a folder.
    pub outputs: &'static [Port],
}

/// One named input or output.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Its name: `examples`, `model`.
    pub key: &'static str,
    /// What flows through it.
    pub artifact_type: ArtifactType,
    /// Whether an input may be absent.
    pub optional: bool,
}

impl Port {
    /// A port that is always filled.
    #[must_use]
    pub const fn new(key: &'static str, artifact_type: ArtifactType) -> Self {
        Self { key, artifact_type, optional: false }
    }

    /// An input that may be absent, as the pushed model is before the first push.
    #[must_use]
    pub const fn optional(key: &'static str, artifact_type: ArtifactType) -> Self {
        Self { key, artifact_type, optional: true }
    }
}

/// A step of the pipeline.
pub trait Component: Send + Sync {
    /// What it is.
    fn spec(&self) -> &'static ComponentSpec;

    /// All that changes the outputs besides the inputs: settings, as JSON. No paths, no times, no thread counts.
    fn exec_properties(&self) -> Value;

    /// Fills the output folders from the input folders.
    ///
    /// # Errors
    /// Whatever went wrong; the run then records it, and the half-made outputs are removed.
    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()>;

    /// What changed outside of inputs and outputs since an earlier execution with these folders, so that the component
    /// must run again. Most components make and read nothing there.
    /// `files` knows the hashes of files that have not been touched since they were read.
    fn change_outside(&self, _io: &ExecutionIo, _files: &mut FileStates) -> Option<OutsideChange> {
        None
    }
}

/// A change that no input or output shows: see [`Component::change_outside`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideChange {
    /// What the execution made there is gone or another.
    Lost(PathBuf),
    /// What the execution made there is not as it was made.
    Changed(PathBuf),
    /// What the execution made there is no longer the newest of its kind.
    Superseded(PathBuf),
    /// What the execution could not read, and so did without, can be read now.
    Readable(PathBuf),
    /// What the execution made was stopped before its time, and can go on.
    Unfinished(PathBuf),
}

/// The folders of one execution.
#[derive(Clone, Debug)]
pub struct ExecutionIo {
    pub(crate) inputs: BTreeMap<&'static str, InputFolder>,
    pub(crate) outputs: BTreeMap<&'static str, PathBuf>,
}

/// An input as a component or a resolver sees it.
#[derive(Clone, Debug)]
pub(crate) struct InputFolder {
    pub(crate) path: PathBuf,
    pub(crate) hash: ContentHash,
}

impl ExecutionIo {
    /// The folder (or file) of a required input.
    ///
    /// # Panics
    /// When the spec declares no such required input.
    #[must_use]
    pub fn input(&self, key: &str) -> &Path {
        match self.optional_input(key) {
            Some(path) => path,
            None => panic!("the component declares no required input {key:?}"),
        }
    }

    /// The folder (or file) of an input, `None` where it is absent.
    #[must_use]
    pub fn optional_input(&self, key: &str) -> Option<&Path> {
        self.inputs.get(key).map(|input| input.path.as_path())
    }

    /// The content hash of an input, for what a model says of its origin; `None` where the input is absent.
    #[must_use]
    pub fn input_hash(&self, key: &str) -> Option<ContentHash> {
        self.inputs.get(key).map(|input| input.hash)
    }

    /// The empty folder of an output. It is moved to its final place when the component is done, so its path must not
    /// be written into it.
    ///
    /// # Panics
    /// When the spec declares no such output.
    #[must_use]
    pub fn output(&self, key: &str) -> &Path {
        match self.outputs.get(key) {
            Some(path) => path,
            None => panic!("the component declares no output {key:?}"),
        }
    }
}

/// What a component may use and tell while it runs.
#[derive(Debug)]
pub struct ExecutionContext {
    /// Where long work reports.
    pub progress: Progress,
    /// The hashes of files that have not been touched since they were read.
    pub(crate) files: FileStates,
    /// The examples that this run has written or read.
    pub(crate) examples: KeptExamples,
    pub(crate) outputs: &'static [Port],
    pub(crate) properties: BTreeMap<&'static str, BTreeMap<String, PropertyValue>>,
    pub(crate) details: BTreeMap<String, PropertyValue>,
    pub(crate) refusal: Option<anyhow::Error>,
}

impl ExecutionContext {
    pub(crate) fn new(spec: &ComponentSpec, progress: Progress) -> Self {
        let (files, examples) = (FileStates::empty(), KeptExamples::default());
        let (properties, details) = (BTreeMap::new(), BTreeMap::new());
        Self { progress, files, examples, outputs: spec.outputs, properties, details, refusal: None }
    }

    /// Sets a property of the artifact made at `output`: `blessed`, `span`, `accuracy`.
    ///
    /// # Panics
    /// When the spec declares no such output, or the name is one the runner writes itself.
    pub fn set_property(&mut self, output: &str, name: &str, value: impl Into<PropertyValue>) {
        let Some(port) = self.outputs.iter().find(|port| port.key == output) else {
            panic!("the component declares no output {output:?}");
        };
        assert_not_reserved(name);
        self.properties.entry(port.key).or_default().insert(name.to_owned(), value.into());
    }

    /// Stops the run although the outputs are whole: they tell why, and are kept. The component has failed for all others.
    pub fn refuse(&mut self, why: impl Into<anyhow::Error>) {
        self.refusal = Some(why.into());
    }

    /// Sets a property of the execution itself, shown in the run's report: `photos_embedded`.
    ///
    /// # Panics
    /// When the name is one the runner writes itself.
    pub fn set_detail(&mut self, name: &str, value: impl Into<PropertyValue>) {
        assert_not_reserved(name);
        self.details.insert(name.to_owned(), value.into());
    }
}

fn assert_not_reserved(name: &str) {
    assert!(!crate::metadata::RESERVED_PROPERTIES.contains(&name), "the property {name:?} is the runner's own");
}
