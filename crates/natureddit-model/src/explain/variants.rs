//! The posts that an explanation asks about, and what their answers say.

use std::ops::Range;

use crate::input::{InputError, ModelInput};
use crate::predictor::Prediction;
use crate::preprocess::Prepared;

use super::occlusion::{Covering, OcclusionMap};
use super::{ExplainOptions, Explanation, WordWeight, words};

/// A post, and the same post with one part taken away: first without each word that the model sees, in their order, then
/// without each cell of the photo, row by row.
///
/// Whoever runs the model asks it about [`Variants::whole`] and each [`Variants::variant`], in whatever portions, and hands
/// the answers to [`Variants::explanation`].
#[derive(Debug)]
pub struct Variants {
    whole: Prepared,
    /// The words of the title; `None` where there is no title.
    words: Option<Vec<Word>>,
    /// What is left of the title's tokens without a word; `None` where that was the only one.
    titles: Vec<Option<Vec<i64>>>,
    photo: Option<Covering>,
    middle: Option<f32>,
}

/// A word of the title.
#[derive(Debug)]
struct Word {
    word: String,
    at: Range<usize>,
    /// Which of the variants is without it; `None` where the model never saw it.
    variant: Option<usize>,
}

impl Variants {
    /// The variants of a post; `prepare` is [`Preprocessor::prepare`](crate::Preprocessor::prepare) and `middle` is
    /// [`Preprocessor::middle`](crate::Preprocessor::middle) of the model that is asked. Prepares the post once and the title
    /// once a word.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn new(
        input: &ModelInput<'_>,
        options: &ExplainOptions,
        middle: Option<f32>,
        prepare: impl Fn(&ModelInput<'_>) -> Result<Prepared, InputError>,
    ) -> Result<Self, InputError> {
        let whole = prepare(input)?;
        let tokenise = |title: &str| -> Result<Option<Vec<i64>>, InputError> {
            if title.trim().is_empty() {
                return Ok(None);
            }
            Ok(prepare(&ModelInput { text: Some(title), image: None })?.tokens)
        };
        let variants = Self::of(whole, input.text, options, tokenise)?;
        Ok(Self { middle, ..variants })
    }

    /// As [`Variants::new`], of a post that is prepared; `tokenise` gives `None` for a title of which nothing is left.
    pub(super) fn of(
        whole: Prepared,
        title: Option<&str>,
        options: &ExplainOptions,
        tokenise: impl Fn(&str) -> Result<Option<Vec<i64>>, InputError>,
    ) -> Result<Self, InputError> {
        let mut titles = Vec::new();
        let words = match (title, &whole.tokens) {
            (Some(title), Some(tokens)) => {
                let mut found = Vec::new();
                for at in words::words(title) {
                    let left = tokenise(&words::without(title, &at))?;
                    // What the model never saw, such as a word beyond the longest title, changes nothing.
                    let is_seen = left.as_ref() != Some(tokens);
                    let variant = is_seen.then_some(titles.len());
                    titles.extend(is_seen.then_some(left));
                    found.push(Word { word: title[at.clone()].to_owned(), at, variant });
                }
                Some(found)
            }
            _ => None,
        };
        let photo = whole.pixels.as_ref().map(|pixels| Covering::new(pixels, options.cells_a_side));
        Ok(Self { whole, words, titles, photo, middle: None })
    }

    /// The post as it is.
    #[must_use]
    pub fn whole(&self) -> &Prepared {
        &self.whole
    }

    /// How many variants there are: one a word that the model sees and one a cell of the photo.
    #[must_use]
    pub fn len(&self) -> usize {
        self.titles.len() + self.photo.as_ref().map_or(0, Covering::cells)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The post without one of its parts; `index` is below [`Variants::len`]. Without the only word of a post that has no
    /// photo nothing is left, of which a model says what it says of a post that it knows nothing of.
    #[must_use]
    pub fn variant(&self, index: usize) -> Prepared {
        let changed = self.changed(index);
        if self.is_of_the_title(index) {
            Prepared::new(self.whole.pixels.clone(), changed.tokens)
        } else {
            Prepared::new(changed.pixels, self.whole.tokens.clone())
        }
    }

    /// Of a variant only what is not as in the post.
    pub(super) fn changed(&self, index: usize) -> Prepared {
        if let Some(tokens) = self.titles.get(index) {
            return Prepared::new(None, tokens.clone());
        }
        let cell = index - self.titles.len();
        let covered = |(photo, pixels): (&Covering, &Vec<f32>)| photo.without(pixels, cell);
        Prepared::new(self.photo.as_ref().zip(self.whole.pixels.as_ref()).map(covered), None)
    }

    /// Whether a variant has another title than the post; else it has another photo.
    pub(super) fn is_of_the_title(&self, index: usize) -> bool {
        index < self.titles.len()
    }

    /// What the answers say: `prediction` of the post, `without` of each variant in order. A variant whose answer is missing
    /// has a weight of 0.
    #[must_use]
    pub fn explanation(&self, prediction: Prediction, without: &[Prediction]) -> Explanation {
        let class = prediction.class.0;
        let of_class = |prediction: &Prediction| prediction.probabilities.get(class).copied().unwrap_or_default();
        let sure = of_class(&prediction);
        let weight = |index: usize| without.get(index).map_or(0.0, |without| sure - of_class(without));
        let weighed = |Word { word, at, variant }: &Word| WordWeight {
            word: word.clone(),
            at: at.clone(),
            weight: variant.map_or(0.0, weight),
        };
        let words = self.words.as_ref().map(|words| words.iter().map(weighed).collect());
        let photo = self.photo.as_ref().map(|photo| OcclusionMap {
            cells_a_side: photo.cells_a_side(),
            weights: (self.titles.len()..self.len()).map(weight).collect(),
            middle: self.middle,
        });
        Explanation { prediction, words, photo }
    }
}
