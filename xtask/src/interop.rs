//! `cargo xtask interop`: the real tools of others read what we write and call what we serve.
//!
//! A peer is a pinned list of packages (`interop/requirements-*.txt`), installed into a virtual environment of its
//! own, and the Python programs (`interop/check_*.py`) that run in it. They get the program and a project folder, and
//! exit with 1 when anything differs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::process::{Failure, output, run};
use crate::workspace::{Workspace, read_text};

const HELP: &str = "\
Runs the real tools of others against what natureddit writes and serves.

usage: cargo xtask interop [--light] [--project DIR]

  --light        only the peers that install in a minute or two, as CI does
  --project DIR  a project folder with a pushed model (default: one made by `natureddit demo`)

Needs python3 (3.11 or newer) with pip and venv, and git; what is installed is kept in target/interop. Commands of
natureddit dvc are ended by `kill -9` 10 times each, and a run that is sent to MLflow is broken off 3 times, or as often as
NATUREDDIT_INTEROP_KILLS says.";

/// Tools of others that are installed together.
pub(crate) struct Peer {
    /// `interop/requirements-{name}.txt`, and the folder of its virtual environment.
    name: &'static str,
    /// The programs that check us, in `interop/`.
    checks: &'static [&'static str],
    /// Whether it is small enough for CI.
    is_light: bool,
}

const PEERS: [Peer; 9] = [
    Peer { name: "clients", checks: &["check_serve.py", "check_table.py"], is_light: true },
    Peer { name: "onnx", checks: &["check_onnx.py"], is_light: true },
    // PyTorch has gigabytes.
    Peer { name: "encoders", checks: &["check_encoders.py"], is_light: false },
    Peer { name: "dvc", checks: &["check_dvc.py"], is_light: true },
    Peer { name: "mlmd", checks: &["check_mlmd.py"], is_light: true },
    Peer { name: "reddit", checks: &["check_praw.py"], is_light: true },
    Peer { name: "tfx", checks: &["check_tfx.py"], is_light: true },
    Peer { name: "tfdv", checks: &["check_tfdv.py"], is_light: false },
    Peer { name: "mlflow", checks: &["check_mlflow.py"], is_light: true },
];

/// `cargo xtask interop`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    let only_light = arguments.switch("--light");
    let project = arguments.path("--project")?;
    arguments.finish("cargo xtask interop --help")?;

    let workspace = Workspace::find()?;
    workspace.build_natureddit()?;
    let project = match project {
        Some(project) => project,
        None => demo_project(&workspace)?,
    };
    let peers = if only_light { light() } else { PEERS.iter().collect() };
    check(&workspace, &peers, &project, false)
}

/// The peers that CI runs.
pub(crate) fn light() -> Vec<&'static Peer> {
    PEERS.iter().filter(|peer| peer.is_light).collect()
}

/// How often a command is killed where all is to be tried.
const KILLS_OF_ALL: &str = "200";

/// Runs the checks of each peer on a project folder with a pushed model.
pub(crate) fn check(workspace: &Workspace, peers: &[&Peer], project: &Path, is_full: bool) -> Result<(), Failure> {
    let project = project.canonicalize().map_err(|error| {
        Failure::new(format!("no project folder {}: {error}", project.display())).hint("natureddit demo --no-serve")
    })?;
    for peer in peers {
        let environment = VirtualEnvironment::prepare(workspace, "interop", peer.name)?;
        for check in peer.checks {
            println!("--- interop/{check}");
            let mut command = environment.python();
            command.arg(workspace.root().join("interop").join(check)).arg("--project").arg(&project);
            if is_full {
                command.env("NATUREDDIT_INTEROP_KILLS", KILLS_OF_ALL);
            }
            run(command.arg("--natureddit").arg(workspace.natureddit_path()))?;
        }
    }
    Ok(())
}

fn demo_project(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let project = workspace.empty_folder("interop")?.join("demo");
    run(workspace.natureddit().args(["demo", "--no-serve", "--dir"]).arg(&project))?;
    Ok(project)
}

/// A folder with a Python of its own and exactly the packages of one requirements file.
pub(crate) struct VirtualEnvironment {
    folder: PathBuf,
}

impl VirtualEnvironment {
    /// The environment of `{area}/requirements-{name}.txt`, in `target/{area}/{name}`: the one that is there if it was
    /// made by the same Python from the same requirements, else made anew.
    pub(crate) fn prepare(workspace: &Workspace, area: &str, name: &str) -> Result<Self, Failure> {
        let folder = workspace.target().join(area).join(name);
        let requirements = workspace.root().join(area).join(format!("requirements-{name}.txt"));
        let version = output(Command::new("python3").arg("--version"))?;
        let recipe = format!("{version}{}", read_text(&requirements)?);
        // Written when all is installed, so that half an installation is never taken for a whole one.
        let stamp = folder.join("recipe.txt");
        let environment = Self { folder };
        if fs::read_to_string(&stamp).is_ok_and(|made_by| made_by == recipe) {
            return Ok(environment);
        }
        println!("--- installing {}", requirements.strip_prefix(workspace.root()).unwrap_or(&requirements).display());
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment.folder))
            .map_err(|failure| failure.hint("Debian and Ubuntu ship it as python3-venv"))?;
        let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"];
        run(environment.python().args(pip).arg(&requirements))
            .map_err(|failure| failure.hint("needs Python 3.11 or newer, and a package index that pip can reach"))?;
        fs::write(&stamp, recipe)
            .map_err(|error| Failure::new(format!("could not write {}: {error}", stamp.display())))?;
        Ok(environment)
    }

    /// A program that one of its packages brought.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// A program of `bench/`, run by its Python.
    pub(crate) fn script(&self, workspace: &Workspace, name: &str) -> Command {
        let mut command = self.python();
        command.arg(workspace.root().join("bench").join(name));
        command
    }

    /// Its Python.
    pub(crate) fn python(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin").join("python"));
        // No byte code beside the sources, and no telemetry from Python's ONNX Runtime either.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("ORT_DISABLE_TELEMETRY", "1");
        command.env("PYTHONUNBUFFERED", OsStr::new("1"));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_its_pinned_requirements_and_its_checks() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop");
        for peer in &PEERS {
            let requirements = read_text(&folder.join(format!("requirements-{}.txt", peer.name))).unwrap();
            for line in requirements.lines().filter(|line| !line.starts_with('#')) {
                assert!(line.contains("=="), "{}: `{line}` is not pinned", peer.name);
            }
            for check in peer.checks {
                assert!(folder.join(check).is_file(), "{check}");
            }
        }
    }

    #[test]
    fn ci_runs_a_peer() {
        assert!(!light().is_empty());
    }
}
