//! `cargo xtask bench collect`: photos, a large dataset and a dump, collected from the simulated Reddit.

mod dump;
mod inputs;
mod photos;
mod rows;
mod sandbox;

use std::path::Path;
use std::process::Command;

use super::{Figure, USAGE, child, conclude};
use crate::arguments::Arguments;
use crate::interop::VirtualEnvironment;
use crate::process::Failure;
use crate::workspace::Workspace;

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    arguments.finish(USAGE)?;
    child::check_proc()?;
    let bench = Bench::prepare()?;
    let mut figures: Vec<Figure> = photos::measure(&bench)?;
    figures.extend(rows::measure(&bench)?);
    figures.extend(dump::measure(&bench)?);
    conclude(&figures, "medians of interleaved runs")
}

/// What every part of this bench needs.
struct Bench {
    workspace: Workspace,
    python: VirtualEnvironment,
}

impl Bench {
    fn prepare() -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        let python = VirtualEnvironment::prepare(&workspace, "bench", "collect")?;
        workspace.build_natureddit()?;
        Ok(Self { workspace, python })
    }

    /// The program, started in `folder`.
    fn natureddit(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.workspace.natureddit_path());
        command.current_dir(folder);
        command
    }

    /// A program of `bench/`.
    fn script(&self, name: &str) -> Command {
        let mut command = self.python.python();
        command.arg(self.workspace.root().join("bench").join(name));
        command
    }
}

/// The one in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::read_text;

    #[test]
    fn what_is_installed_is_pinned() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench");
        let requirements = read_text(&folder.join("requirements-collect.txt")).unwrap();
        let packages: Vec<_> = requirements.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!packages.is_empty() && packages.iter().all(|line| line.contains("==")), "{packages:?}");
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
