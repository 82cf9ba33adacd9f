//! The tracking of one `natureddit run`.

use std::time::Instant;

use natureddit_pipeline::tracking::{Recorder, Sent, Tracking, Which};
use natureddit_pipeline::training_graph::TrainingConfig;
use natureddit_pipeline::{RunEvent, RunReport, Runner};
use serde::Serialize;

use super::{advice, passed_over};
use crate::cli::session::Session;
use crate::cli::words::counted;
use crate::config::Config;
use crate::wiring;

/// Tracks a run, if runs are tracked. Nothing that goes wrong with it fails the run.
pub(in crate::cli) struct RunTracker<'a> {
    recorder: Option<Recorder<'a>>,
    tracking: Option<&'a Tracking>,
    config: &'a Config,
    session: &'a Session,
    /// What watching took.
    seconds: f64,
}

/// What came of tracking a run.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Tracked {
    /// The run's id in the local store; `None` where nothing was done in it.
    id: Option<String>,
    /// What it took to write it down, in seconds; without sending.
    seconds: f64,
    /// What was sent; `None` where no server is named.
    sent: Option<Sent>,
    /// What it took to send it, in seconds.
    sending_seconds: f64,
}

impl<'a> RunTracker<'a> {
    pub(in crate::cli) fn new(
        tracking: Option<&'a Tracking>,
        config: &'a Config,
        training: &'a TrainingConfig,
        session: &'a Session,
    ) -> Self {
        let context = move || wiring::run_context(config, training);
        let recorder = tracking.map(|tracking| Recorder::new(tracking, session.clock.clone(), context));
        Self { recorder, tracking, config, session, seconds: 0.0 }
    }

    pub(in crate::cli) fn watch(&mut self, event: &RunEvent<'_>) {
        let began = Instant::now();
        if let Some(recorder) = &mut self.recorder {
            recorder.watch(event);
        }
        self.seconds += began.elapsed().as_secs_f64();
    }

    /// Writes the run down and sends what is to be sent.
    pub(in crate::cli) fn finish(mut self, report: &RunReport, runner: &Runner) -> Option<Tracked> {
        let tracking = self.tracking?;
        let began = Instant::now();
        let id = match self.recorder.take()?.finish(report, runner) {
            Ok(run) => run.map(|run| run.id),
            Err(error) => {
                self.warn(&format!("tracking: the run could not be written down: {:#}", anyhow::Error::from(error)));
                None
            }
        };
        let seconds = self.seconds + began.elapsed().as_secs_f64();
        if self.config.tracking.has_unusable_uri && id.is_some() {
            self.warn("tracking: MLFLOW_TRACKING_URI is no http or https address, so the run is kept here only");
        }
        let sending = Instant::now();
        // Also where nothing was done in this run: what an earlier one left is sent.
        let sent = if self.config.tracking.send_time_max.is_zero() { None } else { self.send(tracking) };
        Some(Tracked { id, seconds, sent, sending_seconds: sending.elapsed().as_secs_f64() })
    }

    fn send(&self, tracking: &Tracking) -> Option<Sent> {
        let server = tracking.server()?;
        let time_max = self.config.tracking.send_time_max;
        let sending = async { Ok(tracking.send(Which::Waiting, Some(time_max)).await?) };
        let sent: anyhow::Result<Sent> = wiring::tokio_runtime().and_then(|runtime| runtime.block_on(sending));
        match sent {
            Ok(sent) => {
                self.tell(&sent, &server);
                Some(sent)
            }
            Err(error) => {
                self.warn(&format!("tracking: {error:#}"));
                None
            }
        }
    }

    /// What came of sending, a line each.
    fn tell(&self, sent: &Sent, server: &str) {
        if !sent.sent.is_empty() {
            let count = counted(sent.sent.len() as u64, "run");
            self.session.output.note(&format!("tracking: sent {count} to {server}"));
        }
        for (id, what) in &sent.left_out {
            self.warn(&format!("tracking: run {id} was sent without {what}"));
        }
        for (id, reason) in &sent.refused {
            self.warn(&format!("tracking: the server refused run {id}: {reason}"));
        }
        for damaged in &sent.damaged {
            self.warn(&format!("tracking: {}", passed_over(damaged)));
        }
        if let Some(problem) = &sent.problem {
            let (waiting, hint) = (counted(sent.waiting as u64, "run"), advice(sent.is_unauthorized, self.config));
            self.warn(&format!("tracking: {waiting} could not be sent: {problem} (hint: {hint})"));
        }
    }

    /// Tells what is wrong, also to whoever wants to see no progress.
    fn warn(&self, line: &str) {
        let output = &self.session.output;
        if output.is_quiet() { tracing::warn!("{line}") } else { output.note(line) }
    }
}
