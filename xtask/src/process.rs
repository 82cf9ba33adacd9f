//! Child processes, and the one way in which xtask fails.

use std::ffi::OsString;
use std::fmt;
use std::process::{Command, ExitCode, Stdio};

/// Why xtask stops: what went wrong, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    is_usage: bool,
}

impl Failure {
    /// Something that was run or checked did not hold.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_usage: false }
    }

    /// The command line was wrong; `help_command` tells how it should be.
    pub(crate) fn usage(message: impl Into<String>, help_command: &str) -> Self {
        Self { message: message.into(), hint: Some(format!("see `{help_command}`")), is_usage: true }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says in which step it happened.
    #[must_use]
    pub(crate) fn within(mut self, step: &str) -> Self {
        self.message = format!("{step}: {}", self.message);
        self
    }

    /// 2 for a wrong command line, 1 for all else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.is_usage { 2 } else { 1 })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(out, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The cargo that runs us, or the one on the path. What cargo told us about ourselves is not handed on: build scripts
/// look at it, and would run again, with all that stands on them, after every build that was typed by hand.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    for (name, _) in std::env::vars_os() {
        let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.to_string_lossy().starts_with(start));
        if about_us {
            command.env_remove(&name);
        }
    }
    command
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    command.get_args().fold(name.into_owned(), |line, word| line + " " + &word.to_string_lossy())
}

/// Runs to the end with our own stdout and stderr, and an empty stdin: nothing here ever asks.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` ended with {status}", shown(command)))) }
}

/// Runs to the end and returns its stdout; stderr is ours.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{}` ended with {}", shown(command), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{}` did not print UTF-8", shown(command))))
}

/// The failure of a program that could not be started at all.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    Failure::new(format!("could not start `{program}`: {error}"))
        .hint(format!("is `{program}` installed and on the path?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_by_its_name_and_words() {
        let mut command = Command::new("target/release/natureddit");
        command.args(["demo", "--no-serve"]);
        assert_eq!(shown(&command), "natureddit demo --no-serve");
    }

    #[test]
    fn what_cargo_says_about_us_is_not_handed_on() {
        // Cargo sets it for every test that it runs.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let command = cargo();
        assert!(command.get_envs().any(|(name, value)| name == "CARGO_MANIFEST_DIR" && value.is_none()));
    }

    #[test]
    fn a_failing_child_is_a_failure_that_names_it() {
        let failure = run(cargo().args(["--list", "--no-such-option"]).stderr(Stdio::null())).unwrap_err();
        assert!(failure.to_string().contains("cargo --list --no-such-option"), "{failure}");
    }

    #[test]
    fn a_missing_program_is_named_with_a_hint() {
        let failure = run(&mut Command::new("natureddit-no-such-program")).unwrap_err();
        assert!(failure.to_string().contains("could not start `natureddit-no-such-program`"), "{failure}");
        assert!(failure.to_string().contains("hint: "), "{failure}");
    }
}
