//! Errors at the edge of the program: a chain of causes, hints what to do, an exit code.

use std::process::ExitCode;

use natureddit_net::NetError;

use super::hints;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Ok,
    /// It could not, or found what it looked for to be wrong.
    Failed,
    /// It was asked something that makes no sense.
    Usage,
}

impl Exit {
    /// The exit of a command line that clap answers itself, with help or with an error.
    pub(super) fn of_clap(message: &clap::Error) -> Self {
        if message.use_stderr() { Self::Usage } else { Self::Ok }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Usage => Self::from(2),
        }
    }
}

/// Why a command failed. Anything that converts into [`anyhow::Error`] converts into it with `?`.
#[derive(Debug)]
pub(crate) struct CliError {
    error: anyhow::Error,
    hints: Vec<String>,
    exit: Exit,
}

impl CliError {
    /// A command line that makes no sense in a way clap cannot see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { error: anyhow::Error::msg(message.into()), hints: Vec::new(), exit: Exit::Usage }
    }

    /// As [`CliError::usage`], where a library says why.
    pub(crate) fn usage_because(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, ..Self::from(error) }
    }

    /// The first cause of a type.
    pub(crate) fn cause<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.error.chain().find_map(|cause| cause.downcast_ref())
    }

    /// The exit of the program.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The message, then its causes from the outermost to the first: never empty. A cause that only repeats is left out, and
    /// of a connection that failed all but the first cause: those between name the layers of the client.
    pub(crate) fn messages(&self) -> Vec<String> {
        let causes: Vec<_> = self.error.chain().collect();
        let is_connection = |at: &usize| matches!(causes[*at].downcast_ref(), Some(NetError::Connection { .. }));
        let connection = (0..causes.len()).find(is_connection).unwrap_or(causes.len());
        let layers = connection + 1..causes.len().saturating_sub(1);
        let told = causes.iter().enumerate().filter(|(at, _)| !layers.contains(at));
        let mut messages: Vec<String> = Vec::new();
        for message in told.map(|(_, cause)| cause.to_string()) {
            if messages.last() != Some(&message) {
                messages.push(message);
            }
        }
        messages
    }

    /// What to do about it: what the first cause that is known asks for, else what the command said. A command cannot
    /// know whether the model it looks for was never pushed or is corrupted; the cause does.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self.error.chain().find_map(hints::of) {
            Some(hint) => vec![hint],
            None => self.hints.clone(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for CliError {
    fn from(error: E) -> Self {
        Self { error: error.into(), hints: Vec::new(), exit: Exit::Failed }
    }
}

/// Attaches hints to the error of a result.
pub(crate) trait HintExt<T> {
    /// Says what to do about the error.
    fn hint(self, hint: impl Into<String>) -> Result<T, CliError>;
}

impl<T, E: Into<CliError>> HintExt<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, CliError> {
        self.map_err(|error| {
            let mut error = error.into();
            error.hints.push(hint.into());
            error
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context;
    use natureddit_core::fs;

    use super::*;

    #[test]
    fn the_hint_of_a_cause_comes_before_that_of_the_command() {
        let cause = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let full = fs::FsError::new("write", Path::new("/data/x"), cause);
        let error = Err::<(), _>(full).hint("name another file").unwrap_err();
        assert_eq!(error.hints(), ["free some disk space and run it again"]);
    }

    #[test]
    fn causes_follow_the_message_and_a_command_hints_where_no_cause_does() {
        let missing = || fs::read(Path::new("/nowhere/x")).context("could not load the labels");
        let error: CliError = missing().hint("run `natureddit label import`").unwrap_err();
        let messages = error.messages();
        assert_eq!(messages[..2], ["could not load the labels", "could not read /nowhere/x"]);
        assert_eq!(messages.len(), 3);
        assert_eq!(error.hints(), ["run `natureddit label import`"]);
        assert_eq!(error.exit(), Exit::Failed);
        assert_eq!(CliError::from(missing().unwrap_err()).hints(), Vec::<String>::new());
    }

    #[test]
    fn a_cause_that_only_repeats_its_message_is_left_out() {
        let transparent = crate::config::ConfigError::from(fs::read(Path::new("/nowhere/x")).unwrap_err());
        let messages = CliError::from(anyhow::Error::new(transparent)).messages();
        assert_eq!(messages.len(), 2, "{messages:?}");
    }
}
