//! The components, one file each.

pub mod evaluator;
pub mod example_gen;
pub mod pusher;
pub mod trainer;
pub mod transform;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use natureddit_core::{Progress, fs};
use natureddit_model::{EncoderFiles, EncoderPair, Features, read_features};
use serde::{Deserialize, Serialize};

use crate::split::Split;

/// Where the files lie that encoders need.
#[derive(Clone, Debug)]
pub struct ModelAssets {
    /// ONNX Runtime's library.
    pub runtime: PathBuf,
    /// Weights and tokenizer.
    pub encoders: EncoderFiles,
}

/// Finds the assets, pulling what is missing; called only when a component needs them.
pub type AssetLoader = Arc<dyn Fn(&Progress) -> anyhow::Result<ModelAssets> + Send + Sync>;

/// A split's features in a `TransformedExamples` folder, row by row as the split's examples.
const FEATURES_FILE: &str = "features.safetensors";

pub(crate) fn read_transformed(folder: &Path, split: Split, encoders: &EncoderPair) -> anyhow::Result<Vec<Features>> {
    let path = folder.join(split.folder_name()).join(FEATURES_FILE);
    Ok(read_features(&path, encoders.image.features, encoders.text.features)?)
}

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(fs::write_atomic(path, text)?)
}

/// Reads a small JSON file of an artifact.
pub(crate) fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> anyhow::Result<T> {
    const BYTES_MAX: u64 = 16 << 20;
    let bytes = fs::read_limited(path, BYTES_MAX)?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not valid", path.display()))
}
