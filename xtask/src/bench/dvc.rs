//! `cargo xtask bench dvc`: `natureddit dvc` beside the real `dvc`, in one run on the same files.

mod daily;
mod local;
mod many;
mod repository;
mod s3;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Part, child, measure_parts, median};
use crate::arguments::Arguments;
use crate::interop::VirtualEnvironment;
use crate::process::{Failure, run};
use crate::workspace::Workspace;

/// The files of a dataset of photos.
const PHOTOS: FileSet = FileSet { count: 4432, bytes: 350_000, spread: 60_000 };
/// What a day brings.
const NEW: FileSet = FileSet { count: 50, ..PHOTOS };
/// Small files, but many.
const MANY: FileSet = FileSet { count: 100_000, bytes: 10_000, spread: 0 };

const PARTS: [Part<Bench>; 4] =
    [("local", local::measure), ("s3", s3::measure), ("many", many::measure), ("daily", daily::measure)];

pub(super) fn main(arguments: &mut Arguments) -> Result<(), Failure> {
    measure_parts(&PARTS, Bench::prepare, arguments, "medians of interleaved rounds, the files in the page cache")
}

/// How many files of which size.
#[derive(Clone, Copy)]
struct FileSet {
    count: usize,
    bytes: usize,
    spread: usize,
}

/// Whose program it is that works on a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    /// The real one.
    Theirs,
    Ours,
    /// Ours, told not to wait for the disk.
    OursUnsynced,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Theirs => "dvc",
            Self::Ours => "natureddit",
            Self::OursUnsynced => "natureddit, fsync = false",
        }
    }
}

/// What every part of this bench needs; what it wrote is removed when it is dropped.
struct Bench {
    workspace: Workspace,
    python: VirtualEnvironment,
    folder: PathBuf,
}

impl Bench {
    fn prepare() -> Result<Self, Failure> {
        let workspace = Workspace::find()?;
        let python = VirtualEnvironment::prepare(&workspace, "interop", "dvc")?;
        workspace.build_natureddit()?;
        let folder = workspace.empty_folder("bench-dvc")?;
        Ok(Self { workspace, python, folder })
    }

    /// The program of a tool, started in `folder`, with nothing of the user's settings.
    fn tool(&self, tool: Tool, folder: &Path) -> Command {
        let mut command = match tool {
            Tool::Theirs => Command::new(self.python.program("dvc")),
            Tool::Ours | Tool::OursUnsynced => {
                let mut command = self.program(folder);
                command.arg("dvc");
                command
            }
        };
        command.current_dir(folder);
        self.set_environment(&mut command);
        command
    }

    /// Our whole program, started in `folder`, with nothing of the user's settings.
    fn program(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.workspace.natureddit_path());
        command.current_dir(folder);
        self.set_environment(&mut command);
        command
    }

    /// Git, started in `folder`.
    fn git(&self, folder: &Path, words: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new("git");
        command.args(words).current_dir(folder);
        self.set_environment(&mut command);
        run(&mut command)
    }

    fn set_environment(&self, command: &mut Command) {
        let home = self.folder.join("home");
        command.env("HOME", &home).env("XDG_CONFIG_HOME", &home).env("DVC_SITE_CACHE_DIR", home.join("site"));
        command.env("DVC_NO_ANALYTICS", "1").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "bench").env(format!("GIT_{who}_EMAIL"), "bench@localhost");
        }
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("AWS_DEFAULT_REGION", "us-east-1");
    }

    /// A program of `bench/`.
    fn script(&self, name: &str) -> Command {
        let mut command = self.python.python();
        command.arg(self.workspace.root().join("bench").join(name));
        command
    }

    /// Writes files of random bytes, and waits until they are on the disk.
    fn make_files(&self, folder: &Path, set: FileSet, first: usize) -> Result<(), Failure> {
        let words = [set.count, set.bytes, set.spread, first].map(|number| number.to_string());
        run(self.script("make_files.py").arg(folder).args(words))?;
        sync()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // It is large, and of no use to anybody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Waits until all that was written is on the disk, so that no step pays for what another one wrote.
fn sync() -> Result<(), Failure> {
    run(&mut Command::new("sync"))
}

/// Removes a folder, and waits until that is done on the disk too.
fn remove(folder: &Path) -> Result<(), Failure> {
    fs::remove_dir_all(folder)
        .map_err(|error| Failure::new(format!("could not remove {}: {error}", folder.display())))?;
    sync()
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|error| Failure::new(format!("could not move {}: {error}", from.display())))
}

/// The bytes and the number of the files of a folder that has no folders in it.
fn size_of(folder: &Path) -> Result<(f64, usize), Failure> {
    let failed = |error| Failure::new(format!("could not read {}: {error}", folder.display()));
    let (mut bytes, mut files) = (0, 0);
    for entry in fs::read_dir(folder).map_err(failed)? {
        bytes += entry.and_then(|entry| entry.metadata()).map_err(failed)?.len();
        files += 1;
    }
    Ok((bytes as f64, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_large_as_its_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench/dvc");
        let (bytes, files) = size_of(&folder).unwrap();
        assert!(bytes > 1000.0 && files == 5, "{bytes} bytes in {files} files");
        assert!(size_of(&folder.join("nosuch")).is_err());
    }
}
