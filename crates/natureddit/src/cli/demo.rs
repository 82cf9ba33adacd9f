//! `natureddit demo`: an empty folder becomes a served, judged model.

mod project;
mod report;
mod steps;

use std::path::PathBuf;

use anyhow::anyhow;
use natureddit_data::{Dataset, Window};
use natureddit_pipeline::RunOptions;

use super::collect::{Collected, collect_window};
use super::error::{CliError, Exit, HintExt};
use super::label::{import_labels, import_titles};
use super::run::run_pipeline;
use super::session::Session;
use super::{sandbox, serve};
use crate::config::Config;
use crate::wiring;
use report::{DemoReport, Embedding};
use steps::Steps;

const EXAMPLES: &str = "\
Examples:
  natureddit demo                               drawn pictures, into ./natureddit-demo, then serve
  natureddit demo --photos my-photos            your photos: my-photos/fauna/*, my-photos/flora/*, ...
  natureddit demo --no-serve --dir /tmp/demo    end after the prediction";

/// Titles without a photo to learn from, beside the photos.
const TITLES_FILE: &str = "titles_reddit.csv";

/// Run the whole loop on a simulated Reddit: collect, label, train, judge, serve, predict
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Serve these photos in the simulated Reddit, one folder a class, with titles from their posts.csv
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// The project folder to make; an earlier demo's is gone on with
    #[arg(long, value_name = "DIR", default_value = "natureddit-demo")]
    dir: PathBuf,
    /// How many posts to draw [default: sandbox.posts]
    #[arg(long, value_name = "COUNT", conflicts_with = "photos", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    posts: Option<u32>,
    /// The share of posts that are labelled, 0 to 1; the rest is left to predict
    #[arg(long, value_name = "SHARE", default_value_t = 0.7, value_parser = share)]
    labelled: f64,
    /// End after the prediction instead of serving on
    #[arg(long)]
    no_serve: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let mut steps = Steps::new(&session.output);
    let runtime = wiring::tokio_runtime()?;
    let defaults = session.defaults_in(&args.dir)?;

    let reddit =
        steps.run("start a simulated Reddit", || project::start_sandbox(&defaults, args, session, &runtime))?;
    let config = steps.run("make the project", || project::write_settings(&reddit, args, session))?;
    steps.run("pull the encoders", || {
        let wanted = wiring::training_assets(&config)?;
        let store = wiring::asset_store(&config)?;
        runtime.block_on(store.pull_all(&wanted, &session.output.progress()))?;
        Ok(())
    })?;
    let collected = steps.run("collect posts and photos", || {
        let window = reddit.window();
        let report = collect_window(&config, Window::new(window.since, window.until)?, session)?;
        Ok(Collected(report))
    })?;
    steps.run("import the labels", || label(args, &config, &reddit, session))?;
    let ran = steps.run("run the pipeline", || run_pipeline(&config, &RunOptions::default(), session))?;
    if ran.pushed.is_none() {
        return Err(anyhow!("the model was not blessed, so there is nothing to serve\n\n{ran}"))
            .hint("more posts or labels give a better model: --labelled 1, or more photos");
    }
    let (server, ready, prediction) = steps.run("serve and ask over HTTPS", || {
        let post = project::post_to_predict(&config)?;
        let (server, ready) = project::start_server(&config, session, &runtime)?;
        let prediction = project::ask(&config, &ready.url, &post, &reddit, &runtime)?;
        Ok((server, ready, prediction))
    })?;
    runtime.block_on(reddit.stop());

    let report = DemoReport {
        dir: args.dir.clone(),
        embedding: Embedding::of(&ran.report),
        steps: steps.finish(),
        collected,
        ran,
        prediction,
        url: ready.url,
        serving: !args.no_serve,
    };
    session.output.result(&report)?;
    if args.no_serve {
        runtime.block_on(server.shutdown())?;
    } else {
        runtime.block_on(serve::stop_at_signal(server, session))?;
    }
    Ok(Exit::Ok)
}

/// Labels a share of the posts from the simulator's truth, and takes the titles beside the photos.
fn label(
    args: &Args,
    config: &Config,
    reddit: &natureddit_sandbox::Sandbox,
    session: &Session,
) -> Result<(), CliError> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let choices = project::write_choices(reddit.truth(), &dataset, args.labelled, &config.project.labels_dir)?;
    let labels = import_labels(config, &choices, "demo", session)?;
    session.output.note(&format!(
        "{} posts labelled, {} of {} left to predict",
        labels.added + labels.unchanged,
        dataset.posts.len() as u64 - labels.added - labels.unchanged,
        dataset.posts.len()
    ));
    let titles = args.photos.as_ref().map(|photos| photos.join(TITLES_FILE)).filter(|file| file.is_file());
    if let Some(file) = titles {
        let titles = import_titles(config, &file)?;
        session.output.note(&format!("{} labelled titles without a photo", titles.added + titles.unchanged));
    }
    Ok(())
}
