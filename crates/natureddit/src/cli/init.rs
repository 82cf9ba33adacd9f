//! `natureddit init`: a project folder with a commented settings file.

use std::fmt;
use std::path::PathBuf;

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

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let file = session.new_project_folder(args.dir.as_deref())?.join(FILE_NAME);
    if fs::optional(fs::metadata(&file))?.is_some() {
        return Err(anyhow!("{} is already there", file.display()))
            .hint("it was left as it is; `natureddit config check` says whether it is right");
    }
    fs::write_atomic(&file, commented_example())?;
    session.output.result(&Made { file })?;
    Ok(Exit::Ok)
}
