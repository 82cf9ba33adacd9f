//! `cargo xtask bench collect`: photos, a large dataset and a dump, collected from the simulated Reddit.

mod dump;
mod inputs;
mod photos;
mod rows;
mod sandbox;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Figure, USAGE, child, conclude};
use crate::arguments::Arguments;
use crate::interop::VirtualEnvironment;
use crate::process::{Failure, run};
use crate::workspace::Workspace;

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    let with_turbojpeg = arguments.switch("--turbojpeg");
    arguments.finish(USAGE)?;
    child::check_proc()?;
    let bench = Bench::prepare(with_turbojpeg)?;
    let mut figures: Vec<Figure> = photos::measure(&bench)?;
    figures.extend(rows::measure(&bench)?);
    figures.extend(dump::measure(&bench)?);
    conclude(&figures, "medians of interleaved runs")
}

/// What every part of this bench needs.
struct Bench {
    workspace: Workspace,
    python: VirtualEnvironment,
    /// The program that is measured.
    natureddit: PathBuf,
    with_turbojpeg: bool,
}

impl Bench {
    fn prepare(with_turbojpeg: bool) -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        let python = VirtualEnvironment::prepare(&workspace, "bench", "collect")?;
        let natureddit = if with_turbojpeg {
            // A folder of its own, so that the two programs do not push each other out.
            let target = workspace.target().join("turbojpeg");
            let mut build = workspace.cargo(&["build", "--release", "--features", "turbojpeg", "--target-dir"]);
            run(build.arg(&target))?;
            target.join("release").join("natureddit")
        } else {
            workspace.build_natureddit()?;
            workspace.natureddit_path()
        };
        Ok(Self { workspace, python, natureddit, with_turbojpeg })
    }

    /// The program, started in `folder`.
    fn natureddit(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.natureddit);
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
