//! `natureddit init`: a project folder with a commented settings file.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use natureddit_core::fs;
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use crate::config::{FILE_NAME, commented_example};

const EXAMPLES: &str = "\
Examples:
  natureddit init                   make the current folder a project
  natureddit init my-project        make a new folder";

/// Make a project folder with a commented settings file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder; it is made if it is not there [default: the current folder]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    file: PathBuf,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "made {}", self.file.display())?;
        write!(f, "next: read it, then `natureddit doctor` says whether this machine is ready")
    }
}

/// What a project's folder holds that is of no use to anybody else: the locks, which stay when they are given back.
const IGNORED: &str = "/data/.lock\n/labels/.lock\n/models/*/.lock\n/pipeline/.lock\n/pipeline/tracking/*.lock\n";

/// Keeps the locks out of version control; a `.gitignore` that is there already is its owner's.
pub(super) fn ignore_locks(dir: &Path) -> Result<(), CliError> {
    let file = dir.join(".gitignore");
    if fs::optional(fs::metadata(&file))?.is_none() {
        fs::write_atomic(&file, IGNORED)?;
    }
    Ok(())
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let dir = session.new_project_folder(args.dir.as_deref())?;
    let file = dir.join(FILE_NAME);
    if fs::optional(fs::metadata(&file))?.is_some() {
        return Err(anyhow!("{} is already there", file.display()))
            .hint("it was left as it is; `natureddit config check` says whether it is right");
    }
    fs::write_atomic(&file, commented_example())?;
    ignore_locks(&dir)?;
    session.output.result(&Made { file })?;
    Ok(Exit::Ok)
}
