//! From bytes to tensors. Training and serving call the same [`Preprocessor::prepare`].

mod image;
mod text;

use std::path::Path;
use std::sync::Arc;

use natureddit_core::{ContentHash, ContentHasher, fs};
use natureddit_image::ImageLimits;
use serde::{Deserialize, Serialize};

pub use image::{Channels, ImagePreprocess, ResizeFilter};
pub use text::TextPreprocess;
pub(crate) use text::TokenizerError;

use crate::encoder::Features;
use crate::feature_cache::FeatureCache;
use crate::input::{InputError, ModelInput};

/// Raised whenever the same input would give other tensors than before. Version 1 knew no colour profiles, which few photos
/// need: its bundles are still read and see photos in their true colours, for they are the ones to beat.
pub(crate) const PREPROCESS_VERSION: u32 = 2;
const OLDEST_VERSION: u32 = 1;
/// A title has at least one token beside the two special ones, and BERT has no more places than these.
const TOKENS: std::ops::RangeInclusive<usize> = 3..=512;

/// Everything that decides what the encoders see; stored in the bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessConfig {
    /// The version of the code that this config was written for; one that is not known is refused.
    pub version: u32,
    /// How a photo becomes pixels.
    pub image: ImagePreprocess,
    /// How a title becomes tokens.
    pub text: TextPreprocess,
}

impl PreprocessConfig {
    /// Why this config cannot be followed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { version, image, text: TextPreprocess { tokens_max } } = self;
        if !(OLDEST_VERSION..=PREPROCESS_VERSION).contains(version) {
            return Err(format!("preprocessing version {version} is not {OLDEST_VERSION} to {PREPROCESS_VERSION}"));
        }
        image.check()?;
        if !TOKENS.contains(tokens_max) {
            return Err(format!("text.tokens_max is {tokens_max} and must be {} to {}", TOKENS.start(), TOKENS.end()));
        }
        Ok(())
    }
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
    /// What is known of the photo's features, and of the title's, without the encoders.
    kept: [Option<KeptFeatures>; 2],
}

/// Features that a cache has or shall have.
#[derive(Clone, Debug)]
enum KeptFeatures {
    Found(Arc<[f32]>),
    Under(FeatureCache, ContentHash),
}

impl KeptFeatures {
    fn look_up(cache: &FeatureCache, key: ContentHash) -> Self {
        cache.get(&key).map_or_else(|| Self::Under(cache.clone(), key), Self::Found)
    }
}

impl Prepared {
    pub(crate) fn new(pixels: Option<Vec<f32>>, tokens: Option<Vec<i64>>) -> Self {
        Self { pixels, tokens, kept: [None, None] }
    }

    /// Adds to what the encoders said of this input what a cache has, and the other way round.
    pub(crate) fn share(&self, encoded: &mut Features) {
        for (kept, features) in self.kept.iter().zip([&mut encoded.image, &mut encoded.text]) {
            match (kept, &features) {
                (Some(KeptFeatures::Found(found)), _) => *features = Some(found.to_vec()),
                (Some(KeptFeatures::Under(cache, key)), Some(features)) => cache.insert(*key, features),
                _ => {}
            }
        }
    }
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
        Self::new(config, &fs::read(tokenizer)?, tokenizer, limits)
    }

    /// As [`Preprocessor::read`], from the tokenizer's bytes; `named` is what errors call it.
    pub(crate) fn new(
        config: PreprocessConfig,
        tokenizer: &[u8],
        named: &Path,
        limits: InputLimits,
    ) -> Result<Self, TokenizerError> {
        let tokenizer = text::tokenizer(tokenizer, named, &config.text)?;
        Ok(Self(Arc::new(Inner { config, tokenizer, limits })))
    }

    /// The part of a photo that is seen: the square in the middle whose side is this share of the photo's short side; `None`:
    /// all of the photo, whatever its shape.
    #[must_use]
    pub fn middle(&self) -> Option<f32> {
        self.0.config.image.middle()
    }

    /// Decodes and resizes the photo and tokenises the title. A title of white space counts as none.
    ///
    /// # Errors
    /// [`InputError`] when there is neither, or one of them cannot be read within the limits.
    pub fn prepare(&self, input: &ModelInput<'_>) -> Result<Prepared, InputError> {
        let ModelInput { text, image } = without_blank(input)?;
        Ok(Prepared::new(self.pixels(image)?, self.tokens(text)?))
    }

    /// As [`Preprocessor::prepare`]. A part whose features are in the cache, which is one of this model, does not go through
    /// the encoders, and a photo is not even decoded; what is not there yet will be, once there is an answer.
    ///
    /// # Errors
    /// As [`Preprocessor::prepare`].
    pub fn prepare_with(&self, cache: &FeatureCache, input: &ModelInput<'_>) -> Result<Prepared, InputError> {
        let ModelInput { text, image } = without_blank(input)?;
        let look_up = |kind: &str, bytes: &[u8]| {
            KeptFeatures::look_up(cache, ContentHasher::new().part(kind).part(bytes).finish())
        };
        let kept = [
            image.filter(|_| cache.is_on()).map(|photo| look_up("image", photo)),
            text.filter(|_| cache.is_on()).map(|title| look_up("text", title.as_bytes())),
        ];
        let [photo_is_known, title_is_known] =
            [0, 1].map(|part: usize| matches!(kept[part], Some(KeptFeatures::Found(_))));
        let pixels = self.pixels(image.filter(|_| !photo_is_known))?;
        let tokens = self.tokens(text.filter(|_| !title_is_known))?;
        Ok(Prepared { pixels, tokens, kept })
    }

    fn pixels(&self, photo: Option<&[u8]>) -> Result<Option<Vec<f32>>, InputError> {
        let Inner { config, limits, .. } = &*self.0;
        Ok(photo.map(|bytes| config.image.pixels(bytes, &limits.image)).transpose()?)
    }

    fn tokens(&self, title: Option<&str>) -> Result<Option<Vec<i64>>, InputError> {
        let Inner { tokenizer, limits, .. } = &*self.0;
        title.map(|title| text::tokenise(tokenizer, title, limits.text_bytes_max)).transpose()
    }
}

/// The input with no title for one of white space, when anything is left.
fn without_blank<'a>(input: &ModelInput<'a>) -> Result<ModelInput<'a>, InputError> {
    let text = input.text.filter(|text| !text.trim().is_empty());
    if text.is_none() && input.image.is_none() {
        return Err(InputError::Empty);
    }
    Ok(ModelInput { text, image: input.image })
}

impl std::fmt::Debug for Preprocessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preprocessor").field("config", &self.0.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let (mean, scale) = (Channels::Same(127.0), Channels::Same(128.0));
        let image = ImagePreprocess {
            size: 224,
            mean,
            scale,
            short_side: None,
            filter: ResizeFilter::Bilinear,
            decoded_side_min: None,
        };
        let good = PreprocessConfig { version: PREPROCESS_VERSION, image, text: TextPreprocess { tokens_max: 64 } };
        assert_eq!(good.check(), Ok(()));
        let refused = |change: fn(&mut PreprocessConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.check().unwrap_err()
        };
        assert_eq!(PreprocessConfig { version: 1, ..good.clone() }.check(), Ok(()));
        assert_eq!(refused(|c| c.version = 3), "preprocessing version 3 is not 1 to 2");
        assert_eq!(refused(|c| c.image.size = 4_000_000_000), "image.size is 4000000000 and must be 1 to 1024");
        assert_eq!(refused(|c| c.image.size = 0), "image.size is 0 and must be 1 to 1024");
        assert!(refused(|c| c.image.scale = Channels::Same(0.0)).contains("image.scale 0"));
        assert!(
            refused(|c| c.image.mean = Channels::Each([0.0, f32::NAN, 0.0])).contains("image.mean is [0.0, NaN, 0.0]")
        );
        assert_eq!(refused(|c| c.image.short_side = Some(223)), "image.short_side is 223 and must be 224 to 1024");
        assert_eq!(
            refused(|c| c.image.decoded_side_min = Some(223)),
            "image.decoded_side_min is 223 and must be 224 to 65535"
        );
        assert_eq!(refused(|c| c.text.tokens_max = 1), "text.tokens_max is 1 and must be 3 to 512");
        assert_eq!(refused(|c| c.text.tokens_max = 513), "text.tokens_max is 513 and must be 3 to 512");
    }
}
