//! One way to read a photo: sniff, limit, decode, orient, flatten, resize, encode, perceptual hash.
//!
//! [`decode`] gives the pixels that a person would see: upright by the EXIF orientation, RGB, transparency on
//! white. Training and serving both read photos through it, so that a model is asked about what it has learned from.
//! Everything is refused that is no still photo or is over [`ImageLimits`], with an [`ImageError`] whose
//! [`code`](ImageError::code) can be counted; no input panics.
//!
//! Colour profiles (ICC) are not applied: values are taken as sRGB, which is what nearly every photo on the web is in.
//! A wide-gamut photo therefore comes out slightly pale.

mod decode;
mod error;
mod format;
mod gif;
mod jpeg;
mod normalise;
mod perceptual_hash;
mod photo;

pub use decode::{ImageInfo, decode, inspect};
pub use error::ImageError;
pub use format::Format;
pub use normalise::{Normalised, normalise};
pub use perceptual_hash::{ParsePerceptualHashError, PerceptualHash};
pub use photo::Photo;

/// What a photo may cost, checked before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// The size of the file.
    pub bytes_max: u64,
    /// Width times height.
    pub pixels_max: u64,
}
