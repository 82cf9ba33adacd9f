//! `natureddit collect sync-deletions`: what is gone on Reddit is forgotten here.

use std::collections::BTreeMap;
use std::fmt;

use natureddit_data::{CollectError, Deletions, Forgotten, sync_deletions};
use serde::Serialize;

use super::collect::source_config;
use super::error::{CliError, Exit, HintExt};
use super::forget::{ForgottenHere, forget_features};
use super::session::Session;
use crate::wiring;

pub(super) const EXAMPLES: &str = "\
Examples:
  natureddit collect sync-deletions
  natureddit collect sync-deletions --yes     also where more than a fifth are gone";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Forget the posts also where more than a fifth of all are gone at once
    #[arg(long)]
    yes: bool,
}

/// What was found and done.
#[derive(Serialize)]
struct Synced {
    checked: u64,
    present: u64,
    unsure: u64,
    gone: BTreeMap<String, &'static str>,
    forgotten: Option<ForgottenHere>,
}

impl fmt::Display for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checked, present, unsure, gone, forgotten } = self;
        writeln!(f, "{checked} posts looked up: {present} are there, {} are gone", gone.len())?;
        if *unsure > 0 {
            writeln!(f, "{unsure} posts are kept, for the answers do not say whether they are gone")?;
        }
        forgotten.as_ref().map_or(Ok(()), |forgotten| write!(f, "{forgotten}"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let source = match wiring::reddit_oauth(&config) {
        Some(reddit) => natureddit_data::SourceConfig::RedditOauth(reddit),
        None => source_config(&config)?,
    };
    let client = wiring::client(&config)?;
    let folders = (config.project.data_dir.as_path(), config.project.labels_dir.as_path());
    let progress = session.output.progress();
    let synced = sync_deletions(&source, folders, args.yes, &client, &session.clock, &progress);
    let synced = wiring::tokio_runtime()?.block_on(synced);
    let found = match synced {
        Err(error @ CollectError::LookUp { .. }) => {
            return Err(error).hint("nothing was changed; set NATUREDDIT_REDDIT_CLIENT_ID and NATUREDDIT_REDDIT_CLIENT_SECRET, or run it again later");
        }
        other => other?,
    };
    let are_too_many = found.are_too_many() && found.forgotten.is_none();
    let Deletions { checked, present, unsure, gone, forgotten } = found;
    let forgotten = forgotten.map(|forgotten: Forgotten| forget_features(&config, forgotten)).transpose()?;
    let count = gone.len();
    let gone = gone.into_iter().map(|(id, why)| (id.to_string(), why)).collect();
    session.output.result(&Synced { checked, present, unsure, gone, forgotten })?;
    if are_too_many {
        return Err(anyhow::anyhow!("{count} of {checked} posts are gone at once, so nothing was changed"))
            .hint("look at one of them in a browser; if they are gone, run it again with --yes");
    }
    Ok(Exit::Ok)
}
