//! One run, from its first component to its last: what is ready begins, side by side where nothing orders it.
//!
//! The thread that called is the only one that asks the store and tells the watcher; each component that is stale runs on
//! a thread of its own and sends back what it made. Ids are given before the first one begins, so that they depend on the
//! graph and not on who is quicker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope};
use std::time::Instant;

use natureddit_core::fs::FsError;

use super::inputs::Task;
use super::report::{ComponentFailure, ComponentReport, Outcome, RunEvent, RunReport};
use super::session::Session;
use super::work::{Done, Made, Work};
use super::{RunError, milliseconds_since};
use crate::artifact::{ExecutionId, PropertyValue};
use crate::cache::StaleReason;
use crate::component::ComponentSpec;
use crate::graph::{Graph, Node};

/// As much as a program's first thread has: encoders and trainers recurse.
const STACK_BYTES: usize = 8 << 20;

/// What one run is called, and the ids of its executions.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) properties: BTreeMap<String, PropertyValue>,
    ids: BTreeMap<&'static str, ExecutionId>,
}

impl Run {
    /// The id of a selected component's execution.
    pub(super) fn id(&self, spec: &ComponentSpec) -> ExecutionId {
        // Every selected component was given one.
        self.ids.get(spec.id).copied().unwrap_or(ExecutionId(0))
    }
}

/// How far each component is.
struct Board<'g> {
    graph: &'g Graph,
    run: Run,
    running: BTreeMap<usize, Running<'g>>,
    over: BTreeMap<usize, ComponentReport>,
    /// Those that others need not wait for any more.
    settled: BTreeSet<&'static str>,
    failure: Option<ComponentFailure>,
}

/// A component on a thread of its own.
struct Running<'g> {
    task: Task<'g>,
    reason: StaleReason,
}

impl<'g> Board<'g> {
    /// The first component, from a place on, that can begin.
    fn ready(&self, from: usize) -> Option<(usize, &'g Node)> {
        let is_ready = |&(at, node): &(usize, &Node)| {
            !self.over.contains_key(&at) && !self.running.contains_key(&at) && node.before().is_subset(&self.settled)
        };
        self.graph.nodes.iter().enumerate().skip(from).find(is_ready)
    }

    fn is_over(&mut self, at: usize, report: ComponentReport, watch: &mut dyn FnMut(RunEvent<'_>)) {
        watch(RunEvent::Finished(&report));
        if !matches!(report.outcome, Outcome::Failed { .. } | Outcome::NotReached) {
            self.settled.insert(report.component);
        }
        self.over.insert(at, report);
    }
}

impl Session<'_> {
    /// Runs the selected components.
    pub(super) fn run(
        &mut self,
        graph: &Graph,
        selected: &BTreeSet<&'static str>,
        watch: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<RunReport, RunError> {
        let began = Instant::now();
        self.check_left_out(graph, selected)?;
        let run = self.begin(graph, selected)?;
        let (running, over, settled) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut board = Board { graph, run, running, over, settled, failure: None };
        for (at, node) in graph.nodes.iter().enumerate() {
            if !selected.contains(node.spec().id) {
                board.is_over(at, ComponentReport::without_execution(node, Outcome::NotSelected), watch);
            }
        }
        thread::scope(|scope| self.run_selected(scope, &mut board, watch))?;
        for (at, node) in graph.nodes.iter().enumerate() {
            if !board.over.contains_key(&at) {
                board.is_over(at, ComponentReport::without_execution(node, Outcome::NotReached), watch);
            }
        }
        let Board { run, over, failure, .. } = board;
        let components = over.into_values().collect();
        Ok(RunReport { run: run.name, components, duration_ms: milliseconds_since(began), failure })
    }

    /// Names the run and takes the ids of its executions.
    fn begin(&mut self, graph: &Graph, selected: &BTreeSet<&'static str>) -> Result<Run, RunError> {
        let runner = self.runner;
        let components: Vec<_> = graph.specs().map(|spec| spec.id).filter(|id| selected.contains(id)).collect();
        // A folder may have the next number, of a run that was killed before it could write it down.
        let least = runner.layout.first_free_id(graph)?;
        let ids = self.metadata.reserve_execution_ids(components.len(), least)?;
        let first = ids.first().copied().unwrap_or(least);
        // The time tells people when it was; the id makes it the only run of that name.
        let name = format!("{}-{first}", runner.clock.now());
        let properties =
            runner.run_properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(Run { name, properties, ids: components.into_iter().zip(ids).collect() })
    }

    /// Until nothing runs and nothing can begin.
    fn run_selected<'s, 'g: 's>(
        &mut self,
        scope: &'s Scope<'s, 'g>,
        board: &mut Board<'g>,
        watch: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<(), RunError> {
        let (sender, receiver): (Sender<Done>, Receiver<Done>) = mpsc::channel();
        let mut error = None;
        loop {
            if error.is_none() && board.failure.is_none() {
                error = self.begin_ready(scope, &sender, board, watch).err();
            }
            if board.running.is_empty() {
                return error.map_or(Ok(()), Err);
            }
            // A sender is kept here, so that the channel stays open.
            let Ok(done) = receiver.recv() else { return error.map_or(Ok(()), Err) };
            if let Err(e) = self.settle(done, board, watch) {
                error.get_or_insert(e);
            }
        }
    }

    /// Begins all that is ready, and settles what is in the cache.
    fn begin_ready<'s, 'g: 's>(
        &mut self,
        scope: &'s Scope<'s, 'g>,
        sender: &Sender<Done>,
        board: &mut Board<'g>,
        watch: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<(), RunError> {
        // A component comes after those it waits for, so that one pass meets all that the cache settles.
        let mut from = 0;
        while board.running.len() < self.runner.components_at_once_max
            && let Some((at, node)) = board.ready(from)
        {
            from = at + 1;
            let task = self.task(node)?;
            match self.find_cached(&task)? {
                Ok(finished) => {
                    let report = self.reuse(&task, &board.run, finished)?;
                    board.is_over(at, report, watch);
                }
                Err(reason) => {
                    watch(RunEvent::Started { component: task.spec.id, reason: &reason });
                    self.spawn(scope, sender, at, &task, board.run.id(task.spec))?;
                    board.running.insert(at, Running { task, reason });
                }
            }
        }
        Ok(())
    }

    fn spawn<'s, 'g: 's>(
        &self,
        scope: &'s Scope<'s, 'g>,
        sender: &Sender<Done>,
        at: usize,
        task: &Task<'g>,
        id: ExecutionId,
    ) -> Result<(), RunError> {
        let mut work = Work::new(self, task, id);
        let (component, sender) = (task.node.component.as_ref(), sender.clone());
        let name = task.spec.id.to_owned();
        let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn_scoped(scope, move || {
            let made = work.run(component);
            // Nobody listens where the run ended with a panic.
            let _ = sender.send(Done { at, made, states: work.into_states() });
        });
        let root = &self.runner.layout.root;
        thread.map(|_| ()).map_err(|e| FsError::new("start a thread for", &root.join(task.spec.id), e).into())
    }

    /// Writes down what a component made, or that it failed.
    fn settle(
        &mut self,
        done: Done,
        board: &mut Board<'_>,
        watch: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<(), RunError> {
        let Some(Running { task, reason }) = board.running.remove(&done.at) else { return Ok(()) };
        self.states.absorb(done.states);
        let (error, made) = match done.made {
            Ok(mut made) => (made.refusal.take(), made),
            Err(error) => (Some(error), Made::default()),
        };
        let report = match error {
            None => self.finish(&task, &board.run, Outcome::Ran { reason }, made)?,
            Some(error) => {
                let message = format!("{error:#}");
                // Of several failures the first one is the one that is told as the run's.
                board.failure.get_or_insert(ComponentFailure { component: task.spec.id, source: error });
                let failed = Outcome::Failed { reason, message: message.clone() };
                // What went wrong with the store is told as the run's error; this must not be lost beside it.
                self.finish(&task, &board.run, failed, made)
                    .inspect_err(|_| tracing::error!("{} failed: {message}", task.spec.id))?
            }
        };
        board.is_over(done.at, report, watch);
        Ok(())
    }
}
