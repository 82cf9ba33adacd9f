//! `natureddit gc`: outputs of the pipeline that nothing needs any more.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use natureddit_core::Progress;
use natureddit_pipeline::collect::{CollectOptions, Collected};
use natureddit_pipeline::training_graph::training_graph;
use serde::Serialize;

use super::error::{CliError, Exit};
use super::forget::finish_pending;
use super::session::Session;
use super::words::{counted, size};
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit gc --dry-run               what would go, and how large it is
  natureddit gc                         outputs older than pipeline.keep_days that nothing needs
  natureddit gc --older-than 7d         older than a week
  natureddit dvc gc                     the same for the cache of datasets

What stays: the newest outputs of each component, what was made or used within the limit, pushed
models whose versions are in the model store, blessed models, and what those were made from but the
features, which are made again from the embedding cache. The lineage of what goes stays.";

/// Remove outputs of the pipeline that nothing needs any more
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep what was made or used within this time: 30d, 12h [default: pipeline.keep_days]
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<Duration>,
}

/// A time such as `30d`; a day has 24 hours.
fn age(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    if let Some(days) = days {
        return Ok(Duration::from_secs(u64::from(days) * 86_400));
    }
    let parsed = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    parsed.ok_or_else(|| "give a time such as 30d or 12h".to_owned())
}

#[derive(Serialize)]
struct Shown {
    dry_run: bool,
    #[serde(flatten)]
    collected: Collected,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Collected { removed, orphans, kept, bytes } = &self.collected;
        for output in removed {
            writeln!(f, "{:>11}  {} {}", size(output.bytes), output.type_name, output.uri)?;
        }
        for folder in orphans {
            writeln!(f, "{:>11}  {folder}, which no execution made", "")?;
        }
        let verb = if self.dry_run { "would be removed" } else { "removed" };
        let count = counted((removed.len() + orphans.len()) as u64, "output");
        writeln!(f, "{count} {verb}, {}; {} kept", size(*bytes), counted(*kept as u64, "output"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    if !args.dry_run {
        finish_pending(&config, session)?;
    }
    let graph = training_graph(&wiring::training(&config, &session.output.progress())?)?;
    let runner = wiring::pipeline_runner(&config, &session.clock, |_| Progress::silent());
    let options = CollectOptions {
        keep: args.older_than.unwrap_or(config.pipeline.keep),
        models_dir: config.project.models_dir.clone(),
        dry_run: args.dry_run,
    };
    let collected = runner.collect(&graph, &options)?;
    session.output.result(&Shown { dry_run: args.dry_run, collected })?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_days_or_a_time() {
        let seconds = |text| age(text).map(|age| age.as_secs());
        assert_eq!((seconds("30d"), seconds("12h"), seconds("0d")), (Ok(2_592_000), Ok(43_200), Ok(0)));
        assert!(seconds("-1h").is_err() && seconds("soon").is_err() && seconds("").is_err());
    }
}
