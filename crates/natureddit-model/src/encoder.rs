//! The networks that turn photos and titles into features. One file a network or a form they come in.

mod bert;
mod config_file;
mod efficientnet_lite;
mod error;
mod minilm_l6_v2;
mod onnx_file;
mod resnet;
mod run;
mod source;
mod spec;
mod tokenizer;

use std::path::Path;
use std::sync::Arc;

use natureddit_core::{Asset, ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::onnx::{self, Bert, EfficientNetLite, ResNet};
use crate::preprocess::{
    ImagePreprocess, InputLimits, PREPROCESS_VERSION, PreprocessConfig, Preprocessor, TextPreprocess,
};
use crate::weights::WeightsError;
pub use error::EncoderError;
pub use onnx_file::{OnnxImageEncoder, OnnxTextEncoder};
pub use run::Encoders;
pub(crate) use run::{EncoderGraphs, EncoderPorts, Widths};
pub use source::EncoderFiles;
use source::{HashedFile, TokenizerSource, WeightsSource};
pub use spec::{EncoderSource, EncoderSpec, TextPooling};

/// Raised whenever the same weights would give a photo other features.
const IMAGE_VERSION: u32 = 1;
/// The same of titles. In version 1 those of like length went through the graph together, which changed last bits.
const TEXT_VERSION: u32 = 2;

/// The licence of weights that come without one.
const LICENCE_UNKNOWN: &str = "not stated";
/// What stands in its place where weights are nobody's work.
const LICENCE_RANDOM: &str = "none needed: random weights";

/// A network that turns pixels into features.
#[derive(Clone, Debug)]
pub struct ImageEncoder {
    /// Its name in the config.
    pub name: String,
    /// How many features a photo gets.
    pub features: usize,
    /// The licence of its weights, an SPDX expression where it is known.
    pub licence: String,
    preprocess: ImagePreprocess,
    graph: ImageGraph,
}

/// What the graph of an image encoder is made from.
#[derive(Clone, Debug)]
enum ImageGraph {
    EfficientNetLite(EfficientNetLite, WeightsSource),
    ResNet(ResNet, WeightsSource),
    Onnx(HashedFile, Ports),
}

/// A network that turns tokens into an embedding.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    /// Its name in the config.
    pub name: String,
    /// How many features a title gets.
    pub features: usize,
    /// The licence of its weights, an SPDX expression where it is known.
    pub licence: String,
    tokenizer: TokenizerSource,
    /// The most tokens it has places for.
    tokens_max: usize,
    graph: TextGraph,
}

/// What the graph of a text encoder is made from.
#[derive(Clone, Debug)]
enum TextGraph {
    Bert(Bert, WeightsSource),
    Onnx(HashedFile, Ports),
}

/// How the values are called that go into a graph and come out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The pixels; or the token ids, their mask and, where it is asked for, the kinds of the tokens.
    pub inputs: Vec<String>,
    /// The features, [batch, features].
    pub output: String,
}

impl Ports {
    fn new(inputs: &[&str], output: &str) -> Self {
        Self { inputs: inputs.iter().map(|&name| name.to_owned()).collect(), output: output.to_owned() }
    }

    /// Those of the image graphs that this program builds.
    pub(crate) fn built_image() -> Self {
        Self::new(&["pixels"], "features")
    }

    /// Those of the text graphs that this program builds.
    pub(crate) fn built_text() -> Self {
        Self::new(&["input_ids", "attention_mask"], "embedding")
    }
}

/// The image encoder of that name, whose weights are pinned.
#[must_use]
pub fn image_encoder_from_config(name: &str) -> Option<ImageEncoder> {
    efficientnet_lite::named(name)
}

/// The text encoder of that name, whose weights are pinned.
#[must_use]
pub fn text_encoder_from_config(name: &str) -> Option<TextEncoder> {
    (name == minilm_l6_v2::NAME).then(minilm_l6_v2::encoder)
}

impl ImageEncoder {
    /// The names of [`image_encoder_from_config`].
    pub const NAMES: [&str; 2] = efficientnet_lite::NAMES;
    /// The networks there are with random weights.
    pub const RANDOM: [&str; 5] =
        ["resnet-18", "resnet-34", "resnet-50", efficientnet_lite::NAMES[0], efficientnet_lite::NAMES[1]];

    /// The encoder of a folder as Hugging Face's libraries save it: `config.json`, `model.safetensors` (or
    /// `pytorch_model.bin`) and, unless it is that of ResNet, `preprocessor_config.json`. Of the family `resnet`.
    ///
    /// # Errors
    /// [`EncoderError`] when a file is missing or says what is not understood. The weights are hashed, not parsed.
    pub fn from_folder(name: &str, folder: &Path) -> Result<Self, EncoderError> {
        resnet::from_folder(name, folder)
    }

    /// A network of [`ImageEncoder::RANDOM`] with weights that follow from the seed; no file is needed.
    ///
    /// # Errors
    /// [`EncoderError::NoArchitecture`] for another name.
    pub fn random(name: &str, architecture: &str, seed: u64) -> Result<Self, EncoderError> {
        let found = resnet::random(name, architecture, seed);
        found
            .or_else(|| efficientnet_lite::random(name, architecture, seed))
            .ok_or_else(|| EncoderError::no_architecture(architecture, &Self::RANDOM))
    }

    /// An ONNX file with declared preprocessing.
    ///
    /// # Errors
    /// [`EncoderError`] when the file has not the inputs and outputs that are declared.
    pub fn from_onnx(declared: &OnnxImageEncoder) -> Result<Self, EncoderError> {
        onnx_file::image(declared)
    }

    pub(crate) fn build(&self, files: &EncoderFiles) -> Result<Vec<u8>, WeightsError> {
        match &self.graph {
            ImageGraph::EfficientNetLite(scale, weights) => onnx::efficientnet_lite(scale, &weights.read(files)?),
            ImageGraph::ResNet(sizes, weights) => {
                let weights = weights.read(files)?.renamed(resnet::tensor_name);
                onnx::resnet(sizes, &weights)
            }
            ImageGraph::Onnx(file, _) => file.read(),
        }
    }

    /// How the names of the last block's nodes in the graph begin; `None` for a file from elsewhere.
    pub(crate) fn last_block(&self) -> Option<String> {
        match &self.graph {
            ImageGraph::EfficientNetLite(scale, _) => Some(scale.last_block()),
            ImageGraph::ResNet(sizes, _) => Some(sizes.last_block()),
            ImageGraph::Onnx(..) => None,
        }
    }

    /// What decides the graph. Of what is pinned the hash alone does, as it did before there was anything else.
    fn identity(&self) -> Vec<String> {
        match &self.graph {
            ImageGraph::EfficientNetLite(_, WeightsSource::Asset(asset)) => vec![asset.sha256.to_owned()],
            ImageGraph::EfficientNetLite(scale, weights) => vec![format!("{scale:?}"), weights.identity()],
            ImageGraph::ResNet(sizes, weights) => vec![format!("{sizes:?}"), weights.identity()],
            ImageGraph::Onnx(file, ports) => vec![format!("{ports:?}"), file.identity()],
        }
    }

    fn assets(&self) -> Option<&'static Asset> {
        match &self.graph {
            ImageGraph::EfficientNetLite(_, weights) | ImageGraph::ResNet(_, weights) => weights.asset(),
            ImageGraph::Onnx(..) => None,
        }
    }

    /// Whether this program builds its graph; one of a file runs as it is.
    #[must_use]
    pub fn is_built_here(&self) -> bool {
        self.ports().is_none()
    }

    /// What is written into a bundle: none for what this program builds.
    pub(crate) fn ports(&self) -> Option<&Ports> {
        if let ImageGraph::Onnx(_, ports) = &self.graph { Some(ports) } else { None }
    }
}

impl TextEncoder {
    /// The names of [`text_encoder_from_config`].
    pub const NAMES: [&str; 1] = [minilm_l6_v2::NAME];
    /// The networks there are with random weights.
    pub const RANDOM: [&str; 1] = ["bert-tiny"];

    /// The encoder of a folder as Hugging Face's libraries save it: `config.json`, `model.safetensors` (or
    /// `pytorch_model.bin`) and `tokenizer.json` (or `vocab.txt`). Of the family `bert`.
    ///
    /// # Errors
    /// [`EncoderError`] when a file is missing or says what is not understood. The weights are hashed, not parsed.
    pub fn from_folder(name: &str, folder: &Path, pooling: TextPooling) -> Result<Self, EncoderError> {
        bert::from_folder(name, folder, pooling)
    }

    /// A network of [`TextEncoder::RANDOM`] with weights that follow from the seed and a small vocabulary of letters and
    /// pairs of letters; no file is needed.
    ///
    /// # Errors
    /// [`EncoderError::NoArchitecture`] for another name.
    pub fn random(name: &str, architecture: &str, seed: u64, pooling: TextPooling) -> Result<Self, EncoderError> {
        bert::random(name, architecture, seed, pooling)
    }

    /// An ONNX file with its tokenizer.
    ///
    /// # Errors
    /// [`EncoderError`] when the file has not the inputs and outputs that are declared.
    pub fn from_onnx(declared: &OnnxTextEncoder) -> Result<Self, EncoderError> {
        onnx_file::text(declared)
    }

    pub(crate) fn build(&self, files: &EncoderFiles) -> Result<Vec<u8>, WeightsError> {
        match &self.graph {
            TextGraph::Bert(sizes, weights) => {
                let weights = weights.read(files)?.renamed(bert::tensor_name);
                onnx::bert(sizes, &weights)
            }
            TextGraph::Onnx(file, _) => file.read(),
        }
    }

    /// As [`ImageEncoder::last_block`].
    pub(crate) fn last_block(&self) -> Option<String> {
        if let TextGraph::Bert(sizes, _) = &self.graph { Some(sizes.last_block()) } else { None }
    }

    /// What decides the graph and the tokens.
    fn identity(&self) -> Vec<String> {
        let mut parts = match &self.graph {
            TextGraph::Bert(_, WeightsSource::Asset(asset)) => vec![asset.sha256.to_owned()],
            TextGraph::Bert(sizes, weights) => vec![format!("{sizes:?}"), weights.identity()],
            TextGraph::Onnx(file, ports) => vec![format!("{ports:?}"), file.identity()],
        };
        parts.push(self.tokenizer.identity());
        parts
    }

    fn assets(&self) -> impl Iterator<Item = &'static Asset> {
        let weights = match &self.graph {
            TextGraph::Bert(_, weights) => weights.asset(),
            TextGraph::Onnx(..) => None,
        };
        weights.into_iter().chain(self.tokenizer.asset())
    }

    /// Whether this program builds its graph; one of a file runs as it is.
    #[must_use]
    pub fn is_built_here(&self) -> bool {
        self.ports().is_none()
    }

    /// What is written into a bundle: none for what this program builds.
    pub(crate) fn ports(&self) -> Option<&Ports> {
        if let TextGraph::Onnx(_, ports) = &self.graph { Some(ports) } else { None }
    }
}

/// The two encoders of a model and how their inputs are prepared; cheap to clone.
#[derive(Clone, Debug)]
pub struct EncoderPair {
    /// For photos.
    pub image: Arc<ImageEncoder>,
    /// For titles.
    pub text: Arc<TextEncoder>,
    /// The most tokens a title may have; an encoder with places for fewer gets fewer.
    pub title_tokens_max: usize,
}

impl EncoderPair {
    /// What has to be pulled before the encoders can be built; nothing for encoders from files and from a seed.
    #[must_use]
    pub fn assets(&self) -> Vec<&'static Asset> {
        self.image.assets().into_iter().chain(self.text.assets()).collect()
    }

    /// How inputs of this pair are prepared.
    #[must_use]
    pub fn preprocess(&self) -> PreprocessConfig {
        PreprocessConfig {
            version: PREPROCESS_VERSION,
            image: self.image.preprocess.clone(),
            text: TextPreprocess { tokens_max: self.title_tokens_max.min(self.text.tokens_max) },
        }
    }

    /// What decides the features of a photo: the same hash and the same photo give the same features.
    #[must_use]
    pub fn image_hash(&self) -> ContentHash {
        fingerprint(("image", IMAGE_VERSION), self.image.identity(), format!("{:?}", self.image.preprocess))
    }

    /// What decides the features of a title.
    #[must_use]
    pub fn text_hash(&self) -> ContentHash {
        fingerprint(("text", TEXT_VERSION), self.text.identity(), format!("{:?}", self.preprocess().text))
    }

    /// How many features the graphs give.
    pub(crate) fn widths(&self) -> Widths {
        Widths { image: self.image.features, text: self.text.features }
    }

    /// How the values of the graphs are called.
    pub(crate) fn ports(&self) -> EncoderPorts {
        EncoderPorts {
            image: self.image.ports().cloned().unwrap_or_else(Ports::built_image),
            text: self.text.ports().cloned().unwrap_or_else(Ports::built_text),
        }
    }

    /// What prepares inputs for this pair.
    ///
    /// # Errors
    /// When the tokenizer's file is not usable.
    pub fn preprocessor(&self, files: &EncoderFiles, limits: InputLimits) -> Result<Preprocessor, ModelError> {
        Ok(Preprocessor::new(self.preprocess(), &self.tokenizer(files)?, Path::new(&self.text.name), limits)?)
    }

    /// The content of the tokenizer's file.
    pub(crate) fn tokenizer(&self, files: &EncoderFiles) -> Result<Vec<u8>, WeightsError> {
        self.text.tokenizer.read(files)
    }
}

fn fingerprint((kind, version): (&str, u32), identity: Vec<String>, preprocess: String) -> ContentHash {
    let mut hasher = ContentHasher::new();
    hasher.part(kind).part(version.to_le_bytes()).part(PREPROCESS_VERSION.to_le_bytes());
    for part in identity {
        hasher.part(part);
    }
    hasher.part(preprocess).finish()
}

/// What the encoders say of a post; a part is `None` where the post has no photo or no title.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Of the photo.
    pub image: Option<Vec<f32>>,
    /// Of the title.
    pub text: Option<Vec<f32>>,
}

/// A post of which no answer can be told: an encoder overflowed, or divided by nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an encoder gave a feature of the {0} that is not a finite number")]
pub struct NotFinite(pub &'static str);

impl NotFinite {
    /// A stable reason for counting and for machines.
    pub const CODE: &'static str = "features_not_finite";
}

impl Features {
    /// Looks at every number.
    ///
    /// # Errors
    /// When one is infinite or none; of which part it is.
    pub fn check_finite(&self) -> Result<(), NotFinite> {
        let broken = |(part, _): &(&Option<Vec<f32>>, _)| part.iter().flatten().any(|value| !value.is_finite());
        let found = [(&self.image, "photo"), (&self.text, "title")].into_iter().find(broken);
        found.map_or(Ok(()), |(_, part)| Err(NotFinite(part)))
    }
}

#[cfg(test)]
mod tests;
