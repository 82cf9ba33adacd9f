//! `natureddit dataset forget`: posts that shall not be kept, by hand.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context;
use natureddit_core::fs::Lock;
use natureddit_core::{ContentHash, PostId, Progress};
use natureddit_data::{Forgotten, PendingDeletion, forget_posts, sweep_half_written};
use natureddit_pipeline::Runner;
use natureddit_pipeline::embeddings;
use natureddit_pipeline::tracking::LocalStore;
use natureddit_pipeline::training_graph::training_graph;
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::session::Session;
use super::words::counted;
use crate::config::Config;
use crate::wiring;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ids of posts, with or without t3_
    #[arg(required = true, value_name = "ID")]
    ids: Vec<PostId>,
}

/// What was forgotten, also by the pipeline.
#[derive(Serialize)]
pub(super) struct ForgottenHere {
    #[serde(flatten)]
    forgotten: Forgotten,
    /// Cached features of photos and titles that are gone.
    features: u64,
    /// Outputs of the pipeline that held them and are gone; the next run makes them anew.
    outputs: u64,
}

impl fmt::Display for ForgottenHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Forgotten { known, absent, rows, photos, labels, titles, .. } = &self.forgotten;
        // Labels may be of posts that the dataset does not have.
        if *known + *rows + *labels + *titles > 0 || absent.is_empty() {
            writeln!(
                f,
                "{} forgotten: {}, {}, {}, {} and {} are gone",
                counted(*known, "post"),
                counted(*rows, "row"),
                counted(*photos, "photo"),
                counted(*labels, "label"),
                counted(*titles, "title"),
                counted(self.features, "cached feature")
            )?;
        }
        if self.outputs > 0 {
            let outputs = counted(self.outputs, "output");
            writeln!(
                f,
                "{outputs} of the pipeline held something of them and were removed: `natureddit run` makes them anew"
            )?;
        }
        for id in absent {
            writeln!(f, "the dataset has no post {id}; it is not collected from now on")?;
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let ids: BTreeSet<PostId> = args.ids.iter().cloned().collect();
    finish_pending(&config, session)?;
    let forgetting = Forgetting::begin(&config, session)?;
    let forgotten = forget_posts(&config.project.data_dir, &config.project.labels_dir, &ids, &session.clock)?;
    session.output.result(&forgetting.finish(forgotten)?)?;
    Ok(Exit::Ok)
}

/// Finishes a deletion that was cut off, if there is one.
pub(super) fn finish_pending(config: &Config, session: &Session) -> Result<(), CliError> {
    let data_dir = &config.project.data_dir;
    sweep_half_written(data_dir, &config.project.labels_dir)?;
    let Some(PendingDeletion { posts, .. }) = PendingDeletion::read(data_dir)? else { return Ok(()) };
    let forgetting = Forgetting::begin(config, session)?;
    session
        .output
        .note(&format!("the deletion of {} was cut off: it is finished first", counted(posts.len() as u64, "post")));
    let forgotten = forget_posts(data_dir, &config.project.labels_dir, &posts, &session.clock)?;
    forgetting.finish(forgotten).map(drop)
}

/// Keeps runs of the pipeline away while posts are forgotten: none may make anew what holds them, and nothing is changed
/// where one is at work.
pub(super) struct Forgetting<'a> {
    config: &'a Config,
    runner: Runner,
    /// `None` where no pipeline ever ran.
    held: Option<Lock>,
}

impl<'a> Forgetting<'a> {
    /// Takes the pipeline for itself.
    pub(super) fn begin(config: &'a Config, session: &Session) -> Result<Self, CliError> {
        let runner = wiring::pipeline_runner(config, &session.clock, |_| Progress::silent());
        let held = config.project.pipeline_root.is_dir().then(|| runner.lock()).transpose();
        Ok(Self { config, runner, held: held.hint("nothing was forgotten: do it again when the run is over")? })
    }

    /// Removes what the pipeline computed from posts that are gone: cached features, and every output that shows something
    /// of them. A model that learnt from them stays until the next run has trained one without them.
    pub(super) fn finish(self, forgotten: Forgotten) -> Result<ForgottenHere, CliError> {
        let data_dir = &self.config.project.data_dir;
        // Those of an earlier deletion that was cut off as well.
        let pending = PendingDeletion::read(data_dir)?.unwrap_or_default();
        let (features, outputs) = self.forget_computed(&pending)?;
        PendingDeletion::done(data_dir)?;
        Ok(ForgottenHere { forgotten, features, outputs })
    }

    /// How many features and outputs are gone.
    fn forget_computed(&self, PendingDeletion { posts, content }: &PendingDeletion) -> Result<(u64, u64), CliError> {
        let Self { config, runner, held } = self;
        let Some(held) = held else { return Ok((0, 0)) };
        let folder = config.project.pipeline_root.join("embeddings");
        let content: Vec<ContentHash> = content.iter().copied().collect();
        let features = embeddings::forget(&folder, &content).context("the cached features are still there")?;
        let graph = training_graph(&wiring::training(config, &Progress::silent())?)?;
        let removed = runner.forget(&graph, posts, held).context("outputs of the pipeline still hold them")?;
        let tracked =
            LocalStore::new(wiring::tracking_dir(config)).forget(posts).context("tracked runs still hold them")?;
        Ok((features, (removed.removed.len() + removed.orphans.len() + tracked) as u64))
    }
}
