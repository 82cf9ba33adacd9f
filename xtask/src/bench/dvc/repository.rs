//! A repository of the bench, in which one tool works and is timed.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::child::{self, Cost};
use super::{Bench, Tool, median, sync};
use crate::process::{Failure, run};
use crate::workspace::read_text;

/// Runs of a step that changes nothing; the median counts.
const UNCHANGED_RUNS: usize = 3;
/// The folder that is versioned, in every repository.
pub(super) const DATA: &str = "ds";

/// Where one tool works.
pub(super) struct Repository<'a> {
    pub(super) bench: &'a Bench,
    pub(super) tool: Tool,
    pub(super) folder: PathBuf,
}

impl<'a> Repository<'a> {
    /// A new one in `folder`, with a default remote; `more` are further lines of it.
    pub(super) fn create(
        bench: &'a Bench,
        tool: Tool,
        folder: PathBuf,
        url: &str,
        more: &str,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::new(format!("could not write {}: {error}", folder.display()));
        fs::create_dir_all(&folder).map_err(failed)?;
        bench.git(&folder, &["init", "--quiet", "--initial-branch", "main"])?;
        // The same for all, so that no tool is timed with what another made.
        run(bench.tool(Tool::Theirs, &folder).args(["init", "--quiet"]))?;
        let config = format!("[core]\n    remote = origin\n['remote \"origin\"']\n    url = {url}\n{more}");
        fs::write(folder.join(".dvc/config"), config).map_err(failed)?;
        if tool == Tool::OursUnsynced {
            fs::write(folder.join("natureddit.toml"), "[dvc]\nfsync = false\n").map_err(failed)?;
        }
        Ok(Self { bench, tool, folder })
    }

    /// What is committed, in a folder of its own.
    pub(super) fn clone_to(&self, folder: PathBuf) -> Result<Self, Failure> {
        self.bench.git(&self.folder, &["add", "--all"])?;
        self.bench.git(&self.folder, &["commit", "--quiet", "--message", "data"])?;
        let (from, to) = (self.folder.display().to_string(), folder.display().to_string());
        self.bench.git(&self.folder, &["clone", "--quiet", &from, &to])?;
        Ok(Self { folder, ..*self })
    }

    /// The versioned folder.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join(DATA)
    }

    /// What the `.dvc` file says.
    pub(super) fn pointer(&self) -> Result<String, Failure> {
        read_text(&self.folder.join(DATA).with_extension("dvc"))
    }

    /// Runs the tool once, with the disk at rest.
    pub(super) fn once(&self, words: &[&str]) -> Result<Cost, Failure> {
        sync()?;
        let (_, cost) = child::measure(self.bench.tool(self.tool, &self.folder).args(words).arg("--quiet"))?;
        println!("  {:<26} {:<10} {:>8.3} s", self.tool.name(), words.join(" "), cost.wall);
        Ok(cost)
    }

    /// Runs what has nothing to do, several times; the seconds of the run in the middle.
    pub(super) fn unchanged(&self, words: &[&str]) -> Result<f64, Failure> {
        let mut seconds = Vec::new();
        for _ in 0..UNCHANGED_RUNS {
            seconds.push(self.once(words)?.wall);
        }
        Ok(median(seconds))
    }
}

/// Fails where two files do not say the same.
pub(super) fn check_same(what: &str, ours: &str, theirs: &str) -> Result<(), Failure> {
    if ours == theirs {
        return Ok(());
    }
    Err(Failure::new(format!("{what} differ: ours\n{ours}\ntheirs\n{theirs}")))
}

/// A folder of the bench.
pub(super) fn place(bench: &Bench, name: &str) -> PathBuf {
    Path::new(&bench.folder).join(name)
}
