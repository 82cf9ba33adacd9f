//! What every command shares: the options before it, the environment, where its words go.

use std::env;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use natureddit_core::Clock;
use natureddit_core::fs::FsError;
use natureddit_data::dvc::DvcRepo;

use super::error::CliError;
use super::logging;
use super::output::Output;
use crate::config::{Config, ConfigError, Environment, Location};

/// The options that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct GlobalArgs {
    /// The project folder [default: the nearest one with a natureddit.toml, from the current folder upwards]
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "config")]
    project: Option<PathBuf>,
    /// The settings file, in the project folder
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON; progress is one JSON object a line on the standard error
    #[arg(long, global = true)]
    json: bool,
    /// Show no progress, also none with --json
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Log what is done
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// One run of the program.
pub(crate) struct Session {
    /// Where a command's words go.
    pub(crate) output: Output,
    /// The time.
    pub(crate) clock: Clock,
    environment: Environment,
    global: GlobalArgs,
}

impl GlobalArgs {
    /// What clap sees only of two options that stand on the same side of the command's name.
    pub(super) fn name_the_project_twice(&self) -> bool {
        self.project.is_some() && self.config.is_some()
    }
}

impl Session {
    pub(super) fn new(global: GlobalArgs) -> Self {
        Self {
            output: Output::new(global.json, global.quiet),
            clock: Clock::System,
            environment: Environment::read(),
            global,
        }
    }

    /// This moment, to the second.
    pub(crate) fn now(&self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::from_second(self.clock.now().as_second())?)
    }

    pub(super) fn start_logging(&self) -> Result<(), CliError> {
        logging::start(&self.environment, self.global.verbose, self.output.above_bars())
    }

    /// To be called before the program answers others, who must not wait for who reads its log.
    pub(super) fn queue_lines(&self) -> anyhow::Result<()> {
        self.output.queue_lines(logging::lost(&self.environment, self.clock.clone()))
    }

    /// The settings of the project the command is about; an error outside of one.
    pub(crate) fn config(&self) -> Result<Config, CliError> {
        Ok(Config::read(&self.location()?, &self.environment)?)
    }

    /// The settings of the project as a file that sets every key, some of `[collect]` to other values.
    pub(crate) fn effective_settings(&self, collect: &[(&str, String)]) -> Result<String, CliError> {
        Ok(Config::effective(&self.location()?, &self.environment, collect)?)
    }

    /// The settings of a file that is about the project but does not lie where the project's own does.
    pub(crate) fn config_of_file(&self, file: &Path) -> Result<Config, CliError> {
        let location = Location { file: file.to_owned(), ..self.location()? };
        Ok(Config::read(&location, &self.environment)?)
    }

    /// As [`Session::config`], and outside of a project the defaults. A project that was named must be there.
    pub(crate) fn config_or_defaults(&self) -> Result<Config, CliError> {
        self.config_unless_absent(false)
    }

    /// As [`Session::config_or_defaults`], for work in a folder that need not be a project, also where `--project` names it.
    pub(crate) fn config_if_any(&self) -> Result<Config, CliError> {
        self.config_unless_absent(true)
    }

    fn config_unless_absent(&self, also_where_named: bool) -> Result<Config, CliError> {
        match self.location() {
            Err(ConfigError::NotFound { searched_above, .. }) if searched_above || also_where_named => self.defaults(),
            location => Ok(Config::read(&location?, &self.environment)?),
        }
    }

    /// The settings of a project that sets none, in the current folder.
    pub(crate) fn defaults(&self) -> Result<Config, CliError> {
        Ok(Config::defaults(&working_dir()?, &self.environment)?)
    }

    /// As [`Session::defaults`], for a project that is about to be made in `dir`.
    pub(crate) fn defaults_in(&self, dir: &Path) -> Result<Config, CliError> {
        Ok(Config::defaults(&below(&working_dir()?, dir), &self.environment)?)
    }

    /// The settings of the project in `dir`, whatever folder the command was started in.
    pub(crate) fn config_in(&self, dir: &Path) -> Result<Config, CliError> {
        let location = Location::of_project(&below(&working_dir()?, dir))?;
        Ok(Config::read(&location, &self.environment)?)
    }

    /// The folder to make a project in: `dir`, else the one named with `--project`, else the current one.
    pub(crate) fn new_project_folder(&self, dir: Option<&Path>) -> Result<PathBuf, CliError> {
        if self.global.config.is_some() || (dir.is_some() && self.global.project.is_some()) {
            return Err(CliError::usage("a new project takes one folder, and no --config or --project beside it"));
        }
        let named = dir.or(self.global.project.as_deref());
        Ok(below(&working_dir()?, named.unwrap_or(Path::new(""))))
    }

    /// Refuses `--project` and `--config`, for a command that has a folder of its own and says `why`.
    pub(crate) fn refuse_named_project(&self, why: &str) -> Result<(), CliError> {
        match (&self.global.project, &self.global.config) {
            (None, None) => Ok(()),
            (Some(_), _) => Err(CliError::usage(format!("{why}, so it takes no --project"))),
            (None, Some(_)) => Err(CliError::usage(format!("{why}, so it takes no --config"))),
        }
    }

    /// The folder the command is about: the one named with `--project`, else the current one.
    pub(crate) fn folder(&self) -> Result<PathBuf, CliError> {
        let here = working_dir()?;
        Ok(self.global.project.as_ref().map_or_else(|| here.clone(), |folder| below(&here, folder)))
    }

    /// A path as the command line names it, absolute.
    pub(crate) fn path(&self, path: &Path) -> Result<PathBuf, CliError> {
        Ok(below(&working_dir()?, path))
    }

    /// The `config.properties` that the environment names, absolute.
    pub(crate) fn torchserve_config(&self) -> Result<Option<PathBuf>, CliError> {
        self.environment.torchserve_config.as_deref().map(|file| self.path(file)).transpose()
    }

    fn location(&self) -> Result<Location, ConfigError> {
        let here = working_dir()?;
        match (&self.global.project, &self.global.config) {
            (Some(folder), _) => Location::of_project(&below(&here, folder)),
            (None, Some(file)) => Ok(Location::of_file(&below(&here, file))),
            (None, None) => Location::find(&here),
        }
    }
}

/// A path seen from a folder, without the `.` and `..` that people and shells put into it: what lies below it must begin
/// with it.
fn below(here: &Path, path: &Path) -> PathBuf {
    DvcRepo::absolute(here, path)
}

fn working_dir() -> Result<PathBuf, FsError> {
    env::current_dir().map_err(|e| FsError::new("find", Path::new("the current folder"), e))
}
