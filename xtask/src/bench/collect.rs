//! `cargo xtask bench collect`: photos, a large dataset and a dump, collected from the simulated Reddit.

mod dump;
mod photos;
mod rows;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Figure, USAGE, child, conclude, median};
use crate::arguments::Arguments;
use crate::interop::VirtualEnvironment;
use crate::process::Failure;
use crate::workspace::Workspace;

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    let decoder = if arguments.switch("--turbojpeg") { Decoder::Turbojpeg } else { Decoder::Rust };
    arguments.finish(USAGE)?;
    child::check_proc()?;
    let bench = Bench::prepare(decoder)?;
    let mut figures: Vec<Figure> = photos::measure(&bench)?;
    if decoder == Decoder::Rust {
        figures.extend(rows::measure(&bench)?);
        figures.extend(dump::measure(&bench)?);
    }
    conclude(&figures, "medians of interleaved runs")
}

/// Who shrinks photos in the program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoder {
    Rust,
    /// libjpeg-turbo, by the feature `turbojpeg`.
    Turbojpeg,
}

impl Decoder {
    /// How many times as fast as a pool of two Pillows the program is to shrink photos.
    fn ratio_to_pillow(self) -> f64 {
        match self {
            Self::Rust => 2.0,
            Self::Turbojpeg => 3.5,
        }
    }
}

/// What every part of this bench needs.
struct Bench {
    workspace: Workspace,
    python: VirtualEnvironment,
    decoder: Decoder,
    /// The program.
    natureddit: PathBuf,
}

impl Bench {
    fn prepare(decoder: Decoder) -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        let python = VirtualEnvironment::prepare(&workspace, "bench", "collect")?;
        let natureddit = match decoder {
            Decoder::Rust => workspace.build_natureddit().map(|()| workspace.natureddit_path())?,
            Decoder::Turbojpeg => workspace.build_natureddit_with("turbojpeg")?,
        };
        Ok(Self { workspace, python, decoder, natureddit })
    }

    /// The program, started in `folder`.
    fn natureddit(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.natureddit);
        command.current_dir(folder);
        command
    }

    /// A program of `bench/`.
    fn script(&self, name: &str) -> Command {
        self.python.script(&self.workspace, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::read_text;

    #[test]
    fn what_is_installed_is_pinned() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench");
        for name in ["collect", "model", "serve", "torchserve"] {
            let requirements = read_text(&folder.join(format!("requirements-{name}.txt"))).unwrap();
            let packages: Vec<_> = requirements.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(!packages.is_empty() && packages.iter().all(|line| line.contains("==")), "{packages:?}");
        }
    }
}
