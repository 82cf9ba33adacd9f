//! `natureddit dataset merge`, `import`, `export` and `validate`: whole datasets.

use std::fmt;
use std::path::PathBuf;

use natureddit_data::{Dataset, Labels, Merged, Validation, merge, original, validate};
use natureddit_image::ImageLimits;
use serde::Serialize;

use super::error::{CliError, Exit};
use super::session::Session;
use super::words::counted;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(super) struct MergeArgs {
    /// Folders of datasets, or tables of the original form with a folder of their name beside them
    #[arg(required = true, value_name = "DATASET")]
    inputs: Vec<PathBuf>,
    /// Merge into this folder [default: the project's dataset, which is an input then]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// A table of the original form, with a folder of its name beside it: 2022-05-01_2022-05-08.csv
    table: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// Where the table and the folder of photos are written, in the original form
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What a merge did.
#[derive(Serialize)]
#[serde(transparent)]
struct MergedHere(Merged);

impl fmt::Display for MergedHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Merged { rows, rows_new, rows_replaced, photos_missing, forgotten, refused } = &self.0;
        writeln!(
            f,
            "{}, {rows_new} of them new; {rows_replaced} had a better row of the same photo",
            counted(*rows, "row")
        )?;
        if *photos_missing > 0 {
            writeln!(f, "{photos_missing} rows were left out, for their photos are missing or changed")?;
        }
        if *forgotten > 0 {
            writeln!(f, "{forgotten} rows were left out, for their posts were deleted")?;
        }
        refused.iter().try_for_each(|(path, why)| writeln!(f, "  left out {}: {why}", path.display()))
    }
}

/// Where a dataset was written.
#[derive(Serialize)]
struct Exported {
    table: PathBuf,
    rows: usize,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} written to {}", counted(self.rows as u64, "row"), self.table.display())
    }
}

/// What is wrong with a dataset.
#[derive(Serialize)]
#[serde(transparent)]
struct Validated(Validation);

impl fmt::Display for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Validation { rows, photos, problems } = &self.0;
        problems.iter().try_for_each(|problem| writeln!(f, "{problem}"))?;
        let (rows, photos) = (counted(*rows, "row"), counted(*photos, "photo"));
        write!(f, "{rows} and {photos} looked at, {}", counted(problems.len() as u64, "problem"))
    }
}

pub(super) fn run_merge(args: &MergeArgs, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let out = args.out.as_ref().unwrap_or(&config.project.data_dir);
    session.output.result(&MergedHere(merge(&args.inputs, out, &limits(&config), &session.clock)?))?;
    Ok(Exit::Ok)
}

pub(super) fn run_import(args: &ImportArgs, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let inputs = [args.table.clone()];
    let merged = merge(&inputs, &config.project.data_dir, &limits(&config), &session.clock)?;
    session.output.result(&MergedHere(merged))?;
    Ok(Exit::Ok)
}

pub(super) fn run_export(args: &ExportArgs, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let dataset = Dataset::read(&config.project.data_dir)?;
    let labels = Labels::read(&config.project.labels_dir)?;
    let choices = labels.latest();
    let choice = |row: &natureddit_data::PostRow| choices.of(row).map(str::to_owned);
    let table = original::export(&dataset, &config.project.data_dir, &args.out, choice)?;
    session.output.result(&Exported { table, rows: dataset.posts.len() })?;
    Ok(Exit::Ok)
}

pub(super) fn run_validate(session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let found = validate(&config.project.data_dir, &limits(&config))?;
    let is_sound = found.problems.is_empty();
    session.output.result(&Validated(found))?;
    Ok(if is_sound { Exit::Ok } else { Exit::Failed })
}

fn limits(config: &Config) -> ImageLimits {
    ImageLimits { bytes_max: config.collect.image_bytes_max, pixels_max: config.collect.image_pixels_max }
}
