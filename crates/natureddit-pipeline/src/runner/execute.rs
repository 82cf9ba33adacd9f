//! Writing down what came of a component.

use super::RunError;
use super::inputs::Task;
use super::report::{ComponentReport, Outcome, OutputReport};
use super::schedule::Run;
use super::session::Session;
use super::work::Made;
use crate::component::Port;
use crate::metadata::{ArtifactRecord, ExecutionRecord, ExecutionState, FinishedExecution};

impl Session<'_> {
    /// Writes down that an earlier execution's outputs stand.
    pub(super) fn reuse(
        &mut self,
        task: &Task<'_>,
        run: &Run,
        mut finished: FinishedExecution,
    ) -> Result<ComponentReport, RunError> {
        let known = |port: &Port| Some((port.key, ArtifactRecord::Known(finished.outputs.remove(port.key)?)));
        let outputs = task.spec.outputs.iter().filter_map(known).collect();
        let made = Made { outputs, ..Made::default() };
        self.finish(task, run, Outcome::Cached { of: finished.id }, made)
    }

    /// Writes the execution down and reports it; its outputs are there for the components after it.
    pub(super) fn finish(
        &mut self,
        task: &Task<'_>,
        run: &Run,
        outcome: Outcome,
        made: Made,
    ) -> Result<ComponentReport, RunError> {
        let id = run.id(task.spec);
        let (state, error) = match &outcome {
            Outcome::Cached { .. } => (ExecutionState::Cached, None),
            Outcome::Failed { message, .. } => (ExecutionState::Failed, Some(message.as_str())),
            _ => (ExecutionState::Complete, None),
        };
        let stored = self.metadata.record(ExecutionRecord {
            id,
            pipeline: &self.runner.pipeline,
            run: &run.name,
            run_properties: &run.properties,
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
            after: task.node.before(),
            execution: Some(id),
            duration_ms: super::milliseconds_since(task.began),
            inputs,
            outputs,
            details: made.details,
        })
    }
}
