//! `natureddit model export`: a pushed model as one ONNX file.

use std::fmt;
use std::path::PathBuf;

use anyhow::anyhow;
use natureddit_core::{ContentHash, fs};
use natureddit_model::composed_difference;
use serde::Serialize;

use super::pushed_bundle;
use crate::cli::error::{CliError, HintExt};
use crate::cli::out_file::{Kept, OutFile};
use crate::cli::session::Session;
use crate::cli::words::size;
use crate::wiring;

/// How far an answer of the file may be from the model's own.
const DIFFERENCE_MAX: f32 = 1e-5;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The version [default: the one that answers]
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// The file to write
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
}

#[derive(Serialize)]
pub(super) struct Exported {
    name: String,
    version: u64,
    file: PathBuf,
    bytes: u64,
    sha256: ContentHash,
    /// The largest difference between a probability of the file and of the model, on three made-up posts.
    difference: f32,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, file, bytes, .. } = self;
        writeln!(f, "{name} {version}: {}, {}", file.display(), size(*bytes))?;
        writeln!(f, "  in   pixels, input_ids, attention_mask")?;
        writeln!(f, "  out  probabilities, class")?;
        write!(f, "no photo: pixels of NaN; no title: a mask of zeros")
    }
}

/// Nothing is written that does not answer as the model does.
pub(super) fn export(args: &Args, session: &Session) -> Result<Exported, CliError> {
    let config = session.config()?;
    let file = OutFile { option: "--out", path: &args.out, example: "model.onnx" };
    let out = file.resolve(&[], &Kept::of(&config))?;
    let (version, bundle) = pushed_bundle(&config, args.version)?;
    let onnx = bundle.compose()?;
    let runtime = wiring::load_runtime(&config, &session.output.progress())?;
    let difference = composed_difference(&bundle, &onnx, &runtime, &wiring::predictor_options(&config))?;
    if difference.is_nan() || difference > DIFFERENCE_MAX {
        return Err(anyhow!("the single file answers otherwise than the model, by {difference}"))
            .hint("this is a mistake in the program: please report it with the output of `natureddit doctor`");
    }
    fs::write_atomic(&out, &onnx)?;
    Ok(Exported {
        name: bundle.manifest.name.clone(),
        version,
        file: args.out.clone(),
        bytes: onnx.len() as u64,
        sha256: ContentHash::of(&onnx),
        difference,
    })
}
