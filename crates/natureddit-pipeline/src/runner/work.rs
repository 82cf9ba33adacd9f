//! Running one component, on whatever thread: it touches folders and nothing of the store.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use anyhow::anyhow;
use natureddit_core::{Progress, fs};

use super::inputs::Task;
use super::layout::Layout;
use super::session::Session;
use crate::artifact::{ExecutionId, PropertyValue};
use crate::component::{Component, ComponentSpec, ExecutionContext, ExecutionIo, Port};
use crate::examples::KeptExamples;
use crate::file_state::FileStates;
use crate::metadata::ArtifactRecord;

/// Where an output is made and where it goes.
struct OutputFolder {
    port: &'static Port,
    partial: PathBuf,
    last: PathBuf,
}

/// What an execution leaves to be written down.
#[derive(Default)]
pub(super) struct Made {
    pub(super) outputs: Vec<(&'static str, ArtifactRecord)>,
    pub(super) details: BTreeMap<String, PropertyValue>,
    /// Why the run must not go on, of a component that made its outputs.
    pub(super) refusal: Option<anyhow::Error>,
}

/// A component that is done, well or not.
pub(super) struct Done {
    /// Its place in the graph.
    pub(super) at: usize,
    pub(super) made: anyhow::Result<Made>,
    /// What is known of the files it made.
    pub(super) states: FileStates,
}

/// A component about to run: all it needs, away from the session.
pub(super) struct Work {
    spec: &'static ComponentSpec,
    io: ExecutionIo,
    folders: Vec<OutputFolder>,
    layout: Layout,
    progress: Progress,
    states: FileStates,
    examples: KeptExamples,
}

impl Work {
    pub(super) fn new(session: &Session<'_>, task: &Task<'_>, id: ExecutionId) -> Self {
        let (layout, spec) = (session.runner.layout.clone(), task.spec);
        let folder = |port: &'static Port| OutputFolder {
            port,
            partial: layout.partial(spec.id, port.key, id),
            last: layout.output(spec.id, port.key, id),
        };
        let folders = spec.outputs.iter().map(folder).collect();
        let progress = (session.runner.progress_of.0)(spec.id);
        let (states, examples) = (session.states.fork(), session.examples.clone());
        Self { spec, io: task.io(), folders, layout, progress, states, examples }
    }

    pub(super) fn into_states(self) -> FileStates {
        self.states
    }

    /// Makes the outputs in their place. On failure, or a panic, nothing is left of them.
    pub(super) fn run(&mut self, component: &dyn Component) -> anyhow::Result<Made> {
        let made = catch_unwind(AssertUnwindSafe(|| self.fill(component)));
        let made = made.unwrap_or_else(|panic| Err(anyhow!("it panicked: {}", panic_text(panic.as_ref()))));
        if made.is_err() {
            // A step that was under way is over.
            self.progress.finish();
            for folder in &self.folders {
                // What cannot be removed now is swept by the next run; the failure that matters is the first one.
                let _ = fs::remove_dir_all(&folder.partial);
                let _ = fs::remove_dir_all(&folder.last);
            }
        }
        made
    }

    /// Lets the component fill temporary folders, hashes them and moves them to their place.
    fn fill(&mut self, component: &dyn Component) -> anyhow::Result<Made> {
        for folder in &self.folders {
            fs::create_dir_all(&folder.partial)?;
            self.io.outputs.insert(folder.port.key, folder.partial.clone());
        }
        let mut cx = ExecutionContext::new(self.spec, self.progress.clone());
        cx.files = self.states.fork();
        cx.examples = self.examples.clone();
        component.execute(&self.io, &mut cx)?;
        self.states.absorb(cx.files);
        let mut outputs = Vec::with_capacity(self.folders.len());
        for OutputFolder { port, partial, last } in &self.folders {
            let hash = self.states.hash_folder(partial)?;
            let properties = cx.properties.remove(port.key).unwrap_or_default();
            let (artifact_type, uri) = (port.artifact_type, self.layout.uri(last));
            outputs.push((port.key, ArtifactRecord::New { artifact_type, uri, hash, properties }));
        }
        for OutputFolder { port, partial, last } in &self.folders {
            fs::rename(partial, last)?;
            self.states.folder_renamed(partial, last);
            self.io.outputs.insert(port.key, last.clone());
        }
        // What it made outside is looked at now, so that the next run knows these files and need not read them.
        let _ = component.change_outside(&self.io, &mut self.states);
        Ok(Made { outputs, details: cx.details, refusal: cx.refusal })
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
