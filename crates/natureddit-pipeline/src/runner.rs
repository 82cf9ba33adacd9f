//! Runs what is stale, each component after those it reads from and others beside it, and says why.
//!
//! For each component the runner makes the cache key ([`crate::cache`]) and looks for an execution that ended well with
//! the same key and whose outputs are still there, unchanged. Otherwise the component fills temporary folders beside
//! its outputs' final places; they are hashed, renamed, and written down in one transaction. So whatever is interrupted
//! leaves either nothing or a whole execution; temporary folders of a killed run are swept by the next.
//!
//! Compute is synchronous: from async code, call [`Runner::run`] on a thread of its own (`spawn_blocking`).

mod execute;
mod inputs;
mod layout;
mod plan;
mod report;
mod reuse;
mod schedule;
mod session;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use natureddit_core::fs::{FsError, Lock};
use natureddit_core::{Clock, Progress};

pub use plan::{Outlook, PlannedComponent, RunPlan};
pub use report::{ComponentFailure, ComponentReport, Outcome, OutputReport, RunEvent, RunReport};

use crate::artifact::PropertyValue;
use crate::cache::StaleReason;
use crate::graph::{Graph, ResolveError};
use crate::metadata::{Metadata, MetadataError, MetadataLocation, node_name};
use layout::Layout;
use session::Session;

/// Where a pipeline lives.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// The pipeline's name in the metadata store.
    pub pipeline: String,
    /// The project folder; URIs are relative to it, so that it can be moved.
    pub project_dir: PathBuf,
    /// The folder of all outputs and of the metadata store, normally `pipeline` in the project folder.
    pub pipeline_root: PathBuf,
}

/// What to run, and what not to believe.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Only this component, on the others' latest outputs, which must go together.
    pub only: Option<String>,
    /// This component and all that come after it, on the others' latest outputs, which must go together.
    pub from: Option<String>,
    /// Components that run even where nothing changed.
    pub force: BTreeSet<String>,
    /// Reads every file of the cached outputs again instead of trusting size, mtime and inode.
    pub verify: bool,
}

/// Why there was no run, or why it could not go on. A component that failed is not among these: the report tells of it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another process runs the same pipeline.
    #[error("another run is at work in {}", .0.display())]
    Locked(PathBuf),
    /// A component was named that is not in the graph.
    #[error("there is no component {name:?}; there are {}", known.join(", "))]
    UnknownComponent {
        /// The name given.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A component was forced that the options leave out.
    #[error("{name} is to be forced and is not selected; selected are {}", selected.join(", "))]
    ForcedNotSelected {
        /// The component that was to be forced.
        name: String,
        /// What the options select.
        selected: Vec<&'static str>,
    },
    /// A part of the pipeline was asked for, and what it reads was never made.
    #[error("{component} needs the output of {from}, which has not run yet")]
    NothingToReuse {
        /// The component that was to run.
        component: &'static str,
        /// The component whose output is missing.
        from: &'static str,
    },
    /// A part of the pipeline was asked for, and what it reads is no longer as it was made.
    #[error("{component} needs the output of {from}, and {reason}")]
    CannotReuse {
        /// The component that was to run.
        component: &'static str,
        /// The component whose output is missing or changed.
        from: &'static str,
        /// What is wrong with it.
        reason: StaleReason,
    },
    /// A part of the pipeline was asked for, and what comes before it ended badly.
    #[error("{from} comes before {component}, and failed when it last ran")]
    FailedBefore {
        /// The component that was to run.
        component: &'static str,
        /// The component that failed.
        from: &'static str,
    },
    /// A part of the pipeline was asked for, and what comes before it does not go together.
    #[error("{before} comes before {component}, and its input {key} is not what {from} made last")]
    OutOfStep {
        /// The component that was to run.
        component: &'static str,
        /// A component that is left out.
        before: &'static str,
        /// Its input.
        key: &'static str,
        /// The component whose output that is.
        from: &'static str,
    },
    /// An external input could not be looked up.
    #[error("could not look up the input {key:?} of {component}")]
    Resolve {
        /// Whose input.
        component: &'static str,
        /// The input.
        key: &'static str,
        /// Why.
        source: ResolveError,
    },
    /// A required external input is not there.
    #[error("the input {key:?} of {component} is not there")]
    InputAbsent {
        /// Whose input.
        component: &'static str,
        /// The input.
        key: &'static str,
    },
    /// The metadata store failed.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The pipeline's folder could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Runs the graphs of one pipeline folder.
#[derive(Debug)]
pub struct Runner {
    pipeline: String,
    layout: Layout,
    clock: Clock,
    progress_of: ProgressOf,
    metadata: MetadataLocation,
    run_properties: BTreeMap<&'static str, PropertyValue>,
    components_at_once_max: usize,
}

/// Where each component reports to.
#[derive(Clone)]
struct ProgressOf(Arc<dyn Fn(&'static str) -> Progress + Send + Sync>);

impl fmt::Debug for ProgressOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressOf")
    }
}

impl RunError {
    /// Whether the options make no sense for the graph: nothing was looked at yet.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownComponent { .. } | Self::ForcedNotSelected { .. })
    }
}

impl Runner {
    /// A runner of that pipeline. Components report to `progress`.
    #[must_use]
    pub fn new(config: RunnerConfig, clock: Clock, progress: Progress) -> Self {
        let layout = Layout { project_dir: config.project_dir, root: config.pipeline_root };
        let metadata = MetadataLocation::File(layout.metadata());
        let run_properties = BTreeMap::new();
        let progress_of = ProgressOf(Arc::new(move |_| progress.clone()));
        // As many as are ready.
        let components_at_once_max = usize::MAX;
        Self { pipeline: config.pipeline, layout, clock, progress_of, metadata, run_properties, components_at_once_max }
    }

    /// Keeps the metadata elsewhere than in the pipeline's folder.
    #[must_use]
    pub fn with_metadata(mut self, location: MetadataLocation) -> Self {
        self.metadata = location;
        self
    }

    /// Has each component report by itself, as several may work at the same time.
    #[must_use]
    pub fn with_progress_of(mut self, progress_of: impl Fn(&'static str) -> Progress + Send + Sync + 'static) -> Self {
        self.progress_of = ProgressOf(Arc::new(progress_of));
        self
    }

    /// Writes something down with every run: the revision of the program's settings, who asked for it.
    #[must_use]
    pub fn with_run_property(mut self, name: &'static str, value: impl Into<PropertyValue>) -> Self {
        self.run_properties.insert(name, value.into());
        self
    }

    /// Lets at most so many components run at the same time, at least one.
    #[must_use]
    pub fn with_components_at_once(mut self, max: usize) -> Self {
        self.components_at_once_max = max.max(1);
        self
    }

    /// Where the metadata store is.
    #[must_use]
    pub fn metadata_location(&self) -> MetadataLocation {
        self.metadata.clone()
    }

    /// The pipeline's name in the metadata store.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Keeps every run of the pipeline away as long as it is held.
    ///
    /// # Errors
    /// [`RunError::Locked`] while a run is at work; when the pipeline's folder cannot be written.
    pub fn lock(&self) -> Result<Lock, RunError> {
        self.layout.lock()
    }

    /// Removes the temporary folders of runs that were killed, under the lock.
    pub(crate) fn sweep(&self, graph: &Graph) -> Result<(), FsError> {
        self.layout.sweep(graph)
    }

    /// A path as it is written down.
    #[must_use]
    pub fn uri(&self, path: &Path) -> String {
        self.layout.uri(path)
    }

    /// The folders that look like outputs of the graph's components.
    pub(crate) fn numbered_outputs(&self, graph: &Graph) -> Result<Vec<PathBuf>, FsError> {
        self.layout.numbered_outputs(graph)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    fn node_name(&self, component: &str) -> String {
        node_name(&self.pipeline, component)
    }

    /// The path of an artifact's URI.
    #[must_use]
    pub fn path(&self, uri: &str) -> PathBuf {
        self.layout.path(uri)
    }

    /// Runs what is stale, telling `watch` of each component. When one fails, those that are at work end, and no other
    /// begins: see [`RunReport::failure`].
    ///
    /// # Errors
    /// See [`RunError`]; what was finished before stays finished.
    pub fn run(
        &self,
        graph: &Graph,
        options: &RunOptions,
        watch: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<RunReport, RunError> {
        let selected = selected(graph, options)?;
        // Held until the end; the system lets go of it even when the process is killed.
        let _lock = self.layout.lock()?;
        self.layout.sweep(graph)?;
        let metadata = Metadata::open_or_create(self.metadata.clone())?;
        let mut session = Session::new(self, options, metadata);
        let report = session.run(graph, &selected, watch);
        // Closed even after an error, so that what was finished is kept; the first error is the one that is told.
        let closed = session.close();
        let report = report?;
        closed?;
        // A server that a killed run had started may have written into a folder that was swept, before it ended too.
        self.layout.sweep(graph)?;
        Ok(report)
    }

    /// What [`Runner::run`] would do with these options, as far as it can be known. Nothing is written.
    ///
    /// # Errors
    /// As [`Runner::run`], but for the lock: a run that is at work may change what is told here.
    pub fn plan(&self, graph: &Graph, options: &RunOptions) -> Result<RunPlan, RunError> {
        let selected = selected(graph, options)?;
        let metadata = match Metadata::open(self.metadata.clone()) {
            Err(MetadataError::Absent(_)) => Metadata::in_memory()?,
            opened => opened?,
        };
        Session::new(self, options, metadata).plan(graph, &selected)
    }
}

/// The components the options ask for.
fn selected(graph: &Graph, options: &RunOptions) -> Result<BTreeSet<&'static str>, RunError> {
    let known: Vec<&'static str> = graph.specs().map(|spec| spec.id).collect();
    let find = |name: &String| {
        let unknown = || RunError::UnknownComponent { name: name.clone(), known: known.clone() };
        known.iter().copied().find(|id| id == name).ok_or_else(unknown)
    };
    options.force.iter().try_for_each(|name| find(name).map(|_| ()))?;
    let mut selected: BTreeSet<&'static str> = known.iter().copied().collect();
    if let Some(name) = &options.from {
        let downstream = graph.downstream(find(name)?);
        selected.retain(|id| downstream.contains(id));
    }
    if let Some(name) = &options.only {
        let only = find(name)?;
        selected.retain(|&id| id == only);
    }
    match options.force.iter().find(|name| !selected.contains(name.as_str())) {
        Some(name) => {
            let selected = known.into_iter().filter(|id| selected.contains(id)).collect();
            Err(RunError::ForcedNotSelected { name: name.clone(), selected })
        }
        None => Ok(selected),
    }
}

fn milliseconds_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
