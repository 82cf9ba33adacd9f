//! One run, from its first component to its last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use natureddit_core::fs::{self, FsError};

use super::inputs::Task;
use super::report::{ComponentFailure, ComponentReport, Outcome, RunEvent, RunReport};
use super::{RunError, RunOptions, Runner};
use crate::cache::StaleReason;
use crate::component::OutsideChange;
use crate::file_state::FileStates;
use crate::graph::{Graph, Node};
use crate::metadata::{FinishedExecution, Metadata, StoredArtifact};

/// What is open while a run lasts.
pub(super) struct Session<'a> {
    pub(super) runner: &'a Runner,
    pub(super) metadata: Metadata,
    pub(super) states: FileStates,
    /// The run's name.
    pub(super) run: String,
    /// The outputs that later components read, by component and key.
    pub(super) available: BTreeMap<&'static str, BTreeMap<String, StoredArtifact>>,
    /// The error of the component that failed.
    pub(super) failure: Option<ComponentFailure>,
    options: &'a RunOptions,
}

impl<'a> Session<'a> {
    pub(super) fn new(runner: &'a Runner, options: &'a RunOptions, mut metadata: Metadata) -> Result<Self, RunError> {
        let states = FileStates::read(&runner.layout.file_states(), options.verify);
        // The time tells people when it was; the id makes it the only run of that name.
        let run = format!("{}-{}", runner.clock.now(), metadata.next_execution_id()?);
        Ok(Self { runner, metadata, states, run, available: BTreeMap::new(), failure: None, options })
    }

    /// Runs the selected components in order.
    pub(super) fn run(
        &mut self,
        graph: &Graph,
        selected: &BTreeSet<&'static str>,
        watch: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<RunReport, RunError> {
        let began = Instant::now();
        let mut components = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let component = node.spec().id;
            let report = if !selected.contains(component) {
                ComponentReport::without_execution(component, Outcome::NotSelected)
            } else if self.failure.is_some() {
                ComponentReport::without_execution(component, Outcome::NotReached)
            } else {
                self.run_node(node, watch)?
            };
            watch(RunEvent::Finished(&report));
            components.push(report);
        }
        let (run, duration_ms) = (self.run.clone(), super::milliseconds_since(began));
        Ok(RunReport { run, components, duration_ms, failure: self.failure.take() })
    }

    /// Writes what is to be remembered and closes the store.
    pub(super) fn close(mut self) -> Result<(), RunError> {
        self.states.write()?;
        Ok(self.metadata.close()?)
    }

    fn run_node(&mut self, node: &Node, watch: &mut dyn FnMut(RunEvent<'_>)) -> Result<ComponentReport, RunError> {
        let task = self.task(node)?;
        match self.find_cached(&task)? {
            Ok(finished) => self.reuse(&task, finished),
            Err(reason) => {
                watch(RunEvent::Started { component: task.spec.id, reason: &reason });
                self.execute(&task, reason)
            }
        }
    }

    /// An execution whose outputs can stand for the task's, or why there is none.
    fn find_cached(&mut self, task: &Task<'_>) -> Result<Result<FinishedExecution, StaleReason>, RunError> {
        if self.options.force.contains(task.spec.id) {
            return Ok(Err(StaleReason::Forced));
        }
        let mut damage = None;
        for finished in self.metadata.finished_with_key(task.cache_key)? {
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
        let Some(last) = self.metadata.last_execution(task.spec.id)? else { return Ok(StaleReason::NeverRan) };
        let difference = StaleReason::between(&last.fingerprint, &task.fingerprint);
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
