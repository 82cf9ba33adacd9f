//! One way to read a photo: sniff, limit, decode, flatten, resize, orient, colour, encode, perceptual hash.
//!
//! [`decode`] gives the pixels that a person would see: upright by the EXIF orientation, sRGB by the ICC profile (RGB,
//! grey or CMYK; without one, RGB and grey are taken as sRGB), 8 bits, transparency on white. Training and serving both
//! read photos through it, so that a model is asked about what it has learned from.
//! Everything is refused that is no still photo or is over [`ImageLimits`], with an [`ImageError`] whose
//! [`code`](ImageError::code) can be counted; no input panics.
//!
//! With the feature `turbojpeg`, [`Photo::to_jpeg`] and what [`normalise`] cannot shrink in planes (progressive JPEG, PNG)
//! are done by libjpeg-turbo: in less time, and with other bytes. What is refused and what a photo looks like stay the same.

mod baseline;
mod colour;
mod decode;
mod encode;
mod error;
mod format;
mod gif;
mod jpeg;
mod normalise;
mod perceptual_hash;
mod photo;
mod pixels;
mod planes;
mod png;
mod resize;
mod scratch;
mod square;
#[cfg(feature = "turbojpeg")]
mod turbo;
mod webp;

pub use decode::{ImageInfo, decode, decode_resized, decode_square, examine, inspect};
pub use error::ImageError;
pub use format::Format;
pub use normalise::{Normalised, normalise};
pub use perceptual_hash::{ParsePerceptualHashError, PerceptualHash};
pub use photo::Photo;
pub use square::{Filter, Square};

/// What a photo may cost, checked before anything is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLimits {
    /// The size of the file.
    pub bytes_max: u64,
    /// Width times height.
    pub pixels_max: u64,
}
