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
mod words;

use std::ops::Range;

use crate::encoder::{BATCH_LEN, Features};
use crate::error::ModelError;
use crate::input::{InputError, ModelInput};
use crate::predictor::{Prediction, Predictor};
use crate::preprocess::Prepared;

use occlusion::Covering;
pub use occlusion::OcclusionMap;

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
    /// changes its tokens, in batches; the same post always has the same batches, and so the same weights.
    ///
    /// # Errors
    /// [`ExplainError::Input`] as [`Preprocessor::prepare`](crate::Preprocessor::prepare), [`ExplainError::Model`] when an
    /// encoder fails.
    pub fn explain(&mut self, input: &ModelInput<'_>, options: &ExplainOptions) -> Result<Explanation, ExplainError> {
        let (preprocessor, encoders, head) = self.parts();
        let prepared = preprocessor.prepare(input)?;
        let tokenise = |title: &str| -> Result<Option<Vec<i64>>, InputError> {
            if title.trim().is_empty() {
                return Ok(None);
            }
            Ok(preprocessor.prepare(&ModelInput { text: Some(title), image: None })?.tokens)
        };
        let mut asked = Asked {
            encode: |inputs: &[Prepared]| Ok(encoders.encode(inputs)?),
            answer: |features: &Features| head.probabilities(features),
        };
        let mut explanation = asked.explain(&prepared, input.text, tokenise, options)?;
        if let Some(map) = &mut explanation.photo {
            map.middle = preprocessor.image().middle();
        }
        Ok(explanation)
    }
}

/// A model as an explanation uses it.
struct Asked<Encode, Answer> {
    /// The features of each input.
    encode: Encode,
    /// The probability of each class.
    answer: Answer,
}

impl<Encode, Answer> Asked<Encode, Answer>
where
    Encode: FnMut(&[Prepared]) -> Result<Vec<Features>, ModelError>,
    Answer: Fn(&Features) -> Vec<f32>,
{
    /// `tokenise` gives `None` for a title of which nothing is left.
    fn explain(
        &mut self,
        prepared: &Prepared,
        title: Option<&str>,
        tokenise: impl Fn(&str) -> Result<Option<Vec<i64>>, InputError>,
        options: &ExplainOptions,
    ) -> Result<Explanation, ExplainError> {
        let features = (self.encode)(std::slice::from_ref(prepared))?.pop().unwrap_or_default();
        let prediction = Prediction::new((self.answer)(&features));
        let whole = Whole { features, class: prediction.class.0, sure: prediction.probabilities[prediction.class.0] };
        let words = match (title, &prepared.tokens) {
            (Some(title), Some(tokens)) => Some(self.words(&whole, title, tokens, tokenise)?),
            _ => None,
        };
        let photo = prepared.pixels.as_ref().map(|pixels| self.photo(&whole, pixels, options.cells_a_side));
        Ok(Explanation { prediction, words, photo: photo.transpose()? })
    }

    fn words(
        &mut self,
        whole: &Whole,
        title: &str,
        tokens: &[i64],
        tokenise: impl Fn(&str) -> Result<Option<Vec<i64>>, InputError>,
    ) -> Result<Vec<WordWeight>, ExplainError> {
        let weightless = |at: Range<usize>| WordWeight { word: title[at.clone()].to_owned(), at, weight: 0.0 };
        let mut words: Vec<WordWeight> = words::words(title).into_iter().map(weightless).collect();
        let (mut changed, mut variants) = (Vec::new(), Vec::new());
        for (place, word) in words.iter_mut().enumerate() {
            match tokenise(&words::without(title, &word.at))? {
                // What the model never saw, such as a word beyond the longest title, keeps its weight of 0.
                Some(left) if left == tokens => {}
                Some(left) => {
                    changed.push(place);
                    variants.push(Prepared { pixels: None, tokens: Some(left) });
                }
                None => word.weight = self.weight(whole, &Features { text: None, ..whole.features.clone() }),
            }
        }
        for (place, features) in changed.into_iter().zip((self.encode)(&variants)?) {
            let without = Features { text: features.text, ..whole.features.clone() };
            words[place].weight = self.weight(whole, &without);
        }
        Ok(words)
    }

    fn photo(&mut self, whole: &Whole, pixels: &[f32], cells_a_side: usize) -> Result<OcclusionMap, ModelError> {
        let covering = Covering::new(pixels, cells_a_side);
        let cells: Vec<usize> = (0..covering.cells()).collect();
        let mut weights = Vec::with_capacity(cells.len());
        // Not all at once: a finer grid than usual would take gigabytes.
        for cells in cells.chunks(BATCH_LEN) {
            let cover = |cell: &usize| Prepared { pixels: Some(covering.without(*cell)), tokens: None };
            let variants: Vec<Prepared> = cells.iter().map(cover).collect();
            for features in (self.encode)(&variants)? {
                let without = Features { image: features.image, ..whole.features.clone() };
                weights.push(self.weight(whole, &without));
            }
        }
        Ok(OcclusionMap { cells_a_side: covering.cells_a_side(), weights, middle: None })
    }

    fn weight(&self, whole: &Whole, without: &Features) -> f32 {
        whole.sure - (self.answer)(without)[whole.class]
    }
}

/// The post as it is, and what was answered.
struct Whole {
    features: Features,
    class: usize,
    /// The probability of that class.
    sure: f32,
}
