//! The components, one file each.

pub mod bulk_inferrer;
pub mod evaluator;
pub mod example_gen;
pub mod example_validator;
pub mod import_schema;
pub mod infra_validator;
mod page;
mod photo;
pub mod pusher;
pub mod schema_gen;
pub mod statistics_gen;
pub mod trainer;
pub mod transform;
pub mod tuner;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use natureddit_core::{Progress, fs};
use natureddit_model::{EncoderFiles, EncoderPair, Features};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::feature_shards::read_shards;
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
pub(crate) fn read_transformed(folder: &Path, split: Split, encoders: &EncoderPair) -> anyhow::Result<Vec<Features>> {
    read_shards(&folder.join(split.folder_name()), encoders)
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(fs::write_atomic(path, text)?)
}

/// Reads a small JSON file of an artifact; `None` where it is not there.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    const BYTES_MAX: u64 = 16 << 20;
    let Some(bytes) = fs::optional(fs::read_limited(path, BYTES_MAX))? else { return Ok(None) };
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not valid", path.display())).map(Some)
}
