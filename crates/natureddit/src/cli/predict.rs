//! `natureddit predict`: one post.

mod explained;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::ArgGroup;
use natureddit_core::fs;
use natureddit_model::{ComposedInputs, ExplainOptions, Explanation, ModelInput, Prediction, Predictor};
use serde::{Serialize, Serializer};

use super::error::{CliError, Exit, HintExt};
use super::model::{Answering, pushed_bundle};
use super::out_file::{Kept, OutFile};
use super::session::Session;
use crate::npz::{Array, write_npz};
use crate::wiring;
use explained::{Explained, Form, draw};

const EXAMPLES: &str = "\
Examples:
  natureddit predict --text \"Fox in the snow\" --image fox.jpg
  natureddit predict --image fox.jpg           the photo alone
  natureddit predict --text \"Fox in the snow\" --model-version 2 --json
  natureddit predict --text \"Fox in the snow\" --image fox.jpg --explain    why it says so
  natureddit predict --image fox.jpg --explain --heat-map map.png           drawn over the photo
  natureddit predict --image fox.jpg --dump-inputs fox.npz   what the exported model takes";

/// Say what one post shows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("post").args(["text", "image"]).required(true).multiple(true))]
pub(super) struct Args {
    /// The title
    #[arg(long, allow_hyphen_values = true)]
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
    /// Also say which words of the title and which parts of the photo the answer hangs on
    #[arg(long)]
    explain: bool,
    /// With --explain: into how many cells each side of the photo is divided; the model is asked once for each cell
    #[arg(long, value_name = "CELLS", requires = "explain", default_value_t = 7)]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=32))]
    grid: u8,
    /// With --explain: also draw the parts over the photo: orange speaks for the answer, blue against it
    #[arg(long, value_name = "FILE.png", requires_all = ["explain", "image"])]
    heat_map: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    label: String,
    probabilities: Probabilities,
    model: Answering,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explained>,
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
        probabilities.iter().try_for_each(|(name, p)| writeln!(f, "  {name:width$}  {p:.3}"))?;
        self.explanation.as_ref().map_or(Ok(()), |explanation| write!(f, "{explanation}"))
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let out = |option, path: &Option<PathBuf>, example| {
        let file = path.as_deref().map(|path| OutFile { option, path, example });
        file.map(|file| file.resolve(args.image.as_deref().as_slice(), &Kept::of(&config))).transpose()
    };
    let dump_to = out("--dump-inputs", &args.dump_inputs, "inputs.npz")?;
    let form = args.heat_map.as_deref().map(Form::of).transpose()?;
    let draw_to = form.zip(out("--heat-map", &args.heat_map, "map.png")?);
    let limits = wiring::input_limits(&config);
    let photo = args.image.as_deref().map(|path| read_photo(path, limits.image.bytes_max)).transpose()?;
    let (version, bundle) = pushed_bundle(&config, args.model_version)?;
    let runtime = wiring::load_runtime(&config, &session.output.progress())?;
    let mut predictor = Predictor::load(&bundle, &runtime, &wiring::predictor_options(&config))?;
    let input = ModelInput { text: args.text.as_deref(), image: photo.as_deref() };
    if let Some(file) = &dump_to {
        let prepared = [predictor.preprocessor().prepare(&input)?];
        dump(&ComposedInputs::new(&prepared, bundle.preprocess()), file)?;
    }
    let Asked { prediction, explanation } = ask(&mut predictor, &input, args)?;
    if let (Some((form, file)), Some(photo), Some(map)) =
        (&draw_to, &photo, explanation.as_ref().and_then(|explanation| explanation.photo.as_ref()))
    {
        draw(map, photo, &limits.image, (*form, file))?;
    }
    let classes = predictor.classes();
    let label = classes.name(prediction.class).to_owned();
    let explanation = explanation.map(|explanation| Explained::new(&explanation, &label, args.heat_map.clone()));
    let probabilities = Probabilities(classes.names().map(str::to_owned).zip(prediction.probabilities).collect());
    let model = Answering { name: bundle.manifest.name.clone(), version };
    session.output.result(&Answer { label, probabilities, model, explanation })?;
    Ok(Exit::Ok)
}

/// What the model says, and why where that is asked for.
struct Asked {
    prediction: Prediction,
    explanation: Option<Explanation>,
}

fn ask(predictor: &mut Predictor, input: &ModelInput<'_>, args: &Args) -> anyhow::Result<Asked> {
    if args.explain {
        let options = ExplainOptions { cells_a_side: usize::from(args.grid) };
        let explanation = predictor.explain(input, &options)?;
        return Ok(Asked { prediction: explanation.prediction.clone(), explanation: Some(explanation) });
    }
    let prepared = predictor.preprocessor().prepare(input)?;
    let prediction = predictor.predict(&[prepared])?.pop().context("an answer for each input")?;
    Ok(Asked { prediction, explanation: None })
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
