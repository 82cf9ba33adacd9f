//! What a command says: results on the standard output, for people or as JSON; the rest on the standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use console::style;
use indicatif::{MultiProgress, ProgressDrawTarget};
use natureddit_core::Progress;
use serde::Serialize;

use super::error::{CliError, Exit};
use super::progress;

/// Where a command's words go.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// The progress bars; every other line for the standard error is printed above them.
    bars: MultiProgress,
}

impl Output {
    /// `json`: results are JSON. `quiet`: no progress and no notes. Bars are drawn only for a person who sees them.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        let quiet = quiet || json;
        let bars = MultiProgress::new();
        if quiet || !io::stderr().is_terminal() {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { json, quiet, bars }
    }

    /// Prints a command's result: its `Display` form, or with `--json` its JSON.
    pub(crate) fn result<T: Serialize + Display>(&self, result: &T) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(result)? } else { result.to_string() };
        let written = self.bars.suspend(|| writeln!(io::stdout().lock(), "{}", text.trim_end()));
        match written {
            // Who closes the pipe has read enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Where long work reports to: bars on a terminal, else one line for each finished step, or nothing.
    pub(crate) fn progress(&self) -> Progress {
        if self.quiet { Progress::silent() } else { progress::to(self.bars.clone()) }
    }

    /// Prints an error with its causes and hints, with `--json` also as JSON on the standard output; gives the exit.
    pub(super) fn error(&self, error: &CliError) -> Exit {
        let (messages, hints) = (error.messages(), error.hints());
        self.bars.suspend(|| eprint_error(&messages, &hints));
        if self.json {
            let report = serde_json::json!({ "error": { "messages": messages, "hints": hints } });
            // Nobody is left to tell when neither of the two can be written.
            let _ = writeln!(io::stdout().lock(), "{report:#}");
        }
        error.exit()
    }

    /// A writer for lines that must not be drawn over by the bars.
    pub(super) fn above_bars(&self) -> AboveBars {
        AboveBars(self.bars.clone())
    }
}

fn eprint_error(messages: &[String], hints: &[String]) {
    for (at, message) in messages.iter().enumerate() {
        let word = if at == 0 { style("error:").for_stderr().red().bold() } else { style("  caused by:").for_stderr() };
        eprintln!("{word} {message}");
    }
    for hint in hints {
        eprintln!("{} {hint}", style("hint:").for_stderr().cyan());
    }
}

/// The standard error, written above the progress bars.
#[derive(Clone)]
pub(super) struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
