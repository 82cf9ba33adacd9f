//! `natureddit tracking`: the runs that were tracked, and the server they are sent to.

mod list;
mod run;
mod show;

use anyhow::Context;
use clap::Subcommand;
use natureddit_pipeline::tracking::{DamagedRun, Sent, Tracking, Which};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use super::words::{counted, is_or_are};
use crate::config::Config;
use crate::wiring;

pub(super) use run::{RunTracker, Tracked};

const EXAMPLES: &str = "\
Examples:
  natureddit tracking list              the runs, newest first, and which of them were sent
  natureddit tracking show 01a2b        settings and figures of the run whose id begins so
  natureddit tracking send              send what the MLflow server does not have yet
  natureddit tracking send --all        also the runs from before a server was named";

/// Show tracked runs, send them to an MLflow server
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the runs, newest first
    #[command(after_help = EXAMPLES)]
    List {
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one run
    #[command(after_help = EXAMPLES)]
    Show {
        /// The beginning of its id [default: the newest run]
        id: Option<String>,
    },
    /// Send runs to the MLflow server, also those that it refused, without a limit of time
    #[command(after_help = EXAMPLES)]
    Send {
        /// Also the runs from before a server was named
        #[arg(long)]
        all: bool,
    },
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let tracking = wiring::tracking(&config)?.context("runs of this project are not tracked");
    let tracking = tracking.hint("set tracking.enabled = true in natureddit.toml")?;
    match &args.command {
        Command::List { limit } => session.output.result(&list::list(&tracking, *limit)?)?,
        Command::Show { id } => session.output.result(&show::show(&tracking, id.as_deref())?)?,
        Command::Send { all } => return send(&tracking, *all, &config, session),
    }
    Ok(Exit::Ok)
}

/// What was sent where.
#[derive(Serialize)]
struct Done {
    server: String,
    #[serde(flatten)]
    sent: Sent,
    /// What to do about those that could not be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server, sent, hint } = self;
        for id in &sent.sent {
            writeln!(f, "{id}  sent")?;
        }
        for (id, what) in &sent.left_out {
            writeln!(f, "{id}  without {what}")?;
        }
        for (id, reason) in &sent.refused {
            writeln!(f, "{id}  refused: {reason}")?;
        }
        for damaged in &sent.damaged {
            writeln!(f, "{}", passed_over(damaged))?;
        }
        let (count, waiting) = (sent.sent.len() as u64, sent.waiting as u64);
        write!(
            f,
            "{} sent to {server}; {} {} waiting",
            counted(count, "run"),
            counted(waiting, "run"),
            is_or_are(waiting)
        )?;
        if let Some(problem) = &sent.problem {
            write!(f, "\nnot every run could be sent: {problem}")?;
        }
        hint.map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

fn send(tracking: &Tracking, all: bool, config: &Config, session: &Session) -> Result<Exit, CliError> {
    let Some(server) = tracking.server() else {
        return Err(anyhow::anyhow!("no MLflow server is named")).hint(no_server(config));
    };
    let which = if all { Which::All } else { Which::Again };
    let sent = wiring::tokio_runtime()?.block_on(tracking.send(which, None))?;
    let is_whole = sent.problem.is_none() && sent.refused.is_empty() && sent.damaged.is_empty();
    let hint = sent.problem.as_ref().map(|_| advice(sent.is_unauthorized, config));
    session.output.result(&Done { server, sent, hint })?;
    Ok(if is_whole { Exit::Ok } else { Exit::Failed })
}

fn no_server(config: &Config) -> &'static str {
    if config.tracking.has_unusable_uri {
        "MLFLOW_TRACKING_URI is no http or https address: start `mlflow server` and name its address"
    } else {
        "set tracking.uri in natureddit.toml, or MLFLOW_TRACKING_URI"
    }
}

/// What is said of a damaged run.
fn passed_over(DamagedRun { reason, remedy, .. }: &DamagedRun) -> String {
    format!("warning: a run is damaged and passed over: {reason} (hint: {remedy})")
}

/// What to do when runs could not be sent.
fn advice(is_unauthorized: bool, config: &Config) -> &'static str {
    if is_unauthorized && config.tracking.access.is_some() {
        "the server refuses the name and password, or the token, of the environment"
    } else if is_unauthorized {
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
    } else {
        "they are kept, and sent by `natureddit tracking send` and by the next `natureddit run`, once an MLflow server answers \
         at that address"
    }
}
