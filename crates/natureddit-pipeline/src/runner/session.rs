//! What is open while a run or a plan lasts, and whether a component's outputs are still good.

use std::collections::BTreeMap;

use natureddit_core::fs::{self, FsError};

use super::inputs::Task;
use super::{RunError, RunOptions, Runner};
use crate::cache::StaleReason;
use crate::component::OutsideChange;
use crate::examples::KeptExamples;
use crate::file_state::FileStates;
use crate::metadata::{FinishedExecution, Metadata, StoredArtifact};

/// What is open while a run lasts.
pub(super) struct Session<'a> {
    pub(super) runner: &'a Runner,
    pub(super) metadata: Metadata,
    pub(super) states: FileStates,
    pub(super) examples: KeptExamples,
    /// The outputs that later components read, by component and key.
    pub(super) available: BTreeMap<&'static str, BTreeMap<String, StoredArtifact>>,
    options: &'a RunOptions,
}

impl<'a> Session<'a> {
    pub(super) fn new(runner: &'a Runner, options: &'a RunOptions, metadata: Metadata) -> Self {
        let states = FileStates::read(&runner.layout.file_states(), options.verify);
        let (examples, available) = (KeptExamples::default(), BTreeMap::new());
        Self { runner, metadata, states, examples, available, options }
    }

    /// Writes what is to be remembered and closes the store.
    pub(super) fn close(mut self) -> Result<(), RunError> {
        self.states.write()?;
        Ok(self.metadata.close()?)
    }

    /// Whether the user wants it to run in any case.
    pub(super) fn is_forced(&self, component: &str) -> bool {
        self.options.force.contains(component)
    }

    /// An execution whose outputs can stand for the task's, or why there is none.
    pub(super) fn find_cached(&mut self, task: &Task<'_>) -> Result<Result<FinishedExecution, StaleReason>, RunError> {
        if self.is_forced(task.spec.id) {
            return Ok(Err(StaleReason::Forced));
        }
        let mut damage = None;
        for finished in self.metadata.finished_with_key(&self.runner.node_name(task.spec.id), task.cache_key)? {
            match self.execution_damage(task, &finished)? {
                None => return Ok(Ok(finished)),
                // What is wrong with the newest one is told.
                found => damage = damage.or(found),
            }
        }
        match damage {
            Some(reason) => Ok(Err(reason)),
            None => self.difference(task).map(Err),
        }
    }

    /// What is different since the component last ran.
    fn difference(&mut self, task: &Task<'_>) -> Result<StaleReason, RunError> {
        let node = self.runner.node_name(task.spec.id);
        let Some(last) = self.metadata.last_execution(&node)? else { return Ok(StaleReason::NeverRan) };
        let difference = StaleReason::between(&last.fingerprint, &task.fingerprint);
        let difference = difference.map(|reason| reason.named(task.spec.id));
        // Where nothing differs and it did not fail, keys were made in another way then.
        let same = if last.failed { StaleReason::LastRunFailed } else { StaleReason::NeverRan };
        Ok(difference.unwrap_or(same))
    }

    /// Why the execution's outputs cannot stand, `None` when they can.
    fn execution_damage(
        &mut self,
        task: &Task<'_>,
        finished: &FinishedExecution,
    ) -> Result<Option<StaleReason>, FsError> {
        let runner = self.runner;
        let layout = &runner.layout;
        let mut io = task.io();
        for port in task.spec.outputs {
            let Some(stored) = finished.outputs.get(port.key) else {
                let uri = layout.uri(&layout.output(task.spec.id, port.key, finished.id));
                return Ok(Some(StaleReason::OutputMissing { uri }));
            };
            if let Some(reason) = self.damage(stored)? {
                return Ok(Some(reason));
            }
            io.outputs.insert(port.key, layout.path(&stored.uri));
        }
        Ok(task.node.component.change_outside(&io, &mut self.states).map(|change| match change {
            OutsideChange::Lost(path) => StaleReason::OutputMissing { uri: layout.uri(&path) },
            OutsideChange::Changed(path) => StaleReason::OutputChanged { uri: layout.uri(&path) },
            OutsideChange::Superseded(path) => StaleReason::OutputSuperseded { uri: layout.uri(&path) },
            OutsideChange::Readable(path) => StaleReason::Readable { uri: layout.uri(&path) },
            OutsideChange::Unfinished(path) => StaleReason::Unfinished { uri: layout.uri(&path) },
        }))
    }

    /// What is wrong with an output, `None` when it is as it was made.
    pub(super) fn damage(&mut self, stored: &StoredArtifact) -> Result<Option<StaleReason>, FsError> {
        let hash = fs::optional(self.states.hash_folder(&self.runner.layout.path(&stored.uri)))?;
        let uri = stored.uri.clone();
        Ok(match hash {
            None => Some(StaleReason::OutputMissing { uri }),
            Some(hash) if hash != stored.hash => Some(StaleReason::OutputChanged { uri }),
            Some(_) => None,
        })
    }
}
