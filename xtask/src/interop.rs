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

usage: cargo xtask interop [PEER...] [--light] [--project DIR]

  PEER           only these: clients, schemathesis, onnx, encoders, dvc, mlmd, reddit, tfx, tfdv, mlflow, torchserve
                 (default: all but torchserve, which needs Java and 6 GB)
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
    /// When it is run.
    run: When,
}

impl Peer {
    /// What its programs run in, made where it is not there.
    fn environment(&self, workspace: &Workspace) -> Result<VirtualEnvironment, Failure> {
        VirtualEnvironment::prepare(workspace, "interop", self.name)
    }
}

/// When a peer is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Always: it is small enough for CI.
    Always,
    /// Unless only the small ones are wanted.
    Unhurried,
    /// Only where it is named.
    Named,
}

const PEERS: [Peer; 11] = [
    Peer { name: "clients", checks: &["check_serve.py", "check_table.py"], run: When::Always },
    Peer { name: "schemathesis", checks: &["check_schemathesis.py"], run: When::Always },
    Peer { name: "onnx", checks: &["check_onnx.py", "check_torchserve_handler.py"], run: When::Always },
    // PyTorch has gigabytes.
    Peer { name: "encoders", checks: &["check_encoders.py"], run: When::Unhurried },
    Peer { name: "dvc", checks: &["check_dvc.py"], run: When::Always },
    Peer { name: "mlmd", checks: &["check_mlmd.py"], run: When::Always },
    Peer { name: "reddit", checks: &["check_praw.py"], run: When::Always },
    Peer { name: "tfx", checks: &["check_tfx.py"], run: When::Always },
    Peer { name: "tfdv", checks: &["check_tfdv.py"], run: When::Unhurried },
    Peer { name: "mlflow", checks: &["check_mlflow.py"], run: When::Always },
    // PyTorch again, and Java.
    Peer { name: "torchserve", checks: &["check_torchserve.py"], run: When::Named },
];

/// `cargo xtask interop`.
pub(crate) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.help(HELP) {
        return Ok(());
    }
    let only_light = arguments.switch("--light");
    let project = arguments.path("--project")?;
    let mut named = Vec::new();
    while let Some(word) = arguments.word_unless_option() {
        named.push(word);
    }
    arguments.finish("cargo xtask interop --help")?;
    let peers = chosen(&named, only_light)?;

    let workspace = Workspace::find()?;
    workspace.build_natureddit()?;
    let project = match project {
        Some(project) => project,
        None => demo_project(&workspace)?,
    };
    check(&workspace, &peers, &project, false)
}

/// The peers that CI runs.
pub(crate) fn light() -> Vec<&'static Peer> {
    PEERS.iter().filter(|peer| peer.run == When::Always).collect()
}

/// Those that are named, or where none is, all that are run without that.
fn chosen(named: &[String], only_light: bool) -> Result<Vec<&'static Peer>, Failure> {
    match (named, only_light) {
        ([], true) => Ok(light()),
        ([], false) => Ok(PEERS.iter().filter(|peer| peer.run != When::Named).collect()),
        (_, true) => Err(Failure::usage("either --light or names of peers", "cargo xtask interop --help")),
        (named, false) => named.iter().map(|name| peer(name)).collect(),
    }
}

fn peer(name: &str) -> Result<&'static Peer, Failure> {
    let found = PEERS.iter().find(|peer| peer.name == name);
    found.ok_or_else(|| Failure::usage(format!("no peer `{name}`"), "cargo xtask interop --help"))
}

/// Installs what the checks of each peer run in.
pub(crate) fn install(workspace: &Workspace, peers: &[&Peer]) -> Result<(), Failure> {
    peers.iter().try_for_each(|peer| peer.environment(workspace).map(drop))
}

/// How often a command is killed where all is to be tried.
const KILLS_OF_ALL: &str = "200";

/// Runs the checks of each peer on a project folder with a pushed model.
pub(crate) fn check(workspace: &Workspace, peers: &[&Peer], project: &Path, is_full: bool) -> Result<(), Failure> {
    let project = project.canonicalize().map_err(|error| {
        Failure::new(format!("no project folder {}: {error}", project.display())).hint("natureddit demo --no-serve")
    })?;
    for peer in peers {
        let environment = peer.environment(workspace)?;
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

/// A project folder with a model that learnt drawn pictures, made anew.
pub(crate) fn demo_project(workspace: &Workspace) -> Result<PathBuf, Failure> {
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

    #[test]
    fn peers_are_chosen_by_name_and_the_largest_only_so() {
        let names = |named: &[&str], only_light| {
            let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
            chosen(&named, only_light).ok().map(|peers| peers.iter().map(|peer| peer.name).collect::<Vec<_>>())
        };
        let all = names(&[], false).unwrap();
        assert!(all.contains(&"tfdv") && !all.contains(&"torchserve"), "{all:?}");
        assert_eq!(names(&["torchserve", "onnx"], false), Some(vec!["torchserve", "onnx"]));
        assert_eq!(names(&["torch"], false), None);
        assert_eq!(names(&["onnx"], true), None);
        assert!(PEERS.iter().all(|peer| HELP.contains(peer.name)));
    }
}
