//! `natureddit dataset merge`, `import`, `export` and `validate`: whole datasets.

use std::fmt;
use std::path::PathBuf;

use natureddit_data::dvc::pointer::Pointer;
use natureddit_data::dvc::{DvcError, DvcRepo};
use natureddit_data::{Dataset, DatasetError, Labels, Merged, Validation, merge, original, validate};
use natureddit_image::ImageLimits;
use serde::Serialize;

use super::error::{CliError, Exit};
use super::session::Session;
use super::words::counted;
use crate::config::Config;
use crate::wiring;

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
    /// Tables of the original form, each with a folder of its name beside it (2022-05-01_2022-05-08.csv), or folders
    /// and repositories of DVC that have such tables; data that is only pointed to is pulled first
    #[arg(required = true, value_name = "DATASET")]
    datasets: Vec<PathBuf>,
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
    let progress = session.output.progress();
    session.output.result(&MergedHere(merge(&args.inputs, out, &limits(&config), &session.clock, &progress)?))?;
    Ok(Exit::Ok)
}

pub(super) fn run_import(args: &ImportArgs, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let mut tables = Vec::new();
    for named in &args.datasets {
        let named = session.path(named)?;
        let found = original::tables(&named)?;
        if found.is_empty() {
            return Err(DatasetError::NoTables { path: named }.into());
        }
        pull_missing(&found, &config, session)?;
        tables.extend(found);
    }
    tables.sort();
    tables.dedup();
    let progress = session.output.progress();
    let merged = merge(&tables, &config.project.data_dir, &limits(&config), &session.clock, &progress)?;
    session.output.result(&MergedHere(merged))?;
    Ok(Exit::Ok)
}

/// Gets what is only pointed to of tables and the photos beside them.
fn pull_missing(tables: &[PathBuf], config: &Config, session: &Session) -> Result<(), CliError> {
    let both = tables.iter().flat_map(|table| [table.clone(), table.with_extension("")]);
    let missing: Vec<PathBuf> = both.filter(|path| !path.exists() && Pointer::path_of(path).exists()).collect();
    let Some(folder) = missing.first().and_then(|path| path.parent()) else { return Ok(()) };
    let repo = DvcRepo::open(folder, wiring::dvc(config, None, &session.output.progress(), &session.clock))?;
    match wiring::tokio_runtime()?.block_on(repo.pull(&missing, None, false)) {
        // What was fetched once may be in the cache.
        Err(DvcError::NoRemote) => _ = repo.checkout(&missing, false)?,
        pulled => _ = pulled?,
    }
    Ok(())
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
