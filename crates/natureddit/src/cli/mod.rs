//! The command line. A command is one file here, one variant of [`Command`] and one arm of [`Command::run`].
//!
//! Results go to the standard output, everything else (progress, logs, errors) to the standard error; the exit code
//! is 0 for success, 1 for failure and 2 for a command line that makes no sense.

mod config;
mod doctor;
mod error;
mod hints;
mod init;
mod logging;
mod output;
mod progress;
mod session;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::{CliError, Exit};
use session::{GlobalArgs, Session};

const EXAMPLES: &str = "\
Examples:
  natureddit init my-project        make a project folder with a commented settings file
  natureddit config check           say whether the settings are right
  natureddit doctor                 say whether this machine has what the program needs

Environment:
  NATUREDDIT_LOG   what is logged to the standard error: info, debug, natureddit_net=trace
  NO_COLOR         when set, nothing is coloured";

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
    Init(init::Args),
    Config(config::Args),
    Doctor(doctor::Args),
}

impl Command {
    fn run(&self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Self::Init(args) => init::run(args, session),
            Self::Config(args) => config::run(args, session),
            Self::Doctor(args) => doctor::run(args, session),
        }
    }
}

/// Runs the command line of this process; the result is its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Help goes to the standard output and is no error; that a closed pipe cannot take it changes nothing.
            let _ = message.print();
            return Exit::of_clap(&message).into();
        }
    };
    let session = Session::new(cli.global);
    let done = session.start_logging().and_then(|()| cli.command.run(&session));
    done.unwrap_or_else(|error| session.output.error(&error)).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{} has none", command.get_name());
        }
    }
}
