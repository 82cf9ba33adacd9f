//! `natureddit tracking show`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::anyhow;
use natureddit_pipeline::tracking::{StoredRun, Tracking};
use serde::Serialize;

use super::list::{state, status};
use crate::cli::error::{CliError, HintExt};

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Shown(ShownRun);

#[derive(Serialize)]
struct ShownRun {
    #[serde(flatten)]
    run: natureddit_pipeline::tracking::TrackedRun,
    sent: super::list::State,
    /// Where it is on the server, and what of it is not there.
    sending: Option<natureddit_pipeline::tracking::outbox::Sending>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownRun { run, sent, sending } = &self.0;
        writeln!(f, "{}  {}\n{}, {sent}", run.id, run.name, status(run.status))?;
        if let Some(failure) = &run.failure {
            writeln!(f, "failed: {failure}")?;
        }
        if let Some(sending) = sending {
            if let (Some(server), Some(id)) = (&sending.server, &sending.run_id) {
                writeln!(f, "on {server}: run {id}")?;
            }
            sending.left_out.iter().try_for_each(|what| writeln!(f, "not sent: {what}"))?;
            sending.refused.iter().try_for_each(|why| writeln!(f, "refused: {why}"))?;
        }
        section(f, "params", run.params.iter().map(|(key, value)| (key.as_str(), value.clone())))?;
        section(f, "tags", run.tags.iter().map(|(key, value)| (key.as_str(), value.replace('\n', " "))))?;
        let mut last = BTreeMap::new();
        for metric in &run.metrics {
            last.insert(metric.key.as_str(), metric);
        }
        let figure = |metric: &natureddit_pipeline::tracking::Metric| match metric.step {
            0 => format!("{}", metric.value),
            step => format!("{} (epoch {step})", metric.value),
        };
        section(f, "metrics", last.into_iter().map(|(key, metric)| (key, figure(metric))))?;
        section(f, "files", run.artifacts.iter().map(|name| (name.as_str(), String::new())))
    }
}

fn section<'a>(f: &mut fmt::Formatter<'_>, title: &str, rows: impl Iterator<Item = (&'a str, String)>) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    writeln!(f, "{title}:")?;
    rows.iter().try_for_each(|(key, value)| writeln!(f, "{}", format!("  {key:width$}  {value}").trim_end()))
}

pub(super) fn show(tracking: &Tracking, id: Option<&str>) -> Result<Shown, CliError> {
    let ids = tracking.store.ids()?;
    let found: Vec<&String> = match id {
        None => ids.last().into_iter().collect(),
        Some(start) => ids.iter().filter(|id| id.starts_with(start)).collect(),
    };
    let id = match (found.as_slice(), id) {
        ([id], _) => *id,
        ([], None) => return Err(anyhow!("no run was tracked yet")).hint("`natureddit run` makes one"),
        ([], Some(id)) => {
            let missing = anyhow!("there is no tracked run whose id begins with {id:?}");
            return Err(missing).hint("`natureddit tracking list` shows them");
        }
        (several, _) => {
            let names = several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
            return Err(anyhow!("{} runs begin so", several.len())).hint(format!("there are {names}"));
        }
    };
    let stored: StoredRun = tracking.store.read(id).hint(
        "this run is damaged: `natureddit tracking list` names its folder, which may be removed; the others are whole",
    )?;
    Ok(Shown(ShownRun { sent: state(&stored), run: stored.run, sending: stored.sending }))
}
