//! Watches a run and tells of it when it is over, whichever way.
//!
//! Nothing is written of a run in which nothing was stale, unless a run before it was killed: what that one had made and
//! could not tell of is told of with the next.

use std::collections::BTreeMap;

use natureddit_core::Clock;
use natureddit_core::fs::Lock;
use serde::{Deserialize, Serialize};

use super::Tracking;
use super::local::{LocalError, OpenRun, RunFiles, new_id};
use super::outbox::Sending;
use super::record::{Told, record};
use super::run::{RunStatus, TrackedRun};
use crate::runner::{RunEvent, RunReport, Runner};

/// What is known of a run before it begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunContext {
    /// Its settings: see [`super::settings_params`].
    pub params: BTreeMap<String, String>,
    /// The git revision, the version of the data, the program's version.
    pub tags: BTreeMap<String, String>,
}

/// Watches one run.
pub struct Recorder<'a> {
    tracking: &'a Tracking,
    clock: Clock,
    context: Option<Box<dyn FnOnce() -> RunContext + 'a>>,
    open: Option<(OpenRun, Lock)>,
    /// When the Trainer began.
    training_ms: Option<i64>,
    /// Whether a run before this one was killed.
    recovers: bool,
    problem: Option<LocalError>,
}

impl<'a> Recorder<'a> {
    /// A recorder of the run that is about to begin; `context` is asked for once something is stale.
    pub fn new(tracking: &'a Tracking, clock: Clock, context: impl FnOnce() -> RunContext + 'a) -> Self {
        let context: Option<Box<dyn FnOnce() -> RunContext + 'a>> = Some(Box::new(context));
        Self { tracking, clock, context, open: None, training_ms: None, recovers: false, problem: None }
    }

    /// Takes note of what happens. What goes wrong meanwhile is told by [`Recorder::finish`], for a run goes on without
    /// being tracked.
    pub fn watch(&mut self, event: &RunEvent<'_>) {
        let RunEvent::Started { component, .. } = event else { return };
        if *component == "Trainer" {
            self.training_ms = Some(self.now());
        }
        if let Err(error) = self.note() {
            self.problem.get_or_insert(error);
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// Opens the run, or writes down that it is still alive.
    fn note(&mut self) -> Result<(), LocalError> {
        let now = self.now();
        if let Some((open, _)) = &mut self.open {
            open.seen_ms = now;
            return self.tracking.store.write_open(open);
        }
        let Some(context) = self.context.take() else { return Ok(()) };
        let lock = self.tracking.store.lock_recording()?;
        self.tell_of_killed()?;
        let open = OpenRun { id: new_id(now), started_ms: now, seen_ms: now, context: context() };
        self.tracking.store.write_open(&open)?;
        self.open = Some((open, lock));
        Ok(())
    }

    /// Writes the runs down that were killed. Only to be called under the lock of recording.
    fn tell_of_killed(&mut self) -> Result<(), LocalError> {
        let store = &self.tracking.store;
        store.sweep()?;
        let told = store.ids()?;
        for open in store.killed()? {
            // Between its record and this file it could be killed too.
            if !told.contains(&open.id) {
                store.write(&killed(&open, self.tracking), &RunFiles::default(), self.sending().as_ref())?;
                self.recovers = true;
            }
            store.close(&open.id)?;
        }
        Ok(())
    }

    /// Whether a run before registered what this one takes for its own.
    fn is_registered(&self, run: &TrackedRun) -> Result<bool, LocalError> {
        let registered = |run: &TrackedRun| {
            let model = run.model.as_ref()?;
            Some((model.manifest_sha256, model.registration.clone()?))
        };
        let Some(this) = registered(run) else { return Ok(false) };
        let before = self.tracking.store.runs()?;
        Ok(before.iter().any(|stored| registered(&stored.run).as_ref() == Some(&this)))
    }

    fn sending(&self) -> Option<Sending> {
        self.tracking.server.is_some().then(Sending::default)
    }

    /// Writes the run down, whole. `None` where nothing was done in it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn finish(mut self, report: &RunReport, runner: &Runner) -> Result<Option<TrackedRun>, LocalError> {
        if self.open.is_none() && self.problem.is_none() && self.tracking.store.has_open() {
            self.note()?;
        }
        let Some((open, _lock)) = self.open.take() else { return self.problem.map_or(Ok(None), Err) };
        let (ended_ms, training_ms, recovers) = (self.now(), self.training_ms, self.recovers);
        let told = Told { open: &open, ended_ms, training_ms, recovers };
        let (mut run, files) = record(&told, report, runner, &self.tracking.config)?;
        // A push may have found that its version is there already.
        if run.model.as_ref().is_some_and(|model| model.registration.is_some()) && self.is_registered(&run)? {
            run.model = None;
        }
        self.tracking.store.write(&run, &files, self.sending().as_ref())?;
        self.tracking.store.close(&run.id)?;
        Ok(Some(run))
    }
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("open", &self.open).finish_non_exhaustive()
    }
}

/// What can be told of a run that was killed.
fn killed(open: &OpenRun, tracking: &Tracking) -> TrackedRun {
    let began = jiff::Timestamp::from_millisecond(open.started_ms).unwrap_or_default();
    TrackedRun {
        id: open.id.clone(),
        name: format!("{began}-killed"),
        experiment: tracking.config.experiment.clone(),
        started_ms: open.started_ms,
        ended_ms: open.seen_ms,
        status: RunStatus::Killed,
        failure: None,
        params: open.context.params.clone(),
        metrics: Vec::new(),
        tags: open.context.tags.clone(),
        artifacts: Vec::new(),
        model: None,
    }
}
