//! `cargo xtask bench pipeline`: what the pipeline costs, beside the tools that do the same where there are some.

mod runs;
mod statistics;
mod tracking;

use std::fs;
use std::path::PathBuf;

use super::{Figure, USAGE, child, conclude};
use crate::arguments::Arguments;
use crate::process::Failure;
use crate::workspace::Workspace;

/// A part of this bench, and what it measures.
type Part = (&'static str, fn(&Bench) -> Result<Vec<Figure>, Failure>);

const PARTS: [Part; 3] =
    [("statistics", statistics::measure), ("runs", runs::measure), ("tracking", tracking::measure)];

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    let asked = arguments.word_unless_option();
    arguments.finish(USAGE)?;
    let parts: Vec<_> = PARTS.iter().filter(|(name, _)| asked.as_ref().is_none_or(|asked| asked == name)).collect();
    if parts.is_empty() {
        return Err(Failure::usage(format!("no part `{}` of this bench", asked.unwrap_or_default()), USAGE));
    }
    child::check_proc()?;
    let bench = Bench::prepare()?;
    let mut figures = Vec::new();
    for (_, measure) in parts {
        figures.extend(measure(&bench)?);
    }
    conclude(&figures, "medians, the files in the page cache")
}

/// What every part of this bench needs; what it wrote is removed when it is dropped.
struct Bench {
    workspace: Workspace,
    folder: PathBuf,
}

impl Bench {
    fn prepare() -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        workspace.build_natureddit()?;
        let folder = workspace.empty_folder("bench-pipeline")?;
        Ok(Self { workspace, folder })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // It is large, and of no use to anybody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The one in the middle.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }
}
