//! Encoders that calculate in eight bits: faster, and close enough for a head that is trained on their features.
//!
//! First an encoder is calibrated: it runs in floats on some training inputs, and between which values each of its
//! activations lies is kept. These ranges and the weights decide the encoder in eight bits, to the last byte.

use std::sync::{Mutex, PoisonError};

use natureddit_core::{ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

use crate::encoder::{EncoderFiles, EncoderGraphs, EncoderPair};
pub use crate::onnx::ActivationRanges;
use crate::onnx::{Observer, QuantizeProblem, quantize};
use crate::parallel::in_parallel;
use crate::preprocess::Prepared;
use crate::runtime::{Feed, Graph, Runtime, RuntimeError};
use crate::weights::WeightsError;

/// Raised whenever the same weights and ranges would give another graph.
pub const QUANTIZE_VERSION: u32 = 1;

/// Why an encoder could not be calibrated or quantised.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The graph is not one that can be quantised.
    #[error("the {encoder} cannot be quantised: {reason}")]
    Graph {
        /// Which encoder.
        encoder: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The ranges are not those of this encoder.
    #[error("the ranges for the {encoder} lack a usable one for {activation}")]
    Range {
        /// Which encoder.
        encoder: &'static str,
        /// The activation.
        activation: String,
    },
    /// An input for calibration made the encoder overflow.
    #[error("the {encoder} has no finite {activation} on an input for calibration")]
    NotFinite {
        /// Which encoder.
        encoder: &'static str,
        /// The activation.
        activation: String,
    },
    /// No input for calibration has what the encoder reads.
    #[error("there is nothing to calibrate the {0} on")]
    NoInputs(&'static str),
    /// The weights are not usable.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// ONNX Runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// In which form the encoders run: in eight bits where there are ranges, else in floats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// The ranges of the image encoder.
    pub image: Option<ActivationRanges>,
    /// The ranges of the text encoder.
    pub text: Option<ActivationRanges>,
}

impl Precision {
    /// What decides the features of a photo; in floats it is [`EncoderPair::image_hash`].
    #[must_use]
    pub fn image_hash(&self, pair: &EncoderPair) -> ContentHash {
        hash(pair.image_hash(), self.image.as_ref())
    }

    /// What decides the features of a title; in floats it is [`EncoderPair::text_hash`].
    #[must_use]
    pub fn text_hash(&self, pair: &EncoderPair) -> ContentHash {
        hash(pair.text_hash(), self.text.as_ref())
    }

    /// The image encoder as an ONNX file; the same weights and ranges give the same bytes.
    ///
    /// # Errors
    /// When the weights are not usable, or the ranges are not those of this encoder.
    pub fn image_graph(&self, pair: &EncoderPair, files: &EncoderFiles) -> Result<Vec<u8>, QuantizeError> {
        apply(IMAGE, pair.image.build(files)?, self.image.as_ref())
    }

    /// The text encoder, as [`Precision::image_graph`].
    ///
    /// # Errors
    /// The same.
    pub fn text_graph(&self, pair: &EncoderPair, files: &EncoderFiles) -> Result<Vec<u8>, QuantizeError> {
        apply(TEXT, pair.text.build(files)?, self.text.as_ref())
    }

    /// Both.
    pub(crate) fn graphs(&self, pair: &EncoderPair, files: &EncoderFiles) -> Result<EncoderGraphs, QuantizeError> {
        Ok(EncoderGraphs { image: self.image_graph(pair, files)?, text: self.text_graph(pair, files)? })
    }
}

const IMAGE: &str = "image encoder";
const TEXT: &str = "text encoder";

fn hash(floats: ContentHash, ranges: Option<&ActivationRanges>) -> ContentHash {
    let Some(ranges) = ranges else { return floats };
    let mut hasher = ContentHasher::new();
    hasher.part("int8").part(QUANTIZE_VERSION.to_le_bytes()).part(floats.as_bytes()).part(ranges.hash().as_bytes());
    hasher.finish()
}

/// The graph of an encoder in eight bits where there are ranges.
fn apply(encoder: &'static str, graph: Vec<u8>, ranges: Option<&ActivationRanges>) -> Result<Vec<u8>, QuantizeError> {
    let Some(ranges) = ranges else { return Ok(graph) };
    quantize(&graph, ranges).map_err(|problem| match problem {
        QuantizeProblem::Graph(reason) => QuantizeError::Graph { encoder, reason },
        QuantizeProblem::Range(activation) => QuantizeError::Range { encoder, activation },
    })
}

/// The ranges of the image encoder's activations on the photos of some inputs; 150 varied ones are enough. Whatever the
/// number of threads and the order of the inputs, the same inputs give the same ranges.
///
/// # Errors
/// [`QuantizeError`], also when no input has a photo.
pub fn calibrate_image(
    pair: &EncoderPair,
    files: &EncoderFiles,
    runtime: &Runtime,
    inputs: impl Iterator<Item = Prepared> + Send,
    threads: usize,
) -> Result<ActivationRanges, QuantizeError> {
    let side = pair.preprocess().image.size as usize;
    let graph = pair.image.build(files)?;
    let photos = inputs.filter_map(|input| input.pixels);
    calibrate(IMAGE, &graph, runtime, photos, threads, |graph, pixels: &Vec<f32>| {
        graph.run_all(&[Feed::F32("pixels", vec![1, 3, side, side], pixels)])
    })
}

/// The ranges of the text encoder's activations on the titles of some inputs; a few hundred varied ones are enough.
/// Otherwise as [`calibrate_image`].
///
/// # Errors
/// [`QuantizeError`], also when no input has a title.
pub fn calibrate_text(
    pair: &EncoderPair,
    files: &EncoderFiles,
    runtime: &Runtime,
    inputs: impl Iterator<Item = Prepared> + Send,
    threads: usize,
) -> Result<ActivationRanges, QuantizeError> {
    let graph = pair.text.build(files)?;
    let titles = inputs.filter_map(|input| input.tokens).filter(|tokens| !tokens.is_empty());
    calibrate(TEXT, &graph, runtime, titles, threads, |graph, ids: &Vec<i64>| {
        let (shape, mask) = (vec![1, ids.len()], vec![1; ids.len()]);
        graph.run_all(&[Feed::I64("input_ids", shape.clone(), ids), Feed::I64("attention_mask", shape, &mask)])
    })
}

/// Each input runs alone and on one thread, so that no neighbour, padding or sharing of work has a part in the ranges.
fn calibrate<T: Send>(
    encoder: &'static str,
    graph: &[u8],
    runtime: &Runtime,
    inputs: impl Iterator<Item = T> + Send,
    threads: usize,
    run: impl Fn(&mut Graph, &T) -> Result<Vec<Vec<f32>>, RuntimeError> + Sync,
) -> Result<ActivationRanges, QuantizeError> {
    let observer = Observer::new(graph).map_err(|reason| QuantizeError::Graph { encoder, reason })?;
    let inputs = Mutex::new(inputs.fuse());
    let lane = || -> Result<ActivationRanges, QuantizeError> {
        let mut graph = runtime.open(encoder, &observer.onnx)?;
        let mut ranges = ActivationRanges::default();
        loop {
            // An iterator that has panicked has its panic go on where it happened.
            let Some(input) = inputs.lock().unwrap_or_else(PoisonError::into_inner).next() else { return Ok(ranges) };
            let outputs = run(&mut graph, &input)?;
            let widened = observer.widen(&mut ranges, &outputs);
            widened.map_err(|activation| QuantizeError::NotFinite { encoder, activation })?;
        }
    };
    let mut ranges = ActivationRanges::default();
    for seen in in_parallel((0..threads.max(1)).map(|_| &lane)) {
        ranges.merge(&seen?);
    }
    if ranges.is_empty() { Err(QuantizeError::NoInputs(encoder)) } else { Ok(ranges) }
}
