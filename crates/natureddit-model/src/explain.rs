//! Why a model answered as it did: which words of the title and which parts of the photo its answer hangs on.
//!
//! A part is taken away and the model is asked again; its *weight* is how far the probability of the answered class falls:
//!
//! ```text
//! weight = p(class | the post) - p(class | the post without the part)
//! ```
//!
//! Positive: the part speaks for the answer; negative: without it the model would be surer. A weight lies between -1 and 1.
//! Weights do not add up to the probability: two words that say the same each have a small one, for the other is still
//! there, and two that mean something only together both have a large one.
//!
//! Occlusion maps: Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014). Leave-one-out for
//! words: Li, Monroe and Jurafsky, "Understanding neural networks through representation erasure" (2016).

mod occlusion;
#[cfg(test)]
mod tests;
mod variants;
mod words;

use std::ops::Range;

use crate::encoder::Features;
use crate::error::ModelError;
use crate::input::{InputError, ModelInput};
use crate::predictor::{Prediction, Predictor};
use crate::preprocess::Prepared;

pub use occlusion::OcclusionMap;
pub use variants::Variants;

/// How many changed posts are in memory at a time: a finer grid than usual would take gigabytes.
const AT_ONCE: usize = 16;

/// How an answer is explained.
#[derive(Clone, Copy, Debug)]
pub struct ExplainOptions {
    /// How many cells the photo is divided into along each side; at least 1 is taken, and at most one a pixel that the
    /// encoder sees.
    pub cells_a_side: usize,
}

impl Default for ExplainOptions {
    /// 7 cells a side: of 224 pixels each covers 32, which is the last grid of most convolutional encoders.
    fn default() -> Self {
        Self { cells_a_side: 7 }
    }
}

/// An answer and what it hangs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What [`Predictor::predict`] answers.
    pub prediction: Prediction,
    /// The words of the title in their order; `None` where there is no title.
    pub words: Option<Vec<WordWeight>>,
    /// The parts of the photo; `None` where there is no photo.
    pub photo: Option<OcclusionMap>,
}

/// A word of the title.
#[derive(Clone, Debug, PartialEq)]
pub struct WordWeight {
    /// The word with the punctuation that touches it: `snow!`.
    pub word: String,
    /// Where it stands in the title, in bytes.
    pub at: Range<usize>,
    /// How far the answered class's probability falls without it: -1 to 1. Of the only word of a title: against what the
    /// model says of the post without a title, and where it has no photo either, of a post of which nothing is known.
    pub weight: f32,
}

/// Why an answer was not explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The post cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Predictor {
    /// Answers and explains the answer. The encoders see the photo once for each cell and the title once for each word that
    /// changes its tokens, each alone, so that the same post always has the same weights.
    ///
    /// # Errors
    /// [`ExplainError::Input`] as [`Preprocessor::prepare`](crate::Preprocessor::prepare), [`ExplainError::Model`] when an
    /// encoder fails or gives no numbers.
    pub fn explain(&mut self, input: &ModelInput<'_>, options: &ExplainOptions) -> Result<Explanation, ExplainError> {
        let (preprocessor, encoders, head) = self.parts();
        let variants = Variants::new(input, options, preprocessor.middle(), |input| preprocessor.prepare(input))?;
        let encode = |inputs: &[Prepared]| {
            let features = encoders.encode(inputs)?;
            features.iter().try_for_each(Features::check_finite)?;
            Ok(features)
        };
        Ok(weigh(&variants, encode, |features| head.probabilities(features))?)
    }
}

/// Asks a model that is at hand about each variant. What a variant shares with the post is not encoded again.
fn weigh(
    variants: &Variants,
    mut encode: impl FnMut(&[Prepared]) -> Result<Vec<Features>, ModelError>,
    answer: impl Fn(&Features) -> Vec<f32>,
) -> Result<Explanation, ModelError> {
    let whole = encode(std::slice::from_ref(variants.whole()))?.pop().unwrap_or_default();
    let mut without = Vec::with_capacity(variants.len());
    let all: Vec<usize> = (0..variants.len()).collect();
    for indices in all.chunks(AT_ONCE) {
        let changed: Vec<Prepared> = indices.iter().map(|&index| variants.changed(index)).collect();
        for (&index, features) in indices.iter().zip(encode(&changed)?) {
            let features = if variants.is_of_the_title(index) {
                Features { text: features.text, ..whole.clone() }
            } else {
                Features { image: features.image, ..whole.clone() }
            };
            without.push(Prediction::new(answer(&features)));
        }
    }
    Ok(variants.explanation(Prediction::new(answer(&whole)), &without))
}
