//! `natureddit dataset`: what was collected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use console::style;
use natureddit_core::fs;
use natureddit_data::gap::{Ledger, OpenGap};
use natureddit_data::{Dataset, DatasetRecord, Labels, POSTS_FILE, PendingDeletion, is_unfinished};
use serde::Serialize;

use super::error::{CliError, Exit};
use super::session::Session;
use super::words::counted;
use super::{dataset_files, dataset_stats, forget};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  natureddit dataset status       posts, labels, dropped posts and why, gaps
  natureddit dataset stats --plot     counts, frequent values and histograms, column by column
  natureddit dataset validate     every broken row and photo, by file and line
  natureddit dataset merge ../other/data
  natureddit dataset import 2022-05-01_2022-05-08.csv
  natureddit dataset import ../original-repository      its tables, pulled where need be
  natureddit dataset export --out exported
  natureddit dataset forget 1ske7bm     remove all that is known of a post";

/// Look at the dataset, merge it with others, forget posts
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
    /// Say what is in the columns of the table of posts, of a split or of any table
    #[command(after_help = dataset_stats::EXAMPLES)]
    Stats(dataset_stats::StatsArgs),
    /// Name every row that is broken and every photo that is not what its row says
    #[command(after_help = EXAMPLES)]
    Validate,
    /// Merge other datasets into the project's; no other one is changed
    #[command(after_help = EXAMPLES)]
    Merge(dataset_files::MergeArgs),
    /// Take over datasets of the original form
    #[command(after_help = EXAMPLES)]
    Import(dataset_files::ImportArgs),
    /// Write the dataset in the original form
    #[command(after_help = EXAMPLES)]
    Export(dataset_files::ExportArgs),
    /// Remove posts with all that is known of them; they do not come back
    #[command(after_help = EXAMPLES)]
    Forget(forget::Args),
}

#[derive(Serialize)]
struct Status {
    data_dir: PathBuf,
    posts: usize,
    /// Rows of the table of posts: one for each photo.
    rows: usize,
    /// Rows whose photo is there.
    photos: usize,
    dropped: usize,
    /// Posts that were deleted and do not come back.
    forgotten: usize,
    /// Photos by the class that was chosen last; those without a choice are not among them.
    labelled: BTreeMap<String, usize>,
    record: Option<DatasetRecord>,
    /// What is wrong with the folder, and what to do about it.
    warning: Option<String>,
    /// Where posts may be missing; the next collection of these subreddits asks for it again.
    gaps: Vec<OpenGap>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labelled: usize = self.labelled.values().sum();
        writeln!(
            f,
            "{}: {}, {}, {}, {labelled} labelled, {} dropped",
            self.data_dir.display(),
            counted(self.posts as u64, "post"),
            counted(self.rows as u64, "row"),
            counted(self.photos as u64, "photo"),
            self.dropped
        )?;
        if let Some(warning) = &self.warning {
            writeln!(f, "{} {warning}", style("warning:").yellow().bold())?;
        }
        if self.forgotten > 0 {
            writeln!(f, "  {:6} forgotten", self.forgotten)?;
        }
        self.labelled.iter().try_for_each(|(class, count)| writeln!(f, "  {count:6} {class}"))?;
        match &self.record {
            Some(record) => write_record(f, record)?,
            None if self.posts > 0 => writeln!(f, "there is no record of when this was collected, and from where")?,
            None if self.warning.is_some() => {}
            None => writeln!(f, "nothing was collected yet: `natureddit collect --last 1d`")?,
        }
        for OpenGap { subreddit, gap, .. } in &self.gaps {
            writeln!(f, "  gap in r/{subreddit}: {}: {}", gap.window, gap.reason.meaning())?;
        }
        Ok(())
    }
}

fn write_record(f: &mut fmt::Formatter<'_>, record: &DatasetRecord) -> fmt::Result {
    if record.source.is_empty() {
        writeln!(f, "put together {}", record.retrieved_at)?;
    } else {
        writeln!(f, "retrieved {} from {}", record.retrieved_at, record.source)?;
    }
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

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    match &args.command {
        Command::Status => {
            session.output.result(&status(&session.config()?)?)?;
            Ok(Exit::Ok)
        }
        Command::Stats(args) => dataset_stats::run(args, session),
        Command::Validate => dataset_files::run_validate(session),
        Command::Merge(args) => dataset_files::run_merge(args, session),
        Command::Import(args) => dataset_files::run_import(args, session),
        Command::Export(args) => dataset_files::run_export(args, session),
        Command::Forget(args) => forget::run(args, session),
    }
}

fn status(config: &Config) -> anyhow::Result<Status> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let labels = Labels::read(&config.project.labels_dir)?;
    let mut labelled = BTreeMap::new();
    let choices = labels.latest();
    for choice in dataset.posts.values().filter_map(|row| choices.of(row)) {
        *labelled.entry(choice.to_owned()).or_insert(0) += 1;
    }
    Ok(Status {
        warning: unfinished(config).map_or_else(|| table_is_missing(config, &dataset), |warning| Ok(Some(warning)))?,
        data_dir: config.project.data_dir.clone(),
        posts: dataset.post_count(),
        rows: dataset.posts.len(),
        photos: photos_there(config, &dataset)?,
        dropped: dataset.dropped.len(),
        forgotten: dataset.tombstones.len(),
        labelled,
        record: dataset.record,
        gaps: Ledger::read(&config.project.data_dir)?.open_gaps(),
    })
}

/// How many rows have their photo in the folder.
fn photos_there(config: &Config, dataset: &Dataset) -> anyhow::Result<usize> {
    let images = Dataset::images_dir(&config.project.data_dir);
    let files = fs::optional(fs::read_dir(&images))?.unwrap_or_default();
    let names: BTreeSet<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    Ok(dataset.posts.keys().filter(|key| names.contains(key.img_name.as_str())).count())
}

/// What a killed collection did is not in the tables, and what a killed deletion left is not gone.
fn unfinished(config: &Config) -> Option<String> {
    if PendingDeletion::is_there(&config.project.data_dir) {
        return Some("a deletion was cut off: `natureddit run` or `natureddit gc` finishes it".to_owned());
    }
    is_unfinished(&config.project.data_dir).then(|| {
        "a collection is under way or was stopped, and the tables do not hold all of it yet: the next `natureddit collect` \
         goes on from there"
            .to_owned()
    })
}

/// A dataset whose table is gone looks like one that was never collected.
fn table_is_missing(config: &Config, dataset: &Dataset) -> anyhow::Result<Option<String>> {
    let data_dir = &config.project.data_dir;
    if fs::optional(fs::metadata(&data_dir.join(POSTS_FILE)))?.is_some() {
        return Ok(None);
    }
    let recorded = dataset.record.as_ref().map_or(0, |record| record.posts);
    let images = Dataset::images_dir(data_dir);
    let photos = if fs::optional(fs::metadata(&images))?.is_some() { fs::walk(&images)?.len() } else { 0 };
    if recorded == 0 && photos == 0 {
        return Ok(None);
    }
    let recorded = counted(recorded, "post");
    let photos = counted(photos as u64, "photo");
    Ok(Some(format!(
        "{POSTS_FILE} is not there, but a record of {recorded} and {photos} are: take it from a backup, or collect the \
         same windows again"
    )))
}
