//! `natureddit label`: what people chose for the posts.

mod check;
mod queue;
mod rows;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Subcommand;
use natureddit_core::fs;
use natureddit_data::{Dataset, LabelImport, Labels, TableError, TitleImport, Titles};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use super::words::{counted, is_or_are, printable, was_or_were};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  natureddit label import choices.csv                   a CSV file with the columns id and choice
  natureddit label import choices.csv --by anna         say who chose
  natureddit label import titles.csv --titles           titles without a photo: id, title, choice
  natureddit label queue                                what to label next
  natureddit label check                                which labels are likely wrong";

const CHECK_EXAMPLES: &str = "\
Examples:
  natureddit label check                    how many labels are wrong, and which
  natureddit label check --out check.csv    and a table of them; mend its column choice, then
  natureddit label import check.csv --by anna
  natureddit label check --json             every figure and every post";

const QUEUE_EXAMPLES: &str = "\
Examples:
  natureddit label queue                              what to label next, the most useful first
  natureddit label queue --limit 200 --out queue.csv  as a table; fill in its column choice, then
  natureddit label import queue.csv --by anna
  natureddit label queue --only unlabelled            posts without a label; no label is checked
  natureddit label queue --only suspect --json        labels to check, for a program

Labels that are likely wrong and posts that are alike with different labels come first, then posts
without a label, those first that the model in use is least sure of; of near-duplicate photos one.
A row whose choice is left empty is not decided: an import passes it over.";

/// Import labels, find those that are likely wrong, and what to label next
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add the choices of a CSV file; nothing is added if a line is wrong, and a row without a choice is passed over
    #[command(after_help = EXAMPLES)]
    Import {
        /// The file
        file: PathBuf,
        /// Who made the choices
        #[arg(long, value_name = "NAME", default_value = "import")]
        by: String,
        /// The file holds titles without a photo, to learn from beside the posts
        #[arg(long, conflicts_with = "by")]
        titles: bool,
    },
    /// Say which labels are likely wrong: by models that did not see the post, and by posts that are alike
    #[command(after_help = CHECK_EXAMPLES)]
    Check(check::Args),
    /// Say what to label next: labels that are likely wrong, and posts that the model is least sure of
    #[command(after_help = QUEUE_EXAMPLES)]
    Queue(queue::Args),
}

/// What an import of labels did.
#[derive(Serialize)]
#[serde(transparent)]
struct Imported(LabelImport);

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LabelImport { added, unchanged, unknown_ids, unknown_photos, undecided } = &self.0;
        write!(f, "{} added, {unchanged} {} there already", counted(*added, "label"), was_or_were(*unchanged))?;
        if *unknown_ids > 0 {
            write!(f, ", {unknown_ids} {} of posts that the dataset does not have", is_or_are(*unknown_ids))?;
        }
        if let Some(first) = unknown_photos.first() {
            let (count, first) = (unknown_photos.len() as u64, printable(first));
            write!(f, ", {count} {} of photos that their posts do not have, such as {first}", is_or_are(count))?;
        }
        if *undecided > 0 {
            write!(f, ", {} without a choice", counted(*undecided, "row"))?;
        }
        Ok(())
    }
}

/// What an import of titles did.
#[derive(Serialize)]
#[serde(transparent)]
struct ImportedTitles(TitleImport);

impl fmt::Display for ImportedTitles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TitleImport { added, changed, unchanged } = &self.0;
        let were = was_or_were(*unchanged);
        write!(f, "{} added, {changed} changed, {unchanged} {were} there already", counted(*added, "title"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let (file, by, titles) = match &args.command {
        Command::Import { file, by, titles } => (file, by, titles),
        Command::Check(args) => {
            check::run(args, session)?;
            return Ok(Exit::Ok);
        }
        Command::Queue(args) => {
            queue::run(args, session)?;
            return Ok(Exit::Ok);
        }
    };
    let config = session.config()?;
    if *titles {
        session.output.result(&ImportedTitles(import_titles(&config, file)?))?;
    } else {
        let imported = import_labels(&config, file, by, session)?;
        if imported.added + imported.unchanged == 0 {
            refuse_unknown(&imported, file, &config)?;
        }
        session.output.result(&Imported(imported))?;
    }
    Ok(Exit::Ok)
}

/// Adds the choices of a file to the project's labels.
pub(super) fn import_labels(
    config: &Config,
    file: &Path,
    by: &str,
    session: &Session,
) -> Result<LabelImport, CliError> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let mut labels = Labels::read(&config.project.labels_dir)?;
    let imported = labels.import(file, &config.project.classes, &dataset, by, &session.clock);
    hinted(imported, file, "id and choice", config)
}

/// Refuses a file of which no choice is for a photo that is there.
fn refuse_unknown(imported: &LabelImport, file: &Path, config: &Config) -> Result<(), CliError> {
    if let Some(photo) = imported.unknown_photos.first() {
        let (photo, file) = (printable(photo), file.display());
        return Err(anyhow!("the dataset has no photo {photo} of the post that {file} names with it"))
            .hint("posts.csv names the photos of each post; a row without img_name is for all of them");
    }
    if imported.unknown_ids > 0 {
        return Err(anyhow!("none of the {} ids of {} is in the dataset", imported.unknown_ids, file.display()))
            .hint(nothing_matched(config, file)?);
    }
    Ok(())
}

/// What to do when a file names no post of the dataset.
fn nothing_matched(config: &Config, file: &Path) -> Result<String, CliError> {
    let bytes = fs::read(file)?;
    let header = csv::Reader::from_reader(bytes.as_slice()).headers().cloned().unwrap_or_default();
    let dataset = Dataset::read(&config.project.data_dir)?;
    Ok(if header.iter().any(|column| column == "title") {
        let file = file.display();
        format!("are these titles without a photo? `natureddit label import {file} --titles` takes them")
    } else if let Some(key) = dataset.posts.keys().next() {
        format!("the ids are those of posts.csv, such as {}; are these labels of another project?", key.id)
    } else {
        "the dataset has no posts yet: `natureddit collect --last 1d`".to_owned()
    })
}

/// Adds the titles of a file to the project's.
pub(super) fn import_titles(config: &Config, file: &Path) -> Result<TitleImport, CliError> {
    let mut titles = Titles::read(&config.project.labels_dir)?;
    hinted(titles.import(file, &config.project.classes), file, "id, title and choice", config)
}

/// Says what the file must be like, where that is what is wrong with it, and not with what is there already.
fn hinted<T>(imported: Result<T, TableError>, file: &Path, columns: &str, config: &Config) -> Result<T, CliError> {
    let choices = &config.project.classes;
    let hint = match &imported {
        Err(TableError::NoColumn { path, .. }) if path == file => {
            format!("the file needs a header line with {columns}; the choices are {choices}")
        }
        Err(TableError::Line { path, line, .. }) if path == file => {
            format!("nothing was imported: mend line {line} or leave it out; the choices are {choices}")
        }
        Err(TableError::Locked { .. }) => "wait until it is done".to_owned(),
        _ => return Ok(imported?),
    };
    imported.hint(hint)
}
