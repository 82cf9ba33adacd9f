//! What the model is asked.

use natureddit_image::ImageError;

/// A post to classify: a title, a photo, or both. A photo is the bytes of an image file.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelInput<'a> {
    /// The title.
    pub text: Option<&'a str>,
    /// The photo, still encoded.
    pub image: Option<&'a [u8]>,
}

/// Why an input cannot be classified.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Neither a title nor a photo was given.
    #[error("neither text nor image was given")]
    Empty,
    /// The photo cannot be read.
    #[error("image: {0}")]
    Image(ImageError),
    /// The title is longer than the tokenizer is asked to read.
    #[error("text has {bytes} bytes, more than the limit of {bytes_max}")]
    TextTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The tokenizer failed.
    #[error("text could not be tokenised: {0}")]
    Text(String),
}

impl From<ImageError> for InputError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl InputError {
    /// A stable reason for counting and for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty_input",
            Self::Image(e) => e.code(),
            Self::TextTooLong { .. } => "text_too_long",
            Self::Text(_) => "text_not_tokenised",
        }
    }
}
