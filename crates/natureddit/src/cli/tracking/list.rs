//! `natureddit tracking list`.

use std::fmt;

use jiff::Timestamp;
use natureddit_pipeline::tracking::{DamagedRun, RunStatus, StoredRun, Tracking};
use serde::Serialize;

use super::passed_over;

/// Figures that are shown of a run, where it has them.
const FIGURES: [&str; 3] = ["validation_loss", "eval_macro_f1", "eval_accuracy"];

#[derive(Serialize)]
pub(super) struct Listed {
    server: Option<String>,
    /// Newest first.
    runs: Vec<ListedRun>,
    /// How many there are.
    total: usize,
    /// Folders that hold no run that can be read.
    damaged: Vec<DamagedRun>,
}

#[derive(Serialize)]
struct ListedRun {
    id: String,
    name: String,
    started: Timestamp,
    /// `None` where it was killed and never heard of after it began.
    seconds: Option<f64>,
    status: RunStatus,
    figures: Vec<(&'static str, f64)>,
    model_version: Option<u64>,
    sent: State,
}

/// Where a run is.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Here, and meant for nowhere else.
    Local,
    /// Here, still to be sent.
    Waiting,
    /// On the server too.
    Sent,
    /// Here; the server did not take it.
    Refused,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
        })
    }
}

pub(super) fn state(stored: &StoredRun) -> State {
    match &stored.sending {
        None => State::Local,
        Some(sending) if sending.is_done => State::Sent,
        Some(sending) if sending.refused.is_some() => State::Refused,
        Some(_) => State::Waiting,
    }
}

pub(super) fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Finished => "finished",
        RunStatus::Failed => "failed",
        RunStatus::Killed => "killed",
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for run in &self.runs {
            let ListedRun { id, started, seconds, status: ended, figures, model_version, sent, .. } = run;
            let started = started.strftime("%Y-%m-%d %H:%M:%S");
            let took = seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
            write!(f, "{}  {started}  {took:>9}  {:8}  {sent:7}", &id[..12.min(id.len())], status(*ended))?;
            figures.iter().try_for_each(|(name, value)| write!(f, "  {name} {value:.4}"))?;
            model_version.map_or(Ok(()), |version| write!(f, "  pushed as {version}"))?;
            writeln!(f)?;
        }
        match (self.total, self.runs.len()) {
            (0, _) => writeln!(f, "no run was tracked yet")?,
            (total, shown) if shown < total => writeln!(f, "{shown} of {total} runs; --limit shows more")?,
            _ => {}
        }
        for damaged in &self.damaged {
            writeln!(f, "{}", passed_over(damaged))?;
        }
        match &self.server {
            Some(server) => write!(f, "server: {server}"),
            None => write!(f, "server: none; runs are kept here only"),
        }
    }
}

pub(super) fn list(tracking: &Tracking, limit: usize) -> anyhow::Result<Listed> {
    let ids = tracking.store.ids()?;
    let damaged = tracking.store.damaged()?;
    let newest = ids.iter().rev().filter_map(|id| tracking.store.read(id).ok());
    let runs = newest.take(limit).map(listed).collect();
    Ok(Listed { server: tracking.server(), runs, total: ids.len() - damaged.len(), damaged })
}

fn listed(stored: StoredRun) -> ListedRun {
    let sent = state(&stored);
    let run = stored.run;
    // Of each figure the last one.
    let last = |name: &&'static str| {
        let metric = run.metrics.iter().rev().find(|metric| metric.key == *name)?;
        Some((*name, metric.value))
    };
    ListedRun {
        figures: FIGURES.iter().filter_map(last).collect(),
        started: Timestamp::from_millisecond(run.started_ms).unwrap_or_default(),
        seconds: (run.status != RunStatus::Killed || run.ended_ms > run.started_ms)
            .then(|| (run.ended_ms - run.started_ms) as f64 / 1000.0),
        status: run.status,
        model_version: run.model.and_then(|model| model.registration).map(|pushed| pushed.pushed_version),
        id: run.id,
        name: run.name,
        sent,
    }
}
