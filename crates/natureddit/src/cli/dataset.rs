//! `natureddit dataset`: what was collected.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use natureddit_data::{Dataset, DatasetRecord, Labels};
use serde::Serialize;

use super::error::{CliError, Exit};
use super::session::Session;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  natureddit dataset status             posts, labels, dropped posts and why, covered windows
  natureddit dataset status --json";

/// Look at the dataset
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what the dataset holds
    #[command(after_help = EXAMPLES)]
    Status,
}

#[derive(Serialize)]
struct Status {
    data_dir: PathBuf,
    posts: usize,
    dropped: usize,
    /// Posts by the class that was chosen last; posts without a choice are not among them.
    labelled: BTreeMap<String, usize>,
    record: Option<DatasetRecord>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labelled: usize = self.labelled.values().sum();
        writeln!(
            f,
            "{}: {} posts, {labelled} labelled, {} dropped",
            self.data_dir.display(),
            self.posts,
            self.dropped
        )?;
        self.labelled.iter().try_for_each(|(class, count)| writeln!(f, "  {count:6} {class}"))?;
        let Some(record) = &self.record else {
            return write!(f, "nothing was collected yet: `natureddit collect --last 1d`");
        };
        writeln!(f, "retrieved {} from {}", record.retrieved_at, record.source)?;
        for (reason, count) in &record.dropped_by_reason {
            writeln!(f, "  {count:6} dropped: {reason}")?;
        }
        for (subreddit, windows) in &record.windows {
            let posts = record.posts_by_subreddit.get(subreddit).copied().unwrap_or(0);
            let covered = windows.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            writeln!(f, "  {posts:6} r/{subreddit}: {covered}")?;
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let Command::Status = args.command;
    session.output.result(&status(&session.config()?)?)?;
    Ok(Exit::Ok)
}

fn status(config: &Config) -> anyhow::Result<Status> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let labels = Labels::read(&config.project.labels_dir)?;
    let mut labelled = BTreeMap::new();
    for (_, choice) in labels.latest().into_iter().filter(|(id, _)| dataset.posts.contains_key(id)) {
        *labelled.entry(choice.to_owned()).or_insert(0) += 1;
    }
    Ok(Status {
        data_dir: config.project.data_dir.clone(),
        posts: dataset.posts.len(),
        dropped: dataset.dropped.len(),
        labelled,
        record: dataset.record,
    })
}
