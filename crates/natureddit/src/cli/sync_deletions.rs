//! `natureddit collect sync-deletions`: what is gone on Reddit is forgotten here.

use std::collections::BTreeMap;
use std::fmt;

use natureddit_data::source::{OauthError, SourceError};
use natureddit_data::{CollectError, Deletions, Forgotten, sync_deletions};
use serde::Serialize;

use super::collect::source_config;
use super::error::{CliError, Exit, HintExt};
use super::forget::{Forgetting, ForgottenHere, finish_pending};
use super::session::Session;
use super::words::{counted, is_or_are};
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
        let (is, are_gone) = (is_or_are(*present), is_or_are(gone.len() as u64));
        writeln!(f, "{} looked up: {present} {is} there, {} {are_gone} gone", counted(*checked, "post"), gone.len())?;
        if *unsure > 0 {
            writeln!(f, "{} {} kept, for the answers do not say more", counted(*unsure, "post"), is_or_are(*unsure))?;
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
    let progress = session.output.progress();
    let client = wiring::client(&config, &progress)?;
    let folders = (config.project.data_dir.as_path(), config.project.labels_dir.as_path());
    finish_pending(&config, session)?;
    let forgetting = Forgetting::begin(&config, session)?;
    let synced = sync_deletions(&source, folders, args.yes, &client, &session.clock, &progress);
    let synced = wiring::tokio_runtime()?.block_on(synced);
    let found = match synced {
        Err(CollectError::LookUp { source }) => {
            let hint = look_up_hint(&source);
            return Err(CollectError::LookUp { source }).hint(format!("nothing was changed; {hint}"));
        }
        other => other?,
    };
    let are_too_many = found.are_too_many() && found.forgotten.is_none();
    let Deletions { checked, present, unsure, gone, forgotten } = found;
    let forgotten = forgotten.map(|forgotten: Forgotten| forgetting.finish(forgotten)).transpose()?;
    let count = gone.len();
    let gone = gone.into_iter().map(|(id, why)| (id.to_string(), why)).collect();
    session.output.result(&Synced { checked, present, unsure, gone, forgotten })?;
    if are_too_many {
        return Err(anyhow::anyhow!(
            "{count} of {} {} gone at once, so nothing was changed",
            counted(checked, "post"),
            is_or_are(count as u64)
        ))
        .hint("look at one of them in a browser; if they are gone, run it again with --yes");
    }
    Ok(Exit::Ok)
}

fn look_up_hint(error: &SourceError) -> &'static str {
    match error {
        SourceError::NoLookUp { .. } => {
            "Reddit knows: set NATUREDDIT_REDDIT_CLIENT_ID and NATUREDDIT_REDDIT_CLIENT_SECRET to those of your app"
        }
        SourceError::Reddit(OauthError::Token { .. }) => {
            "Reddit refused NATUREDDIT_REDDIT_CLIENT_ID with NATUREDDIT_REDDIT_CLIENT_SECRET: compare them with your app's"
        }
        _ => "run it again later",
    }
}
