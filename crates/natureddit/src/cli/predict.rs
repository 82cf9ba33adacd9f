//! `natureddit predict`: one post.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::ArgGroup;
use natureddit_core::fs;
use natureddit_model::{ComposedInputs, ModelInput, Predictor};
use serde::{Serialize, Serializer};

use super::error::{CliError, Exit, HintExt};
use super::model::{Answering, pushed_bundle};
use super::out_file::{Kept, OutFile};
use super::session::Session;
use crate::npz::{Array, write_npz};
use crate::wiring;

const EXAMPLES: &str = "\
Examples:
  natureddit predict --text \"Fox in the snow\" --image fox.jpg
  natureddit predict --image fox.jpg           the photo alone
  natureddit predict --text \"Fox in the snow\" --model-version 2 --json
  natureddit predict --image fox.jpg --dump-inputs fox.npz   what the exported model takes";

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
    /// Which pushed version answers [default: the one `natureddit model list` marks]
    #[arg(long, value_name = "VERSION")]
    model_version: Option<u64>,
    /// Also write what the model was given, under the names of `model export`: pixels, input_ids, attention_mask
    #[arg(long, value_name = "FILE.npz")]
    dump_inputs: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    label: String,
    probabilities: Probabilities,
    model: Answering,
}

/// What each class has, in the model's order, in which a table of scores has its columns too.
struct Probabilities(Vec<(String, f32)>);

impl Serialize for Probabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, p)| (name, p)))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.label)?;
        let Probabilities(probabilities) = &self.probabilities;
        let width = probabilities.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        probabilities.iter().try_for_each(|(name, p)| writeln!(f, "  {name:width$}  {p:.3}"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let dump_to = args.dump_inputs.as_deref().map(|path| {
        let file = OutFile { option: "--dump-inputs", path, example: "inputs.npz" };
        file.resolve(args.image.as_deref().as_slice(), &Kept::of(&config))
    });
    let dump_to = dump_to.transpose()?;
    let limits = wiring::input_limits(&config);
    let photo = args.image.as_deref().map(|path| read_photo(path, limits.image.bytes_max)).transpose()?;
    let (version, bundle) = pushed_bundle(&config, args.model_version)?;
    let runtime = wiring::load_runtime(&config, &session.output.progress())?;
    let mut predictor = Predictor::load(&bundle, &runtime, &wiring::predictor_options(&config))?;
    let input = ModelInput { text: args.text.as_deref(), image: photo.as_deref() };
    let prepared = [predictor.preprocessor().prepare(&input)?];
    if let Some(file) = &dump_to {
        dump(&ComposedInputs::new(&prepared, bundle.preprocess()), file)?;
    }
    let answers = predictor.predict(&prepared)?;
    let classes = predictor.classes();
    for answer in answers {
        let label = classes.name(answer.class).to_owned();
        let probabilities = Probabilities(classes.names().map(str::to_owned).zip(answer.probabilities).collect());
        let model = Answering { name: bundle.manifest.name.clone(), version };
        session.output.result(&Answer { label, probabilities, model })?;
    }
    Ok(Exit::Ok)
}

fn dump(inputs: &ComposedInputs, file: &Path) -> anyhow::Result<()> {
    let arrays = [
        ("pixels", Array::F32(&inputs.pixels, &inputs.pixels_shape)),
        ("input_ids", Array::I64(&inputs.input_ids, &inputs.tokens_shape)),
        ("attention_mask", Array::I64(&inputs.attention_mask, &inputs.tokens_shape)),
    ];
    Ok(fs::write_atomic(file, write_npz(&arrays)?)?)
}

fn read_photo(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CliError> {
    // Opening a pipe waits for somebody to write into it.
    if !fs::metadata(path)?.is_file() {
        return Err(anyhow!("{} is no regular file", path.display())).hint("--image names the file of a photo");
    }
    match fs::read_limited(path, bytes_max) {
        Err(error) if error.is_too_large() => Err(error).hint("give a smaller photo, or raise model.image_bytes_max"),
        read => Ok(read?),
    }
}
