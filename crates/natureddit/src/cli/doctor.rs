//! `natureddit doctor`: whether this machine has what the program needs. It asks nothing of the network.

mod assets;
mod machine;
mod project;

use std::fmt;

use console::style;
use serde::Serialize;

use super::error::{CliError, Exit};
use super::session::Session;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  natureddit doctor                 look at this machine and this project
  natureddit doctor --json          the same for a program; the exit code is 1 if a check failed";

/// Say whether this machine has what the program needs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {}

/// Every check but that of the settings themselves, in the order they are told. A new one is a function and a line.
const CHECKS: [fn(&Config) -> Finding; 7] = [
    project::project_folder,
    project::cache_folder,
    machine::pip,
    assets::assets,
    machine::disk_space,
    machine::memory,
    machine::processor_cores,
];

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// Nothing to do.
    Ok,
    /// The program works, but not everywhere or not well.
    Warn,
    /// The program does not work like this.
    Fail,
}

/// What a check found.
#[derive(Debug, PartialEq, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    found: String,
    hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, found: found.into(), hint: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, status: Status::Warn, found: found.into(), hint: Some(hint.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, hint: Option<String>) -> Self {
        Self { check, status: Status::Fail, found: found.into(), hint }
    }
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, status, found, hint } in &self.checks {
            let word = match status {
                Status::Ok => style("ok  ").green(),
                Status::Warn => style("warn").yellow(),
                Status::Fail => style("fail").red().bold(),
            };
            writeln!(f, "{word}  {check:<16} {found}")?;
            if let Some(hint) = hint {
                writeln!(f, "      {:<16} {} {hint}", "", style("hint:").cyan())?;
            }
        }
        let count = |status| self.checks.iter().filter(|finding| finding.status == status).count();
        match (count(Status::Fail), count(Status::Warn)) {
            (0, 0) => write!(f, "everything is ready"),
            (failed, warned) => write!(f, "{failed} failed, {warned} to look at"),
        }
    }
}

pub(super) fn run(_args: &Args, session: &Session) -> Result<Exit, CliError> {
    let (config, settings) = match session.config_or_defaults() {
        Ok(config) => {
            let finding = project::settings(&config);
            (config, finding)
        }
        // The other checks are worth telling although the settings are wrong.
        Err(e) => (session.defaults()?, Finding::fail("settings", e.messages().join(": "), e.hints().pop())),
    };
    let mut checks = vec![settings];
    checks.extend(CHECKS.iter().map(|check| check(&config)));
    let ok = checks.iter().all(|finding| finding.status != Status::Fail);
    session.output.result(&Report { ok, checks })?;
    Ok(if ok { Exit::Ok } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_lines_up_and_counts() {
        let checks = vec![
            Finding::ok("memory", "3.0 GiB free"),
            Finding::warn("pip", "python3 was not found", "install it"),
            Finding::fail("settings", "unknown key", None),
        ];
        let text = Report { ok: false, checks }.to_string();
        insta::assert_snapshot!(console::strip_ansi_codes(&text), @r"
        ok    memory           3.0 GiB free
        warn  pip              python3 was not found
                               hint: install it
        fail  settings         unknown key
        1 failed, 1 to look at
        ");
    }
}
