//! What a command says: results on the standard output, for people or as JSON; the rest on the standard error.

mod queue;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use console::style;
use indicatif::{MultiProgress, ProgressDrawTarget};
use natureddit_core::Progress;
use serde::Serialize;

use super::error::{CliError, Exit};
use super::progress;
use super::words::printable;
use queue::LineQueue;

/// Where a command's words go.
pub(crate) struct Output {
    json: bool,
    /// No notes for people.
    quiet: bool,
    /// No progress of any kind.
    without_progress: bool,
    /// The progress bars; every other line for the standard error is printed above them.
    bars: MultiProgress,
    /// Where those lines wait while the program serves.
    queue: Arc<OnceLock<LineQueue>>,
}

impl Output {
    /// `json`: results are JSON, and so is progress; no notes. `quiet`: no progress and no notes. Bars are drawn only for a person who sees them.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        let without_progress = quiet;
        let quiet = quiet || json;
        let bars = MultiProgress::new();
        if quiet || !io::stderr().is_terminal() {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { json, quiet, without_progress, bars, queue: Arc::default() }
    }

    /// From now on nobody waits for the standard error, which may be full, or a pipe that nobody reads: lines are lost before a
    /// request is. `lost` makes the line that tells how many were.
    pub(super) fn queue_lines(&self, lost: impl Fn(u64) -> String + Send + 'static) -> anyhow::Result<()> {
        let bars = self.bars.clone();
        let queue = LineQueue::start(move |line| write_above(&bars, line), lost);
        // A second one would have nobody to write into it.
        let _ = self.queue.set(queue.context("could not start a thread for the log")?);
        Ok(())
    }

    /// Writes the lines that wait, before the program ends.
    pub(super) fn finish(&self) {
        if let Some(queue) = self.queue.get() {
            queue.finish();
        }
    }

    /// Prints a command's result: its `Display` form, or with `--json` its JSON.
    pub(crate) fn result<T: Serialize + Display>(&self, result: &T) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(result)? } else { result.to_string() };
        let written = self.bars.suspend(|| writeln!(io::stdout().lock(), "{}", text.trim_end()));
        match written {
            // Who closes the pipe has read enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.context("could not write the result to the standard output"),
        }
    }

    /// Whether nothing is to be said but by the exit code.
    pub(crate) fn is_quiet(&self) -> bool {
        self.without_progress
    }

    /// Where long work reports to: bars on a terminal, else a line now and then and one for each finished step; with
    /// `--json` an object a line; or nothing.
    pub(crate) fn progress(&self) -> Progress {
        match (self.without_progress, self.json) {
            (true, _) => Progress::silent(),
            (false, true) => progress::events::to(io::stderr()),
            (false, false) => progress::to(self.bars.clone()),
        }
    }

    /// As [`Output::progress`], for tasks that work at the same time, by their names.
    pub(crate) fn progress_of_tasks(&self) -> Box<dyn Fn(&'static str) -> Progress + Send + Sync> {
        match (self.without_progress, self.json) {
            (true, _) => Box::new(|_| Progress::silent()),
            (false, true) => Box::new(progress::events::tasks(io::stderr())),
            (false, false) => Box::new(progress::tasks(self.bars.clone())),
        }
    }

    /// Tells what is going on: a line on the standard error, unless nobody wants to hear.
    pub(crate) fn note(&self, text: &str) {
        self.tell(&format!("      {text}"));
    }

    /// As [`Output::note`], for whoever outlives this.
    pub(crate) fn notes(&self) -> impl Fn(&str) + Send + 'static {
        let (above_bars, quiet) = (self.above_bars(), self.quiet);
        move |text| {
            if !quiet {
                above_bars.line(&format!("      {text}"));
            }
        }
    }

    /// Tells lines of what came of it so far, on the standard error.
    pub(crate) fn lines(&self, text: &str) {
        self.tell(text.trim_end());
    }

    /// Tells a program what happened: with `--json` an object on a line of the standard error.
    pub(crate) fn event(&self, event: &serde_json::Value) {
        if self.json && !self.without_progress {
            self.above_bars().line(&event.to_string());
        }
    }

    /// The bars, where somebody sees them.
    pub(crate) fn bars(&self) -> Option<&MultiProgress> {
        (!self.bars.is_hidden()).then_some(&self.bars)
    }

    /// Begins a step that has a name.
    pub(crate) fn heading(&self, text: &str) {
        self.tell(&style(text).for_stderr().bold().to_string());
    }

    /// Tells that Ctrl-C was heard, and what can be done now.
    pub(crate) fn stopped(&self, next: &str) {
        // A terminal has just shown ^C and stands behind it.
        let start = if io::stderr().is_terminal() { "\n" } else { "" };
        self.tell(&format!("{start}stopped; {next}"));
    }

    fn tell(&self, line: &str) {
        if !self.quiet {
            self.above_bars().line(line);
        }
    }

    /// Prints an error with its causes and hints, with `--json` also as JSON on the standard output; gives the exit.
    pub(super) fn error(&self, error: &CliError) -> Exit {
        let (messages, hints) = (error.messages(), error.hints());
        self.above_bars().line(&error_text(&messages, &hints));
        if self.json {
            print_error(&messages, &hints);
        }
        error.exit()
    }

    /// A writer for lines that must not be drawn over by the bars.
    pub(super) fn above_bars(&self) -> AboveBars {
        AboveBars { bars: self.bars.clone(), queue: self.queue.clone() }
    }
}

/// Prints an error of the command line, which clap has told already, as every other with `--json`.
pub(super) fn usage_error_as_json(error: &clap::Error) {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message).to_owned();
    let hints: Vec<_> = lines.filter_map(|line| line.strip_prefix("tip: ")).map(str::to_owned).collect();
    print_error(&[message], &hints);
}

fn print_error(messages: &[String], hints: &[String]) {
    let report = serde_json::json!({
        "error": { "message": messages[0], "caused_by": messages[1..], "hints": hints }
    });
    // Nobody is left to tell when it cannot be written.
    let _ = writeln!(io::stdout().lock(), "{report:#}");
}

fn error_text(messages: &[String], hints: &[String]) -> String {
    let error = style("error:").for_stderr().red().bold();
    let hint = style("hint:").for_stderr().cyan();
    let mut lines = vec![format!("{error} {}", printable(&messages[0]))];
    lines.extend(messages[1..].iter().map(|cause| format!("  caused by: {}", printable(cause))));
    lines.extend(hints.iter().map(|text| format!("{hint} {}", printable(text))));
    lines.join("\n")
}

/// The standard error, written above the progress bars.
#[derive(Clone)]
pub(super) struct AboveBars {
    bars: MultiProgress,
    queue: Arc<OnceLock<LineQueue>>,
}

impl AboveBars {
    fn line(&self, line: &str) {
        self.take(format!("{line}\n").as_bytes());
    }

    fn take(&self, lines: &[u8]) {
        match self.queue.get() {
            Some(queue) => queue.push(lines),
            None => write_above(&self.bars, lines),
        }
    }
}

/// It never fails, or the log would panic where it cannot tell the error on the standard error either.
impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_above(bars: &MultiProgress, lines: &[u8]) {
    let write = || {
        // That a closed standard error shows nothing is no reason to stop the work.
        let _ = io::stderr().write_all(lines);
    };
    // Where none is drawn they are not to be held, or all who ask for them would wait for the standard error.
    if bars.is_hidden() { write() } else { bars.suspend(write) }
}
