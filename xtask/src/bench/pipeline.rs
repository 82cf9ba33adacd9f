//! `cargo xtask bench pipeline`: what the pipeline costs, beside the tools that do the same where there are some.

mod runs;
mod statistics;
mod tracking;

use std::fs;
use std::path::PathBuf;

use super::{Figure, Part, measure_parts, median};
use crate::arguments::Arguments;
use crate::process::Failure;
use crate::workspace::Workspace;

const PARTS: [Part<Bench>; 3] =
    [("statistics", statistics::measure), ("runs", runs::measure), ("tracking", tracking::measure)];

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    measure_parts(&PARTS, Bench::prepare, arguments, "medians, the files in the page cache")
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
