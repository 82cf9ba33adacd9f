//! What of a downloaded photo is stored in a dataset.

use std::borrow::Cow;

use natureddit_core::ContentHash;

use crate::decode::Opened;
use crate::{Format, ImageError, ImageInfo, ImageLimits, PerceptualHash, decode};

/// A photo as a dataset stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised<'a> {
    /// The bytes to store: those that came, or a JPEG.
    pub bytes: Cow<'a, [u8]>,
    /// The ending of the file name, by content.
    pub extension: &'static str,
    /// Of the stored photo, in pixels.
    pub width: u32,
    /// Of the stored photo, in pixels.
    pub height: u32,
    /// Of the stored bytes.
    pub content_hash: ContentHash,
    /// Of the stored photo.
    pub perceptual_hash: PerceptualHash,
}

/// Makes of a file what a dataset stores. A JPEG, PNG or WebP that is upright, has no alpha channel and is small enough
/// stays as it is, for every encoding loses something; any other is turned upright, put on white, shrunk to
/// `long_side_max` and encoded as JPEG of `jpeg_quality`. Normalising what was stored changes nothing.
///
/// # Errors
/// As [`decode`].
pub fn normalise<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
    long_side_max: u32,
    jpeg_quality: u8,
) -> Result<Normalised<'a>, ImageError> {
    let opened = Opened::new(bytes, limits)?;
    let info = opened.info;
    let photo = opened.decode()?;
    let (bytes, extension, photo) = if is_storable(&info, long_side_max) {
        (Cow::Borrowed(bytes), info.format.extension(), photo)
    } else {
        let jpeg = photo.fit_within(long_side_max).to_jpeg(jpeg_quality);
        // Read back, so that the hash is that of the stored photo, whoever computes it later.
        let stored = decode(&jpeg, &ImageLimits { bytes_max: u64::MAX, ..*limits })?;
        (Cow::Owned(jpeg), Format::Jpeg.extension(), stored)
    };
    Ok(Normalised {
        extension,
        width: photo.width,
        height: photo.height,
        content_hash: ContentHash::of(&bytes),
        perceptual_hash: photo.perceptual_hash(),
        bytes,
    })
}

fn is_storable(info: &ImageInfo, long_side_max: u32) -> bool {
    let format = matches!(info.format, Format::Jpeg | Format::Png | Format::WebP);
    format && info.orientation == 1 && !info.has_alpha && info.width.max(info.height) <= long_side_max
}
