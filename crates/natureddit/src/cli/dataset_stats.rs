//! `natureddit dataset stats`: what is in a table or a split, as tables and drawings.

mod plot;
mod table;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use console::Term;
use natureddit_core::{Progress, fs};
use natureddit_data::POSTS_FILE;
use natureddit_pipeline::statistics::{SplitStatistics, read_statistics, statistics_to_bytes, summarise_csv};
use natureddit_pipeline::{Metadata, Split};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::out_file::{Kept, OutFile};
use super::session::Session;
use super::words::printable;
use crate::config::Config;
use crate::wiring;

pub(super) const EXAMPLES: &str = "\
Examples:
  natureddit dataset stats                        the table of posts, column by column
  natureddit dataset stats --plot                 with histograms and bars
  natureddit dataset stats --split train --plot   what the model learns from
  natureddit dataset stats --table other.csv --out FeatureStats.pb  any table; TFDV reads the file";

/// What to summarise.
#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Draw the histograms of numbers and the frequencies of texts
    #[arg(long)]
    plot: bool,
    /// A split of the last run's examples instead of the table of posts
    #[arg(long, value_name = "NAME", value_parser = parse_split, conflicts_with = "table")]
    split: Option<Split>,
    /// Any other table (CSV, its first line naming the columns) instead of the project's
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Also write the statistics, as TensorFlow Data Validation reads them (`load_stats_binary`)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn parse_split(name: &str) -> Result<Split, String> {
    let all = Split::ALL.map(Split::name).join(", ");
    Split::ALL.into_iter().find(|split| split.name() == name).ok_or_else(|| format!("the splits are {all}"))
}

/// The statistics and where they are from.
#[derive(Serialize)]
struct Report {
    /// The table, or the folder of the artifact.
    source: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    #[serde(flatten)]
    statistics: SplitStatistics,
    /// By how much the count of a frequent value may be too low; only features with too many values to count each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    estimated: Vec<Estimated>,
    /// How to draw for people.
    #[serde(skip)]
    width: usize,
    #[serde(skip)]
    plot: bool,
}

/// A feature with too many different values to count each of them.
#[derive(Serialize)]
struct Estimated {
    feature: String,
    count_error: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = self.split.map(|split| format!(", split {split}")).unwrap_or_default();
        writeln!(f, "{}{split}", printable(&self.source.display().to_string()))?;
        table::write(f, &self.statistics, self.width)?;
        if let Some(separator) = self.other_separator() {
            writeln!(f, "hint: cells are separated by commas, and the header of this table has {separator}")?;
        }
        for Estimated { feature, count_error } in &self.estimated {
            let feature = table::one_line(feature);
            writeln!(
                f,
                "{feature} has too many different values to count each: unique is an estimate (standard error 0.4 %), \
                 counts of values may be {count_error} too low"
            )?;
        }
        if self.plot {
            plot::write(f, &self.statistics, self.width)?;
        }
        Ok(())
    }
}

impl Report {
    /// What else may have been meant to separate cells, where there is but one column.
    fn other_separator(&self) -> Option<&'static str> {
        let [only] = self.statistics.features.as_slice() else { return None };
        let separators = [(';', "semicolons"), ('\t', "tabs")];
        separators.into_iter().find_map(|(separator, name)| only.name.contains(separator).then_some(name))
    }
}

pub(super) fn run(args: &StatsArgs, session: &Session) -> Result<Exit, CliError> {
    let out = args.out.as_deref().map(|path| out_file(path, args, session)).transpose()?;
    let mut report = match (&args.table, args.split) {
        (Some(table), _) => of_table(table.clone())?,
        (None, Some(split)) => of_split(&session.config()?, session, split)?,
        (None, None) => of_posts(&session.config()?)?,
    };
    report.plot = args.plot;
    if let Some(out) = &out {
        fs::write_atomic(out, statistics_to_bytes(&report.statistics)).map_err(anyhow::Error::from)?;
        session.output.note(&format!("written to {}", out.display()));
    }
    session.output.result(&report)?;
    Ok(Exit::Ok)
}

/// The file to write.
fn out_file(path: &Path, args: &StatsArgs, session: &Session) -> Result<PathBuf, CliError> {
    // A table may be summarised outside of any project.
    let kept = Kept::of(&session.config_or_defaults()?);
    let file = OutFile { option: "--out", path, example: "FeatureStats.pb" };
    file.resolve(args.table.as_deref().as_slice(), &kept)
}

fn of_posts(config: &Config) -> Result<Report, CliError> {
    let table = config.project.data_dir.join(POSTS_FILE);
    if fs::optional(fs::metadata(&table)).map_err(anyhow::Error::from)?.is_none() {
        return Err(anyhow!("there is no {}", table.display())).hint("`natureddit collect --last 1d` makes it");
    }
    of_table(table)
}

fn of_table(source: PathBuf) -> Result<Report, CliError> {
    let summary = summarise_csv(&source).map_err(anyhow::Error::from)?;
    let estimated = |(name, count_error): (&str, u64)| Estimated { feature: name.to_owned(), count_error };
    let estimated = summary.estimated().map(estimated).collect();
    Ok(Report { source, split: None, statistics: summary.statistics(), estimated, width: width(), plot: false })
}

/// The newest statistics of the pipeline.
fn of_split(config: &Config, session: &Session, split: Split) -> Result<Report, CliError> {
    const HINT: &str = "`natureddit run` makes them";
    let runner = wiring::pipeline_runner(config, &session.clock, |_| Progress::silent());
    let mut metadata = Metadata::open(runner.metadata_location()).hint(HINT)?;
    let newest = metadata.newest_output(runner.pipeline(), "StatisticsGen", "statistics")?;
    let uri = newest.ok_or_else(|| anyhow!("no run has made statistics yet")).hint(HINT)?;
    let source = runner.path(&uri);
    let statistics = read_statistics(&source, split).map_err(anyhow::Error::from).hint(HINT)?;
    Ok(Report { source, split: Some(split), statistics, estimated: Vec::new(), width: width(), plot: false })
}

/// How many columns to fill: those of the terminal, but as many as can be read.
fn width() -> usize {
    let terminal = Term::stdout();
    if terminal.is_term() { usize::from(terminal.size().1).clamp(60, 120) } else { 100 }
}
