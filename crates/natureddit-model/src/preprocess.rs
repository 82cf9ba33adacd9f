//! From bytes to tensors. Training and serving call the same [`Preprocessor::prepare`].

mod image;
mod text;

use std::path::Path;
use std::sync::Arc;

use natureddit_image::ImageLimits;
use serde::{Deserialize, Serialize};

pub use image::ImagePreprocess;
pub use text::TextPreprocess;
pub(crate) use text::TokenizerError;

use crate::input::{InputError, ModelInput};

/// Raised whenever the same input would give other tensors than before.
pub(crate) const PREPROCESS_VERSION: u32 = 1;

/// Everything that decides what the encoders see; stored in the bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessConfig {
    /// The version of the code that read this config; another version is refused.
    pub version: u32,
    /// How a photo becomes pixels.
    pub image: ImagePreprocess,
    /// How a title becomes tokens.
    pub text: TextPreprocess,
}

/// How large an input may be.
#[derive(Clone, Copy, Debug)]
pub struct InputLimits {
    /// The photo's limits.
    pub image: ImageLimits,
    /// The longest title, in bytes of UTF-8.
    pub text_bytes_max: usize,
}

/// An input as the encoders take it.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// [3, size, size] normalised pixels.
    pub(crate) pixels: Option<Vec<f32>>,
    /// Token ids without padding.
    pub(crate) tokens: Option<Vec<i64>>,
}

/// The preprocessing of one model; cheap to clone, used from many threads.
#[derive(Clone)]
pub struct Preprocessor(Arc<Inner>);

struct Inner {
    config: PreprocessConfig,
    tokenizer: tokenizers::Tokenizer,
    limits: InputLimits,
}

impl Preprocessor {
    pub(crate) fn read(
        config: PreprocessConfig,
        tokenizer: &Path,
        limits: InputLimits,
    ) -> Result<Self, TokenizerError> {
        let tokenizer = text::read_tokenizer(tokenizer, &config.text)?;
        Ok(Self(Arc::new(Inner { config, tokenizer, limits })))
    }

    /// Decodes and resizes the photo and tokenises the title. A title of white space counts as none.
    ///
    /// # Errors
    /// [`InputError`] when there is neither, or one of them cannot be read within the limits.
    pub fn prepare(&self, input: &ModelInput<'_>) -> Result<Prepared, InputError> {
        let Inner { config, tokenizer, limits } = &*self.0;
        let title = input.text.filter(|text| !text.trim().is_empty());
        if title.is_none() && input.image.is_none() {
            return Err(InputError::Empty);
        }
        let tokens = title.map(|title| text::tokenise(tokenizer, title, limits.text_bytes_max)).transpose()?;
        let pixels = input.image.map(|bytes| config.image.pixels(bytes, &limits.image)).transpose()?;
        Ok(Prepared { pixels, tokens })
    }
}

impl std::fmt::Debug for Preprocessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preprocessor").field("config", &self.0.config).finish_non_exhaustive()
    }
}
