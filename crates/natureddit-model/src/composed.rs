//! A bundle as one ONNX file, for whoever runs models without this program.
//!
//! | | name | shape | |
//! |---|---|---|---|
//! | input | `pixels` | float32 [batch, 3, size, size] | normalised as `preprocess.json` says; all NaN: no photo |
//! | input | `input_ids` | int64 [batch, sequence] | the tokenizer's, padded with anything; at least one place |
//! | input | `attention_mask` | int64 [batch, sequence] | 1 where there is a token, 0 where there is padding; all 0: no title |
//! | output | `probabilities` | float32 [batch, classes] | sum to 1 |
//! | output | `class` | int64 [batch] | where the highest probability is |

use std::path::PathBuf;

use natureddit_core::fs;
use natureddit_image::Photo;

use crate::bundle::{BundleError, ModelBundle};
use crate::error::ModelError;
use crate::input::ModelInput;
use crate::onnx::{ComposeProblem, compose};
use crate::predictor::{Predictor, PredictorOptions};
use crate::preprocess::{Prepared, PreprocessConfig};
use crate::runtime::{Feed, Graph, Runtime, RuntimeError};

/// What the file says of its inputs and outputs.
const DOC: &str = "pixels (normalised as preprocess.json of the bundle says; all NaN where there is no photo), input_ids \
and attention_mask (all zeros where there is no title) -> probabilities, in the order of the property `classes`, and class";

/// Why a bundle is no single file.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A file of the bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An encoder is not one that this program has written.
    #[error("{path} cannot be made a part of another graph: {reason}", path = path.display())]
    Graph {
        /// The encoder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// ONNX keeps no more in one file.
    #[error("the file would have {0} bytes, and one ONNX file holds 2 GB")]
    TooLarge(u64),
}

impl ModelBundle {
    /// The whole model as the content of one ONNX file; the same bundle gives the same bytes.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn compose(&self) -> Result<Vec<u8>, ComposeError> {
        let (image, text) = self.graphs();
        let read = |path| fs::read(path).map_err(BundleError::from);
        let classes: Vec<&str> = self.manifest.classes.names().collect();
        let properties = [
            ("model", self.manifest.name.clone()),
            // A list of texts has a JSON form.
            ("classes", serde_json::to_string(&classes).unwrap_or_default()),
            ("preprocess", serde_json::to_string(self.preprocess()).unwrap_or_default()),
        ];
        let composed = compose(&read(&image)?, &read(&text)?, &self.head()?, DOC, &properties);
        composed.map_err(|problem| match problem {
            ComposeProblem::Image(reason) => ComposeError::Graph { path: image, reason },
            ComposeProblem::Text(reason) => ComposeError::Graph { path: text, reason },
            ComposeProblem::TooLarge(bytes) => ComposeError::TooLarge(bytes),
        })
    }
}

/// Some posts as the composed graph takes them; row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct ComposedInputs {
    /// `pixels`.
    pub pixels: Vec<f32>,
    /// Its shape: posts, channels, height, width.
    pub pixels_shape: [usize; 4],
    /// `input_ids`.
    pub input_ids: Vec<i64>,
    /// `attention_mask`.
    pub attention_mask: Vec<i64>,
    /// The shape of both: posts, places for tokens.
    pub tokens_shape: [usize; 2],
}

impl ComposedInputs {
    /// What a preprocessor made of some posts, with what stands for a missing photo or title.
    #[must_use]
    pub fn new(posts: &[Prepared], config: &PreprocessConfig) -> Self {
        let side = config.image.size as usize;
        let area = 3 * side * side;
        let places = posts.iter().filter_map(|post| post.tokens.as_ref()).map(Vec::len).max().unwrap_or(0).max(1);
        let mut inputs = Self {
            pixels: Vec::with_capacity(posts.len() * area),
            pixels_shape: [posts.len(), 3, side, side],
            input_ids: vec![0; posts.len() * places],
            attention_mask: vec![0; posts.len() * places],
            tokens_shape: [posts.len(), places],
        };
        for (row, post) in posts.iter().enumerate() {
            match &post.pixels {
                Some(pixels) => inputs.pixels.extend_from_slice(pixels),
                None => inputs.pixels.resize(inputs.pixels.len() + area, f32::NAN),
            }
            let tokens = post.tokens.as_deref().unwrap_or_default();
            let start = row * places;
            inputs.input_ids[start..start + tokens.len()].copy_from_slice(tokens);
            inputs.attention_mask[start..start + tokens.len()].fill(1);
        }
        inputs
    }
}

/// A composed model, loaded.
#[derive(Debug)]
pub struct ComposedModel(Graph);

impl ComposedModel {
    /// Loads the content of a composed file.
    ///
    /// # Errors
    /// When the runtime refuses it.
    pub fn load(onnx: &[u8], runtime: &Runtime) -> Result<Self, RuntimeError> {
        runtime.open("composed model", onnx).map(Self)
    }

    /// The probabilities of each post, in order.
    ///
    /// # Errors
    /// When the graph cannot be run on these inputs.
    pub fn predict(&mut self, inputs: &ComposedInputs) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let posts = inputs.tokens_shape[0];
        let feeds = [
            Feed::F32("pixels", inputs.pixels_shape.to_vec(), &inputs.pixels),
            Feed::I64("input_ids", inputs.tokens_shape.to_vec(), &inputs.input_ids),
            Feed::I64("attention_mask", inputs.tokens_shape.to_vec(), &inputs.attention_mask),
        ];
        let output = self.0.run(&feeds, "probabilities")?;
        Ok(output.chunks(output.len().div_ceil(posts.max(1)).max(1)).map(<[f32]>::to_vec).collect())
    }
}

/// The largest difference between a probability of the composed file and of the bundle itself, over a post with both parts,
/// one without a title and one without a photo.
///
/// # Errors
/// When one of the two cannot be loaded or run.
pub fn composed_difference(
    bundle: &ModelBundle,
    onnx: &[u8],
    runtime: &Runtime,
    options: &PredictorOptions,
) -> Result<f32, ModelError> {
    let mut predictor = Predictor::load(bundle, runtime, options)?;
    let mut composed = ComposedModel::load(onnx, runtime)?;
    let photo = slope().to_jpeg(90);
    let (text, image) = (Some("A fox beside the lake"), Some(photo.as_slice()));
    let posts = [ModelInput { text, image }, ModelInput { text: None, image }, ModelInput { text, image: None }];
    let failed = |e: crate::input::InputError| RuntimeError::Run(e.to_string());
    let prepare = |post| predictor.preprocessor().prepare(post).map_err(failed);
    let prepared = posts.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
    let found = composed.predict(&ComposedInputs::new(&prepared, bundle.preprocess()))?;
    let expected = predictor.predict(&prepared)?;
    if expected.len() != found.len() || expected.iter().zip(&found).any(|(a, b)| a.probabilities.len() != b.len()) {
        return Ok(f32::NAN);
    }
    let pairs = expected.iter().zip(&found).flat_map(|(a, b)| a.probabilities.iter().zip(b));
    Ok(worst(pairs.map(|(a, b)| (a - b).abs())))
}

/// The largest; one that is no number is larger than all, wherever it stands.
fn worst(gaps: impl Iterator<Item = f32>) -> f32 {
    gaps.fold(0.0, |worst: f32, gap| if worst.is_nan() || gap <= worst { worst } else { gap })
}

/// A picture whose every part is another.
fn slope() -> Photo {
    let (width, height) = (96, 64);
    let pixel = |at: u32| [(at % width) * 2, (at / width) * 3, at % 251].map(|value| value as u8);
    Photo { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_number_is_the_worst_wherever_it_stands() {
        assert!(super::worst([f32::NAN, 0.0, 1e-8].into_iter()).is_nan());
        assert!(super::worst([0.5, f32::NAN].into_iter()).is_nan());
        assert_eq!(super::worst([0.5, 0.25].into_iter()), 0.5);
    }
}
