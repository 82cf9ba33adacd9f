//! The steps of the demo: numbered, timed.

use std::time::Instant;

use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::output::Output;

/// One finished step.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
}

/// The steps so far.
pub(super) struct Steps<'a> {
    output: &'a Output,
    done: Vec<Step>,
}

/// How many steps the demo has.
const COUNT: usize = 7;

impl<'a> Steps<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output, done: Vec::with_capacity(COUNT) }
    }

    /// Does a step and takes its time.
    pub(super) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        self.output.heading(&format!("[{}/{COUNT}] {name}", self.done.len() + 1));
        let started = Instant::now();
        let result = work()?;
        self.done.push(Step { name, seconds: started.elapsed().as_secs_f64() });
        Ok(result)
    }

    pub(super) fn finish(self) -> Vec<Step> {
        self.done
    }
}
