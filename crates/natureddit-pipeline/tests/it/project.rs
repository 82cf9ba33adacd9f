//! A project folder with a graph of three small components: ExampleGen -> Trainer -> Pusher.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use natureddit_core::{Clock, Progress, fs};
use natureddit_pipeline::metadata::Metadata;
use natureddit_pipeline::runner::RunnerConfig;
use natureddit_pipeline::{
    ArtifactType, Component, ComponentSpec, ExecutionContext, ExecutionIo, External, FileStates, Graph, Input,
    MetadataLocation, Node, OutsideChange, Port, RunError, RunOptions, RunReport, Runner,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const EXAMPLE_GEN: ComponentSpec = ComponentSpec {
    id: "ExampleGen",
    version: 1,
    inputs: &[Port::new("dataset", ArtifactType::Dataset)],
    outputs: &[Port::new("examples", ArtifactType::Examples)],
};
const TRAINER: ComponentSpec = ComponentSpec {
    id: "Trainer",
    version: 1,
    inputs: &[Port::new("examples", ArtifactType::Examples), Port::optional("champion", ArtifactType::PushedModel)],
    outputs: &[Port::new("model", ArtifactType::Model), Port::new("evaluation", ArtifactType::ModelEvaluation)],
};
const TRAINER_2: ComponentSpec = ComponentSpec { version: 2, ..TRAINER };
const PUSHER: ComponentSpec = ComponentSpec {
    id: "Pusher",
    version: 1,
    inputs: &[Port::new("model", ArtifactType::Model)],
    outputs: &[Port::new("pushed_model", ArtifactType::PushedModel)],
};

/// What a test changes between runs.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) trainer_version: u32,
    pub(crate) epochs: u32,
    pub(crate) failure: Failure,
    /// A setting of the Trainer that changes nothing.
    pub(crate) note: String,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Failure {
    None,
    Error,
    Panic,
    /// Of a component whose outputs tell why.
    Refusal,
}

pub(crate) struct Project {
    dir: TempDir,
    pub(crate) settings: Settings,
    clock: Clock,
    metadata: Option<MetadataLocation>,
    runs: Arc<Mutex<Vec<&'static str>>>,
}

impl Project {
    /// A project that has a dataset and has never run.
    pub(crate) fn new() -> Self {
        let settings = Settings { trainer_version: 1, epochs: 30, failure: Failure::None, note: String::new() };
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(1_800_000_000);
        let project = Self { dir, settings, clock, metadata: None, runs: Arc::default() };
        project.write("data/posts.csv", "some posts");
        project
    }

    /// As [`Project::new`], with its metadata elsewhere.
    pub(crate) fn with_metadata(location: MetadataLocation) -> Self {
        Self { metadata: Some(location), ..Self::new() }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write_atomic(&self.path(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(&self.path(path)).unwrap()
    }

    /// Every file below a folder, relative to the project.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let files = fs::walk(&self.path(folder)).unwrap();
        files.iter().map(|path| path.strip_prefix(self.dir.path()).unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// Lets days go by.
    pub(crate) fn wait_days(&self, days: i64) {
        self.clock.advance(days * 86_400);
    }

    /// Moves the whole project to another folder.
    pub(crate) fn moved(self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["data", "pipeline", "models"] {
            fs::rename(&self.path(name), &dir.path().join(name)).unwrap();
        }
        Self { dir, ..self }
    }

    pub(crate) fn runner(&self) -> Runner {
        let config = RunnerConfig {
            pipeline: "natureddit".into(),
            project_dir: self.dir.path().to_owned(),
            pipeline_root: self.path("pipeline"),
        };
        let runner = Runner::new(config, self.clock.clone(), Progress::silent());
        match &self.metadata {
            Some(location) => runner.with_metadata(location.clone()),
            None => runner,
        }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata::open(self.runner().metadata_location()).unwrap()
    }

    pub(crate) fn graph(&self) -> Graph {
        let step =
            |spec| Step { spec, settings: self.settings.clone(), models: self.path("models"), runs: self.runs.clone() };
        let trainer = if self.settings.trainer_version == 1 { &TRAINER } else { &TRAINER_2 };
        let champion = self.path("models/champion");
        let find_champion = move |look: &mut natureddit_pipeline::graph::Resolution<'_>| {
            assert!(look.input("examples").is_some(), "channel inputs are there before external ones");
            let path = champion.clone();
            Ok(if path.exists() { Some(External { hash: look.hash_folder(&path)?, path }) } else { None })
        };
        let nodes = vec![
            Node::new(step(&PUSHER)).with("model", Input::channel("Trainer", "model")),
            Node::new(step(&EXAMPLE_GEN))
                .with("dataset", Input::files(self.path("data"), &["posts.csv", "labels.csv"])),
            Node::new(step(trainer))
                .with("examples", Input::channel("ExampleGen", "examples"))
                .with("champion", Input::resolved(find_champion)),
        ];
        Graph::new(nodes).unwrap()
    }

    pub(crate) fn try_run(&self, options: &RunOptions) -> Result<RunReport, RunError> {
        self.clock.advance(60);
        self.runner().run(&self.graph(), options, &mut |_| {})
    }

    pub(crate) fn run_with(&self, options: &RunOptions) -> RunReport {
        self.try_run(options).unwrap()
    }

    pub(crate) fn report(&self) -> RunReport {
        self.run_with(&RunOptions::default())
    }

    /// A run in which nothing fails.
    pub(crate) fn run(&self) {
        assert_eq!(self.report().failure(), None);
    }

    /// The components that ran since this was last asked.
    pub(crate) fn ran(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.runs.lock().unwrap())
    }
}

pub(crate) fn force(component: &str) -> RunOptions {
    RunOptions { force: BTreeSet::from([component.to_owned()]), ..RunOptions::default() }
}

pub(crate) fn verify() -> RunOptions {
    RunOptions { verify: true, ..RunOptions::default() }
}

/// Copies its inputs to each of its outputs, with a line of its own.
struct Step {
    spec: &'static ComponentSpec,
    settings: Settings,
    models: PathBuf,
    runs: Arc<Mutex<Vec<&'static str>>>,
}

impl Step {
    fn text(&self, io: &ExecutionIo) -> String {
        let mut text = format!("{} {}", self.spec.id, self.spec.version);
        for port in self.spec.inputs {
            if let Some(folder) = io.optional_input(port.key) {
                for path in fs::walk(folder).unwrap() {
                    text += &format!(" <{} {}>", port.key, fs::read_to_string(&path).unwrap());
                }
            }
        }
        text
    }

    fn pushed(&self) -> PathBuf {
        self.models.join("pushed")
    }
}

impl Component for Step {
    fn spec(&self) -> &'static ComponentSpec {
        self.spec
    }

    fn exec_properties(&self) -> Value {
        match (self.spec.id, self.settings.note.as_str()) {
            ("Trainer", "") => json!({ "head": { "epochs": self.settings.epochs } }),
            ("Trainer", note) => json!({ "head": { "epochs": self.settings.epochs }, "note": note }),
            _ => json!({}),
        }
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        self.runs.lock().unwrap().push(self.spec.id);
        for port in self.spec.outputs {
            assert!(fs::read_dir(io.output(port.key)).unwrap().is_empty(), "an output folder is empty at first");
            fs::write_atomic(&io.output(port.key).join("deep/text"), self.text(io))?;
        }
        match self.spec.id {
            "ExampleGen" => cx.set_property("examples", "split_names", r#"["train", "eval", "test"]"#),
            "Trainer" => {
                anyhow::ensure!(self.settings.failure != Failure::Error, "the loss is not a number");
                assert!(self.settings.failure != Failure::Panic, "the trainer panics");
                if self.settings.failure == Failure::Refusal {
                    cx.refuse(anyhow::anyhow!("nobody should use it"));
                }
                cx.set_property("evaluation", "accuracy", 0.5);
                cx.set_detail("epochs", i64::from(self.settings.epochs));
                if !self.settings.note.is_empty() {
                    cx.set_detail("large", 1_i64 << 40);
                }
            }
            _ => fs::write_atomic(&self.pushed(), "pushed")?,
        }
        Ok(())
    }

    fn change_outside(&self, _io: &ExecutionIo, _files: &mut FileStates) -> Option<OutsideChange> {
        (self.spec.id == "Pusher" && !self.pushed().exists()).then(|| OutsideChange::Lost(self.pushed()))
    }
}

/// Writes into a file in place, so that size, inode and mtime stay.
pub(crate) fn tamper_unseen(path: &Path) {
    use std::io::Write;
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(b"#").unwrap();
    file.set_modified(modified).unwrap();
}
