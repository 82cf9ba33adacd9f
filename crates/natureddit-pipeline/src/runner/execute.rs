//! Running one component, and writing down what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use natureddit_core::fs;

use super::RunError;
use super::inputs::Task;
use super::report::{ComponentFailure, ComponentReport, Outcome, OutputReport};
use super::session::Session;
use crate::artifact::{ExecutionId, PropertyValue};
use crate::cache::StaleReason;
use crate::component::{ExecutionContext, Port};
use crate::metadata::{ArtifactRecord, ExecutionRecord, ExecutionState, FinishedExecution};

/// Where an output is made and where it goes.
struct OutputFolder {
    port: &'static Port,
    partial: PathBuf,
    last: PathBuf,
}

/// What an execution leaves to be written down.
#[derive(Default)]
struct Made {
    outputs: Vec<(&'static str, ArtifactRecord)>,
    details: BTreeMap<String, PropertyValue>,
}

impl Session<'_> {
    /// Writes down that an earlier execution's outputs stand.
    pub(super) fn reuse(
        &mut self,
        task: &Task<'_>,
        mut finished: FinishedExecution,
    ) -> Result<ComponentReport, RunError> {
        let id = self.metadata.next_execution_id()?;
        let known = |port: &Port| Some((port.key, ArtifactRecord::Known(finished.outputs.remove(port.key)?)));
        let outputs = task.spec.outputs.iter().filter_map(known).collect();
        let made = Made { outputs, details: BTreeMap::new() };
        self.finish(task, id, Outcome::Cached { of: finished.id }, made)
    }

    /// Runs the component. That it failed is not an error here: it is written down.
    pub(super) fn execute(&mut self, task: &Task<'_>, reason: StaleReason) -> Result<ComponentReport, RunError> {
        let mut id = self.metadata.next_execution_id()?;
        while self.runner.layout.is_taken(task.spec, id) {
            id = ExecutionId(id.0 + 1);
        }
        match self.make(task, id) {
            Ok(made) => self.finish(task, id, Outcome::Ran { reason }, made),
            Err(error) => {
                let message = format!("{error:#}");
                self.failure = Some(ComponentFailure { component: task.spec.id, source: error });
                self.finish(task, id, Outcome::Failed { reason, message }, Made::default())
            }
        }
    }

    /// Makes the outputs in their place. On failure nothing is left of them.
    fn make(&mut self, task: &Task<'_>, id: ExecutionId) -> anyhow::Result<Made> {
        let layout = &self.runner.layout;
        let component = task.spec.id;
        let folder = |port: &'static Port| OutputFolder {
            port,
            partial: layout.partial(component, port.key, id),
            last: layout.output(component, port.key, id),
        };
        let folders: Vec<OutputFolder> = task.spec.outputs.iter().map(folder).collect();
        let made = self.fill(task, &folders);
        if made.is_err() {
            for folder in &folders {
                // What cannot be removed now is swept by the next run; the failure that matters is the first one.
                let _ = fs::remove_dir_all(&folder.partial);
                let _ = fs::remove_dir_all(&folder.last);
            }
        }
        made
    }

    /// Lets the component fill temporary folders, hashes them and moves them to their place.
    fn fill(&mut self, task: &Task<'_>, folders: &[OutputFolder]) -> anyhow::Result<Made> {
        let mut io = task.io();
        for folder in folders {
            fs::create_dir_all(&folder.partial)?;
            io.outputs.insert(folder.port.key, folder.partial.clone());
        }
        let mut cx = ExecutionContext::new(task.spec, self.runner.progress.clone());
        task.node.component.execute(&io, &mut cx)?;
        let mut outputs = Vec::with_capacity(folders.len());
        for OutputFolder { port, partial, last } in folders {
            let hash = self.states.hash_folder(partial)?;
            let properties = cx.properties.remove(port.key).unwrap_or_default();
            let (artifact_type, uri) = (port.artifact_type, self.runner.layout.uri(last));
            outputs.push((port.key, ArtifactRecord::New { artifact_type, uri, hash, properties }));
        }
        for OutputFolder { port, partial, last } in folders {
            fs::rename(partial, last)?;
            self.states.folder_renamed(partial, last);
            io.outputs.insert(port.key, last.clone());
        }
        // What it made outside is looked at now, so that the next run knows these files and need not read them.
        let _ = task.node.component.change_outside(&io, &mut self.states);
        Ok(Made { outputs, details: cx.details })
    }

    /// Writes the execution down and reports it; its outputs are there for the components after it.
    fn finish(
        &mut self,
        task: &Task<'_>,
        id: ExecutionId,
        outcome: Outcome,
        made: Made,
    ) -> Result<ComponentReport, RunError> {
        let (state, error) = match &outcome {
            Outcome::Cached { .. } => (ExecutionState::Cached, None),
            Outcome::Failed { message, .. } => (ExecutionState::Failed, Some(message.as_str())),
            _ => (ExecutionState::Complete, None),
        };
        let stored = self.metadata.record(ExecutionRecord {
            id,
            pipeline: &self.runner.pipeline,
            run: &self.run,
            component: task.spec.id,
            state,
            cache_key: task.cache_key,
            fingerprint: &task.fingerprint,
            details: &made.details,
            error,
            inputs: task.inputs.iter().map(|input| (input.key, input.record.clone())).collect(),
            outputs: made.outputs,
            started: task.started,
            finished: self.runner.clock.now(),
        })?;
        let outputs = stored.iter().map(|(key, artifact)| {
            let report = OutputReport { artifact: artifact.id, uri: artifact.uri.clone(), hash: artifact.hash };
            (key.clone(), report)
        });
        let outputs = outputs.collect();
        let layout = &self.runner.layout;
        let inputs = task.inputs.iter().map(|input| (input.key, layout.uri(&input.folder.path))).collect();
        self.available.insert(task.spec.id, stored);
        Ok(ComponentReport {
            component: task.spec.id,
            outcome,
            execution: Some(id),
            duration_ms: super::milliseconds_since(task.began),
            inputs,
            outputs,
            details: made.details,
        })
    }
}
