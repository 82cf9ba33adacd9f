//! The pretrained networks that turn photos and titles into features. One file a network; named in `from_config`.

mod efficientnet_lite0;
mod minilm_l6_v2;

use std::path::{Path, PathBuf};

use natureddit_core::{Asset, ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::preprocess::{ImagePreprocess, PREPROCESS_VERSION, Prepared, PreprocessConfig, TextPreprocess};
use crate::quantization::Precision;
use crate::runtime::{Feed, Graph, Runtime, RuntimeError};
use crate::weights::WeightsError;

/// Raised whenever the graphs built from the same weights would answer otherwise.
const GRAPH_VERSION: u32 = 1;

/// How many photos or titles go through an encoder at once.
pub(crate) const BATCH_LEN: usize = 16;

/// A network that turns pixels into features.
#[derive(Clone, Copy, Debug)]
pub struct ImageEncoder {
    /// Its name in the config.
    pub name: &'static str,
    /// How many features a photo gets.
    pub features: usize,
    /// Its weights.
    pub weights: &'static Asset,
    preprocess: fn() -> ImagePreprocess,
    build: fn(&Path) -> Result<Vec<u8>, WeightsError>,
}

/// A network that turns tokens into an embedding.
#[derive(Clone, Copy, Debug)]
pub struct TextEncoder {
    /// Its name in the config.
    pub name: &'static str,
    /// How many features a title gets.
    pub features: usize,
    /// Its weights.
    pub weights: &'static Asset,
    /// Its tokenizer.
    pub tokenizer: &'static Asset,
    build: fn(&Path) -> Result<Vec<u8>, WeightsError>,
}

/// The image encoder of that name.
#[must_use]
pub fn image_encoder_from_config(name: &str) -> Option<&'static ImageEncoder> {
    [&efficientnet_lite0::ENCODER].into_iter().find(|encoder| encoder.name == name)
}

/// The text encoder of that name.
#[must_use]
pub fn text_encoder_from_config(name: &str) -> Option<&'static TextEncoder> {
    [&minilm_l6_v2::ENCODER].into_iter().find(|encoder| encoder.name == name)
}

/// The two encoders of a model and how their inputs are prepared, before any file is read.
#[derive(Clone, Copy, Debug)]
pub struct EncoderPair {
    /// For photos.
    pub image: &'static ImageEncoder,
    /// For titles.
    pub text: &'static TextEncoder,
    /// The most tokens a title may have.
    pub title_tokens_max: usize,
}

/// Where the assets of an [`EncoderPair`] lie.
#[derive(Clone, Debug)]
pub struct EncoderFiles {
    /// The image encoder's weights.
    pub image_weights: PathBuf,
    /// The text encoder's weights.
    pub text_weights: PathBuf,
    /// The text encoder's tokenizer.
    pub tokenizer: PathBuf,
}

impl EncoderPair {
    /// How inputs of this pair are prepared.
    #[must_use]
    pub fn preprocess(&self) -> PreprocessConfig {
        PreprocessConfig {
            version: PREPROCESS_VERSION,
            image: (self.image.preprocess)(),
            text: TextPreprocess { tokens_max: self.title_tokens_max },
        }
    }

    /// What decides the features of a photo: the same hash and the same photo give the same features.
    #[must_use]
    pub fn image_hash(&self) -> ContentHash {
        let config = self.preprocess();
        let mut hasher = fingerprint("image", config.version);
        hasher.part(self.image.weights.sha256).part(format!("{:?}", config.image));
        hasher.finish()
    }

    /// What decides the features of a title.
    #[must_use]
    pub fn text_hash(&self) -> ContentHash {
        let config = self.preprocess();
        let mut hasher = fingerprint("text", config.version);
        hasher.part(self.text.weights.sha256).part(self.text.tokenizer.sha256).part(format!("{:?}", config.text));
        hasher.finish()
    }

    /// How many features the graphs give.
    pub(crate) fn widths(&self) -> Widths {
        Widths { image: self.image.features, text: self.text.features }
    }

    /// The graphs as ONNX files, built from the weights.
    pub(crate) fn build(&self, files: &EncoderFiles) -> Result<EncoderGraphs, WeightsError> {
        Ok(EncoderGraphs { image: self.build_image(files)?, text: self.build_text(files)? })
    }

    /// The graph of the image encoder as an ONNX file.
    pub(crate) fn build_image(&self, files: &EncoderFiles) -> Result<Vec<u8>, WeightsError> {
        (self.image.build)(&files.image_weights)
    }

    /// The graph of the text encoder as an ONNX file.
    pub(crate) fn build_text(&self, files: &EncoderFiles) -> Result<Vec<u8>, WeightsError> {
        (self.text.build)(&files.text_weights)
    }
}

fn fingerprint(kind: &str, preprocess_version: u32) -> ContentHasher {
    let mut hasher = ContentHasher::new();
    hasher.part(kind).part(GRAPH_VERSION.to_le_bytes()).part(preprocess_version.to_le_bytes());
    hasher
}

/// The two encoders as ONNX files.
pub(crate) struct EncoderGraphs {
    pub(crate) image: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

/// What the encoders say of a post; a part is `None` where the post has no photo or no title.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Of the photo.
    pub image: Option<Vec<f32>>,
    /// Of the title.
    pub text: Option<Vec<f32>>,
}

/// The encoders, loaded.
#[derive(Debug)]
pub struct Encoders {
    image: Graph,
    text: Graph,
    image_size: usize,
    widths: Widths,
}

/// How many features a photo and a title get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widths {
    pub(crate) image: usize,
    pub(crate) text: usize,
}

impl Encoders {
    /// Builds both graphs from the weights in the form that `precision` says, and loads them to run on so many threads.
    ///
    /// # Errors
    /// [`ModelError`] when a file is not what it should be, the ranges are not those of the encoders, or the runtime refuses
    /// a graph.
    pub fn build(
        pair: &EncoderPair,
        files: &EncoderFiles,
        precision: &Precision,
        runtime: &Runtime,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let graphs = precision.graphs(pair, files)?;
        Ok(Self::open(runtime, &graphs, &pair.preprocess(), pair.widths(), threads)?)
    }

    pub(crate) fn open(
        runtime: &Runtime,
        graphs: &EncoderGraphs,
        preprocess: &PreprocessConfig,
        widths: Widths,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let image = runtime.open("image encoder", &graphs.image, threads)?;
        let text = runtime.open("text encoder", &graphs.text, threads)?;
        Ok(Self { image, text, image_size: preprocess.image.size as usize, widths })
    }

    pub(crate) fn open_files(
        runtime: &Runtime,
        (image, text): (&Path, &Path),
        preprocess: &PreprocessConfig,
        widths: Widths,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let image = runtime.open_file(image, threads)?;
        let text = runtime.open_file(text, threads)?;
        Ok(Self { image, text, image_size: preprocess.image.size as usize, widths })
    }

    /// The features of each prepared input, in order.
    ///
    /// # Errors
    /// When a graph cannot be run.
    pub fn encode(&mut self, inputs: &[Prepared]) -> Result<Vec<Features>, RuntimeError> {
        let mut features = vec![Features::default(); inputs.len()];
        let photos: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].pixels.is_some()).collect();
        for batch in photos.chunks(BATCH_LEN) {
            for (&at, values) in batch.iter().zip(self.encode_photos(inputs, batch)?) {
                features[at].image = Some(values);
            }
        }
        let length = |i: usize| inputs[i].tokens.as_ref().map_or(0, Vec::len);
        let mut titles: Vec<usize> = (0..inputs.len()).filter(|&i| length(i) > 0).collect();
        // Titles of like length share a batch, so that little of it is padding.
        titles.sort_by_key(|&i| length(i));
        for batch in titles.chunks(BATCH_LEN) {
            for (&at, values) in batch.iter().zip(self.encode_titles(inputs, batch)?) {
                features[at].text = Some(values);
            }
        }
        Ok(features)
    }

    fn encode_photos(&mut self, inputs: &[Prepared], batch: &[usize]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let mut pixels = Vec::with_capacity(batch.len() * 3 * self.image_size * self.image_size);
        batch.iter().filter_map(|&i| inputs[i].pixels.as_ref()).for_each(|p| pixels.extend_from_slice(p));
        let shape = vec![batch.len(), 3, self.image_size, self.image_size];
        let output = self.image.run(&[Feed::F32("pixels", shape, &pixels)])?;
        rows(&output, batch.len(), self.widths.image)
    }

    fn encode_titles(&mut self, inputs: &[Prepared], batch: &[usize]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let tokens: Vec<&[i64]> = batch.iter().filter_map(|&i| inputs[i].tokens.as_deref()).collect();
        let length = tokens.iter().map(|t| t.len()).max().unwrap_or(0);
        let mut ids = vec![0; batch.len() * length];
        let mut mask = vec![0; batch.len() * length];
        for (row, title) in tokens.iter().enumerate() {
            let start = row * length;
            ids[start..start + title.len()].copy_from_slice(title);
            mask[start..start + title.len()].fill(1);
        }
        let shape = vec![batch.len(), length];
        let feeds = [Feed::I64("input_ids", shape.clone(), &ids), Feed::I64("attention_mask", shape, &mask)];
        let output = self.text.run(&feeds)?;
        rows(&output, batch.len(), self.widths.text)
    }
}

/// The features of each input; a graph that gives others than it should is not cut to fit.
fn rows(output: &[f32], count: usize, width: usize) -> Result<Vec<Vec<f32>>, RuntimeError> {
    if width == 0 || output.len() != count * width {
        let reason = format!("{} values for {count} inputs with {width} features each", output.len());
        return Err(RuntimeError::Run(reason));
    }
    Ok(output.chunks_exact(width).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_gives_what_was_promised() {
        assert_eq!(rows(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        let error = rows(&[1.0, 2.0, 3.0, 4.0], 2, 3).unwrap_err();
        assert_eq!(error.to_string(), "inference failed: 4 values for 2 inputs with 3 features each");
        assert!(rows(&[], 2, 0).is_err());
    }
}
