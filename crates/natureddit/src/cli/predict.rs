//! `natureddit predict`: one post.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::ArgGroup;
use natureddit_core::fs;
use natureddit_model::{ModelInput, Predictor};
use serde::Serialize;

use super::error::{CliError, Exit, HintExt};
use super::model::pushed_bundle;
use super::session::Session;
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit predict --text \"Fox in the snow\" --image fox.jpg
  natureddit predict --image fox.jpg           the photo alone
  natureddit predict --text \"Fox in the snow\" --model-version 2 --json";

/// Say what one post shows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("post").args(["text", "image"]).required(true).multiple(true))]
pub(super) struct Args {
    /// The title
    #[arg(long)]
    text: Option<String>,
    /// The photo: JPEG, PNG, WebP, GIF or BMP
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Which pushed version answers [default: the newest]
    #[arg(long, value_name = "VERSION")]
    model_version: Option<u64>,
}

#[derive(Serialize)]
struct Answer {
    label: String,
    probabilities: BTreeMap<String, f32>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.label)?;
        let width = self.probabilities.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        self.probabilities.iter().try_for_each(|(name, p)| writeln!(f, "  {name:width$}  {p:.3}"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let limits = wiring::input_limits(&config);
    let photo = args.image.as_deref().map(|path| fs::read_limited(path, limits.image.bytes_max)).transpose()?;
    let bundle = pushed_bundle(&config, args.model_version)?;
    let runtime = wiring::load_runtime(&config, &session.output.progress())?;
    let mut predictor = Predictor::load(&bundle, &runtime, &wiring::predictor_options(&config))?;
    let input = ModelInput { text: args.text.as_deref(), image: photo.as_deref() };
    let prepared = predictor
        .preprocessor()
        .prepare(&input)
        .hint("a title, a photo (JPEG, PNG, WebP, GIF, BMP), or both can be predicted")?;
    let answers = predictor.predict(&[prepared])?;
    let classes = predictor.classes();
    for answer in answers {
        let probabilities = classes.names().map(str::to_owned).zip(answer.probabilities).collect();
        session.output.result(&Answer { label: classes.name(answer.class).to_owned(), probabilities })?;
    }
    Ok(Exit::Ok)
}
