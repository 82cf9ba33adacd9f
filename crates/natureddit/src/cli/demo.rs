//! `natureddit demo`: an empty folder becomes a served, judged model.

mod corpus;
mod project;
mod refused;
mod report;
mod steps;

use std::path::{Path, PathBuf};

use natureddit_core::fs;
use natureddit_data::{Dataset, Labels, Window};
use natureddit_pipeline::RunOptions;
use natureddit_sandbox::Truth;

use super::collect::collect_window;
use super::error::{CliError, Exit, HintExt};
use super::label::{import_labels, import_titles};
use super::run::{Ran, run_pipeline};
use super::session::Session;
use super::signals::StopSignals;
use super::{init, sandbox, serve};
use crate::config::Config;
use crate::wiring;
use report::{DemoReport, Embedding};
use steps::Steps;

const EXAMPLES: &str = "\
Examples:
  natureddit demo                               drawn pictures, into ./natureddit-demo, then serve
  natureddit demo --photos my-photos            yours: my-photos/fauna/*, my-photos/flora/*, ...
  natureddit demo --no-serve --dir /tmp/demo    end after the prediction";

/// The share of posts that are labelled when nobody says another.
const LABELLED: f64 = 0.7;

/// Titles without a photo to learn from, beside the photos.
const TITLES_FILE: &str = "titles_reddit.csv";

/// Run the whole loop on a simulated Reddit: collect, label, train, judge, serve, predict
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Serve these photos in the simulated Reddit, one folder a class, with titles from their posts.csv; labelled titles
    /// without a photo are learnt from where titles_reddit.csv (id, title, choice) lies beside it
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// The project folder to make; an earlier demo's is gone on with
    #[arg(long, value_name = "DIR", default_value = "natureddit-demo")]
    dir: PathBuf,
    /// How many posts to draw; too few to judge a model by are refused [default: sandbox.posts]
    #[arg(long, value_name = "COUNT", conflicts_with = "photos", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    posts: Option<u32>,
    /// The share of posts that are labelled, 0 to 1; the rest is left to predict
    #[arg(long, value_name = "SHARE", default_value_t = LABELLED, value_parser = share)]
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
    session.refuse_named_project("a demo makes its own project").hint("name its folder with --dir")?;
    let mut steps = Steps::new(&session.output);
    let runtime = wiring::tokio_runtime()?;
    let settings = corpus::settings(&args.dir, session)?;
    let photos = corpus::photos(args, &settings);
    let photos = photos.as_deref();

    let reddit =
        steps.run("start a simulated Reddit", || corpus::start_sandbox(&settings, photos, args, session, &runtime))?;
    let config = steps.run("make the project", || project::make(&args.dir, &reddit, photos, session))?;
    steps.run("pull the encoders", || {
        let encoders = wiring::encoders(&config, &session.output.progress())?;
        let wanted = wiring::training_assets(&encoders)?;
        let store = wiring::asset_store(&config)?;
        runtime.block_on(store.pull_all(&wanted, &session.output.progress()))?;
        Ok(())
    })?;
    let collected = steps.run("collect posts and photos", || {
        let window = reddit.window();
        collect_window(&config, Window::new(window.since, window.until)?, session)
    })?;
    steps.run("import the labels", || label(args.labelled, photos, &config, reddit.truth(), session))?;
    let ran = steps.run("run the pipeline", || run_pipeline(&config, &RunOptions::default(), session))?;
    let kept_version = earlier_version(&ran, &config)?;
    if ran.pushed.is_none() && kept_version.is_none() {
        session.output.lines(&format!("\n{ran}"));
        return refused::not_pushed(&ran, args, photos, &config);
    }
    let (server, ready, prediction) = steps.run("serve and ask over HTTPS", || {
        if let Some(version) = kept_version {
            session.output.note(&format!("the new model was not pushed, so version {version} answers"));
        }
        let (post, labelled) = project::post_to_predict(&config)?;
        let (server, ready) = project::start_server(&config, session, &runtime)?;
        let prediction = project::ask(&config, &ready.url, (&post, labelled), reddit.truth(), &runtime)?;
        Ok((server, ready, prediction))
    })?;
    runtime.block_on(reddit.stop());

    let url = if args.no_serve { project::url_of_serve(&config) } else { ready.url };
    let report = DemoReport {
        dir: args.dir.clone(),
        embedding: Embedding::of(&ran.report),
        steps: steps.finish(),
        collected,
        ran,
        kept_version,
        curl: project::curl(&config, &url, &prediction),
        prediction,
        url,
        serving: !args.no_serve,
        drawn: photos.is_none(),
    };
    if args.no_serve {
        session.output.result(&report)?;
        runtime.block_on(server.shutdown())?;
    } else {
        let signals = StopSignals::listen(&runtime)?;
        session.output.result(&report)?;
        runtime.block_on(serve::stop_at_signal(server, signals, session))?;
        session.output.stopped(&format!("`natureddit serve` in {} goes on answering", args.dir.display()));
    }
    Ok(Exit::Ok)
}

/// The version an earlier demo pushed, where this one's model was not good enough to take its place.
fn earlier_version(ran: &Ran, config: &Config) -> Result<Option<u64>, CliError> {
    if ran.pushed.is_some() {
        return Ok(None);
    }
    Ok(project::default_version(config)?)
}

/// Labels a share of the posts from the simulator's truth, and takes the titles beside the photos.
fn label(share: f64, photos: Option<&Path>, config: &Config, truth: &Truth, session: &Session) -> Result<(), CliError> {
    let dataset = Dataset::read(&config.project.data_dir)?;
    let choices = project::write_choices(truth, &dataset, share, &config.project.labels_dir)?;
    import_labels(config, &choices, "demo", session)?;
    // A copy of the labels would keep what is forgotten.
    fs::remove_file(&choices)?;
    // An earlier demo in this folder may have labelled more.
    let labels = Labels::read(&config.project.labels_dir)?;
    let (choices, posts) = (labels.latest(), dataset.posts.len());
    let labelled = dataset.posts.values().filter(|row| choices.of(row).is_some()).count();
    session.output.note(&format!("{labelled} posts labelled, {} of {posts} left to predict", posts - labelled));
    let titles = photos.map(|photos| photos.join(TITLES_FILE)).filter(|file| file.is_file());
    if let Some(file) = titles {
        let titles = import_titles(config, &file)?;
        session.output.note(&format!(
            "{} labelled titles without a photo, from {}",
            titles.added + titles.changed + titles.unchanged,
            file.display()
        ));
    }
    Ok(())
}
