//! What the model is asked.

use natureddit_image::{ImageError, ImageLimits};

/// A post to classify: a title, a photo, or both. A photo is the bytes of an image file.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelInput<'a> {
    /// The title.
    pub text: Option<&'a str>,
    /// The photo, still encoded.
    pub image: Option<&'a [u8]>,
}

impl ModelInput<'_> {
    /// How many pixels decoding the photo makes, as its header tells, at most `pixels_max`. None where there is no photo
    /// that can be read: preparing it says why.
    #[must_use]
    pub fn pixels(&self, pixels_max: u64) -> u64 {
        let limits = ImageLimits { bytes_max: u64::MAX, pixels_max };
        match self.image.map(|bytes| natureddit_image::inspect(bytes, &limits)) {
            Some(Ok(info)) => u64::from(info.width) * u64::from(info.height),
            Some(Err(ImageError::TooManyPixels { .. } | ImageError::DecodedTooLarge { .. })) => pixels_max,
            Some(Err(_)) | None => 0,
        }
    }
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

#[cfg(test)]
mod tests {
    use natureddit_image::Photo;

    use super::*;

    #[test]
    fn the_pixels_of_a_photo_are_known_before_it_is_decoded() {
        let jpeg = Photo { width: 8, height: 4, rgb: vec![200; 8 * 4 * 3] }.to_jpeg(90);
        let pixels = |image: Option<&[u8]>, pixels_max| ModelInput { text: Some("a"), image }.pixels(pixels_max);
        assert_eq!(pixels(Some(&jpeg), 1_000), 32);
        assert_eq!(pixels(Some(&jpeg), 20), 20);
        assert_eq!(pixels(Some(b"no photo"), 1_000), 0);
        assert_eq!(pixels(None, 1_000), 0);
    }
}
