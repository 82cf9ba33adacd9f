//! The simulated Reddit of a demo: the same posts again in an earlier demo's folder, and enough of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use natureddit_core::{ContentHash, PostId, fs};
use natureddit_sandbox::{Sandbox, Truth};
use tokio::runtime::Runtime;

use super::sandbox::{sandbox_config, start};
use super::{Args, LABELLED};
use crate::cli::error::{CliError, HintExt};
use crate::cli::session::Session;
use crate::config::{Config, FILE_NAME};

/// The first line of the settings of a demo; a folder with other settings is left alone.
pub(super) const MADE_BY: &str = "# Made by `natureddit demo`";

/// The share of drawn posts that are photos, at least; the others must be dropped.
const PHOTO_SHARE: f64 = 0.9;

/// The settings of an earlier demo in the folder, else the defaults.
pub(super) fn settings(dir: &Path, session: &Session) -> Result<Config, CliError> {
    let entries = fs::optional(fs::read_dir(dir))?.unwrap_or_default();
    let settings = fs::optional(fs::read_to_string(&dir.join(FILE_NAME)))?.unwrap_or_default();
    if settings.starts_with(MADE_BY) {
        return session.config_in(dir);
    }
    if entries.is_empty() {
        return session.defaults_in(dir);
    }
    Err(anyhow!("{} holds something else than a demo", dir.display())).hint("name another folder with --dir")
}

/// The photos to serve: those that were named, else an earlier demo's.
pub(super) fn photos(args: &Args, settings: &Config) -> Option<PathBuf> {
    let earlier = || settings.sandbox.photos.clone().filter(|_| args.posts.is_none());
    args.photos.clone().or_else(earlier)
}

/// Starts the simulator on any free port.
pub(super) fn start_sandbox(
    settings: &Config,
    photos: Option<&Path>,
    args: &Args,
    session: &Session,
    runtime: &Runtime,
) -> Result<Sandbox, CliError> {
    let mut config = sandbox_config(settings, None);
    config.photos = photos.map(Path::to_owned);
    config.port = 0;
    config.posts = args.posts.map_or(config.posts, |posts| posts as usize);
    let reddit = start(config, runtime)?;
    check_corpus(&args.dir, &reddit, photos)?;
    let truth = reddit.truth();
    // An earlier demo may have labelled more, and its model may answer in any case.
    if settings.file.is_none() {
        check_enough(truth, args, settings, photos.is_none())?;
    }
    session.output.note(&format!("{} posts on http://{}", truth.posts.len(), reddit.address()));
    Ok(reddit)
}

/// An earlier demo's folder must hold posts of the same corpus, or the dataset would be of two.
fn check_corpus(dir: &Path, reddit: &Sandbox, photos: Option<&Path>) -> Result<(), CliError> {
    let Some(settings) = fs::optional(fs::read_to_string(&dir.join(FILE_NAME)))? else { return Ok(()) };
    let settings: toml::Table = settings.parse().context("the settings of the earlier demo cannot be read")?;
    let wanted: toml::Table = corpus_settings(reddit, photos)?.parse()?;
    let same =
        |(key, value): (&String, &toml::Value)| settings.get("sandbox").and_then(|old| old.get(key)) == Some(value);
    if wanted.iter().all(same) {
        return Ok(());
    }
    Err(anyhow!("{} holds a demo with other posts", dir.display())).hint("name another folder with --dir")
}

/// The keys of `[sandbox]` that make `natureddit sandbox` serve these posts again.
pub(super) fn corpus_settings(reddit: &Sandbox, photos: Option<&Path>) -> anyhow::Result<String> {
    let truth = reddit.truth();
    let photos = photos.map(std::path::absolute).transpose()?.unwrap_or_default();
    let photos = toml::Value::from(photos.to_string_lossy().as_ref());
    Ok(format!("seed = {}\nposts = {}\nphotos = {photos}\n", truth.seed, truth.posts.len()))
}

/// Refuses what cannot end with a blessed model: a test split that must come out too small is known before anything is
/// collected. The split itself is by chance, so photos that only may be too few are tried; more pictures can be drawn.
fn check_enough(truth: &Truth, args: &Args, settings: &Config, is_drawn: bool) -> Result<(), CliError> {
    let (labelled, photos) = (labelled(truth, args.labelled), truth.labels().count());
    let tested = |labelled: usize| labelled as f64 * test_share(settings);
    let wanted = settings.evaluator.test_examples_min as f64;
    if tested(labelled) >= if is_drawn { wanted } else { wanted * 0.75 } {
        return Ok(());
    }
    let message = format!(
        "{} posts, {labelled} of them labelled, are too few: about {:.0} would be left to judge the model by, and \
         evaluator.test_examples_min is {wanted}",
        truth.posts.len(),
        tested(labelled).floor(),
    );
    let hint = if tested(photos) >= wanted && args.labelled < 1.0 {
        "label more of them: --labelled 1".to_owned()
    } else if is_drawn {
        let share = args.labelled.max(LABELLED);
        let posts = wanted / test_share(settings) / (share * PHOTO_SHARE);
        // Some more, for the next corpus has its own luck.
        format!("draw more: --posts {:.0} --labelled {share}", (1.1 * posts / 100.0).ceil() * 100.0)
    } else {
        "add photos to the folders, or leave out --photos to see it with drawn pictures".to_owned()
    };
    Err(CliError::usage(message)).hint(hint)
}

/// The share of the labelled posts that a model is judged by.
pub(super) fn test_share(settings: &Config) -> f64 {
    let buckets = settings.examples.hash_buckets;
    f64::from(buckets.test) / f64::from(buckets.train + buckets.eval + buckets.test)
}

/// How many posts are labelled at that share.
fn labelled(truth: &Truth, share: f64) -> usize {
    truth.labels().filter(|(id, _)| is_picked(id, share)).count()
}

/// Whether a post is among the share that is labelled: by the hash of its id.
pub(super) fn is_picked(id: &PostId, share: f64) -> bool {
    let place = ContentHash::of(id.as_str().as_bytes()).leading_u64() as f64 / u64::MAX as f64;
    place < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_labelled_posts_is_about_the_one_asked_for() {
        let picked = (0..1000).filter(|i| is_picked(&format!("p{i}").parse().unwrap(), 0.7)).count();
        assert!((650..750).contains(&picked), "{picked}");
        assert!(!is_picked(&"x".parse().unwrap(), 0.0));
    }
}
