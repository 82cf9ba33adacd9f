//! The command line. A command is one file here, one variant of [`Command`] and one arm of [`Command::run`].
//!
//! Results go to the standard output, everything else (progress, logs, errors) to the standard error; the exit code
//! is 0 for success, 1 for failure and 2 for a command line that makes no sense.

mod collect;
mod config;
mod daily;
mod dataset;
mod dataset_files;
mod dataset_stats;
mod demo;
mod doctor;
mod dvc;
mod error;
mod evaluation;
mod features;
mod forget;
mod gc;
mod hints;
mod init;
mod label;
mod lineage;
mod logging;
mod model;
mod out_file;
mod output;
mod predict;
mod progress;
mod run;
mod sandbox;
mod score;
mod serve;
mod session;
mod signals;
mod sync_deletions;
mod tracking;
mod words;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use error::{CliError, Exit};
use session::{GlobalArgs, Session};

const EXAMPLES: &str = "\
Examples:
  natureddit demo                   the whole loop on a simulated Reddit, into ./natureddit-demo
  natureddit init my-project        make a project folder with a commented settings file
  natureddit collect --last 1d      posts and photos of the last day into the dataset
  natureddit daily                  the update of yesterday: collect, merge, version, push
  natureddit run                    the pipeline: examples, features, training, evaluation, push
  natureddit serve                  answer predictions over HTTPS
  natureddit doctor                 say whether this machine has what the program needs

Environment:
  NATUREDDIT_LOG         what is logged to the standard error: info, debug, natureddit_net=trace
  NATUREDDIT_LOG_FORMAT  how: text, or json for an object a line
  NO_COLOR               when set, nothing is coloured";

/// The whole machine-learning loop for Reddit posts, in one program.
#[derive(Debug, Parser)]
#[command(name = "natureddit", version, about, after_help = EXAMPLES, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Collect(collect::Args),
    Daily(daily::Args),
    Task(daily::TaskArgs),
    Dataset(dataset::Args),
    Dvc(dvc::Args),
    Label(label::Args),
    Run(run::Args),
    Lineage(lineage::Args),
    Gc(gc::Args),
    Tracking(tracking::Args),
    Model(model::Args),
    Predict(predict::Args),
    Score(score::Args),
    Serve(serve::Args),
    Sandbox(sandbox::Args),
    Config(config::Args),
    Doctor(doctor::Args),
}

impl Command {
    fn run(&self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Self::Demo(args) => demo::run(args, session),
            Self::Init(args) => init::run(args, session),
            Self::Collect(args) => collect::run(args, session),
            Self::Daily(args) => daily::run(args, session),
            Self::Task(args) => daily::run_task(args, session),
            Self::Dataset(args) => dataset::run(args, session),
            Self::Dvc(args) => dvc::run(args, session),
            Self::Label(args) => label::run(args, session),
            Self::Run(args) => run::run(args, session),
            Self::Lineage(args) => lineage::run(args, session),
            Self::Gc(args) => gc::run(args, session),
            Self::Tracking(args) => tracking::run(args, session),
            Self::Model(args) => model::run(args, session),
            Self::Predict(args) => predict::run(args, session),
            Self::Score(args) => score::run(args, session),
            Self::Serve(args) => serve::run(args, session),
            Self::Sandbox(args) => sandbox::run(args, session),
            Self::Config(args) => config::run(args, session),
            Self::Doctor(args) => doctor::run(args, session),
        }
    }
}

/// Runs the command line of this process; the result is its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let parsed = Cli::try_parse().and_then(|cli| match cli.global.name_the_project_twice() {
        true => Err(Cli::command().error(
            ErrorKind::ArgumentConflict,
            "the argument '--project <DIR>' cannot be used with '--config <FILE>'",
        )),
        false => Ok(cli),
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(message) => {
            // Help goes to the standard output and is no error; that a closed pipe cannot take it changes nothing.
            let _ = message.print();
            if message.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
                output::usage_error_as_json(&message);
            }
            return Exit::of_clap(&message).into();
        }
    };
    let session = Session::new(cli.global);
    let done = session.start_logging().and_then(|()| cli.command.run(&session));
    let exit = done.unwrap_or_else(|error| session.output.error(&error));
    session.output.finish();
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{} has none", command.get_name());
            let longest = help.lines().map(str::len).max().unwrap_or_default();
            assert!(longest <= 100, "an example of {} would be broken at the 100th column", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
