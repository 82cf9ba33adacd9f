//! Why an image was refused.

use crate::Format;

/// Why an image was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// There are no bytes.
    #[error("the image is empty")]
    Empty,
    /// A web page, as servers send in place of an image that is gone.
    #[error("a web page, not an image")]
    Html,
    /// An image or a video that is recognised and not read.
    #[error("{what} is not supported: use JPEG, PNG, WebP, GIF or BMP")]
    Unsupported {
        /// Its name with an article: `an AVIF image`.
        what: &'static str,
    },
    /// None of the formats known here.
    #[error("not an image: it begins with the bytes {start}")]
    NotAnImage {
        /// The first bytes in hexadecimal.
        start: String,
    },
    /// The file is over [`crate::ImageLimits::bytes_max`].
    #[error("the image has {bytes} bytes, over the limit of {bytes_max}")]
    TooManyBytes {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The header promises more than [`crate::ImageLimits::pixels_max`].
    #[error("the image has {width} x {height} pixels, over the limit of {pixels_max} in total")]
    TooManyPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The limit.
        pixels_max: u64,
    },
    /// So many bits a pixel that decoding takes more than four bytes for each of [`crate::ImageLimits::pixels_max`].
    #[error("the decoded image has {bytes} bytes, over the limit of {bytes_max}")]
    DecodedTooLarge {
        /// What decoding would take.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A side is longer than a JPEG can store.
    #[error("the image has {width} x {height} pixels, with a side over {side_max}")]
    SideTooLong {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The limit.
        side_max: u32,
    },
    /// More than one frame.
    #[error("an animated {format}, not a photo")]
    Animated {
        /// The format.
        format: Format,
    },
    /// The file ends too early.
    #[error("the {format} is cut off before its end")]
    Truncated {
        /// The format.
        format: Format,
    },
    /// The file is damaged, or uses a feature that its decoder does not know.
    #[error("the {format} cannot be decoded: {reason}")]
    Corrupt {
        /// The format.
        format: Format,
        /// What the decoder said.
        reason: String,
    },
}

impl ImageError {
    /// A stable name of the kind of refusal, for counting: `truncated`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Html => "html",
            Self::Unsupported { .. } => "unsupported_format",
            Self::NotAnImage { .. } => "not_an_image",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::DecodedTooLarge { .. } => "decoded_too_large",
            Self::SideTooLong { .. } => "side_too_long",
            Self::Animated { .. } => "animated",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
        }
    }
}
