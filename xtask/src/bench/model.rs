//! `cargo xtask bench model`: how good and how fast the model is, beside scikit-learn and Python's ONNX Runtime.

mod quality;
mod speed;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::made;
use super::{Part, measure_parts};
use crate::arguments::Arguments;
use crate::interop::VirtualEnvironment;
use crate::process::Failure;
use crate::workspace::Workspace;

const PARTS: [Part<Bench>; 3] = [("judge", quality::judge), ("retrain", quality::retrain), ("speed", speed::measure)];
const WITH_TURBOJPEG: [Part<Bench>; 1] = [("speed", speed::measure)];

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    let how = "medians of interleaved runs, the files in the page cache";
    if arguments.switch("--turbojpeg") {
        return measure_parts(&WITH_TURBOJPEG, || Bench::prepare(true), arguments, how);
    }
    measure_parts(&PARTS, || Bench::prepare(false), arguments, how)
}

/// What every part of this bench needs.
struct Bench {
    workspace: Workspace,
    python: VirtualEnvironment,
    /// Whether photos are decoded with the feature `turbojpeg`.
    has_turbojpeg: bool,
    folder: PathBuf,
}

impl Bench {
    fn prepare(has_turbojpeg: bool) -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        let python = VirtualEnvironment::prepare(&workspace, "bench", "model")?;
        let folder = workspace.empty_folder("bench-model")?;
        Ok(Self { workspace, python, has_turbojpeg, folder })
    }

    /// An example of one of our crates, built.
    fn example(&self, name: &str) -> Result<PathBuf, Failure> {
        let feature = self.has_turbojpeg.then_some("natureddit-image/turbojpeg");
        self.workspace.build_example(name, feature, &self.folder)
    }

    /// Such an example, to be started.
    fn start(&self, example: &Path) -> Command {
        let mut command = Command::new(example);
        command.env("ORT_DISABLE_TELEMETRY", "1");
        command
    }

    /// A program of `bench/`.
    fn script(&self, name: &str) -> Command {
        self.python.script(&self.workspace, name)
    }

    /// The photos whose embedding is timed.
    fn photos(&self) -> Result<PathBuf, Failure> {
        made::photos(&self.workspace, &self.python, made::SMALL)
    }
}
