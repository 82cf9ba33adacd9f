//! In which form the encoders run: what Transform decides, and what says so beside what it made.
//!
//! ```text
//! TransformGraph/precision.json          the ranges of the activations of each encoder in eight bits
//! TransformedExamples/encoders.json      what decided the features: the hash of each encoder in its form
//! ```

use std::path::Path;

use anyhow::Context as _;
use natureddit_core::ContentHash;
use natureddit_model::{EncoderPair, Manifest, Precision};
use serde::{Deserialize, Serialize};

use crate::components::{read_json, write_json};

const PRECISION_FILE: &str = "precision.json";
const ENCODERS_FILE: &str = "encoders.json";

/// The form of the encoders that a `TransformGraph` folder says.
pub(crate) fn read_precision(transform_graph: &Path) -> anyhow::Result<Precision> {
    required(&transform_graph.join(PRECISION_FILE))
}

pub(crate) fn write_precision(transform_graph: &Path, precision: &Precision) -> anyhow::Result<()> {
    write_json(&transform_graph.join(PRECISION_FILE), precision)
}

/// The encoders in their form, by what decides their features: equal hashes are equal features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EncoderHashes {
    pub(crate) image: ContentHash,
    pub(crate) text: ContentHash,
}

impl EncoderHashes {
    pub(crate) fn of(encoders: &EncoderPair, precision: &Precision) -> Self {
        Self { image: precision.image_hash(encoders), text: precision.text_hash(encoders) }
    }

    pub(crate) fn of_model(manifest: &Manifest) -> Self {
        Self { image: manifest.image_encoder.hash, text: manifest.text_encoder.hash }
    }

    /// Those that made the features of a `TransformedExamples` folder.
    pub(crate) fn read(transformed: &Path) -> anyhow::Result<Self> {
        required(&transformed.join(ENCODERS_FILE))
    }

    pub(crate) fn write(&self, transformed: &Path) -> anyhow::Result<()> {
        write_json(&transformed.join(ENCODERS_FILE), self)
    }
}

fn required<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    read_json(path)?.with_context(|| format!("{} is not there", path.display()))
}
