//! What of a downloaded photo is stored in a dataset.

use std::borrow::Cow;

use natureddit_core::ContentHash;

use crate::decode::{Opened, Size};
use crate::{Format, ImageError, ImageInfo, ImageLimits, PerceptualHash, examine, inspect, scratch};

/// A photo as a dataset stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised<'a> {
    /// The bytes to store: those that came, or a JPEG.
    pub bytes: Cow<'a, [u8]>,
    /// The ending of the file name, by content.
    pub extension: &'static str,
    /// Of the stored photo as it is seen, in pixels.
    pub width: u32,
    /// Of the stored photo as it is seen, in pixels.
    pub height: u32,
    /// Of the stored bytes.
    pub content_hash: ContentHash,
    /// Of the stored photo.
    pub perceptual_hash: PerceptualHash,
}

/// Makes of a file what a dataset stores. A JPEG, PNG or WebP whose long side is at most `long_side_max` stays as it
/// came, with its orientation, profile and transparency, for every encoding loses something; any other is shrunk, turned
/// upright, brought to sRGB, put on white and encoded as JPEG of `jpeg_quality`. Normalising what was stored changes
/// nothing.
///
/// # Errors
/// As [`decode`](crate::decode).
pub fn normalise<'a>(
    bytes: &'a [u8],
    limits: &ImageLimits,
    long_side_max: u32,
    jpeg_quality: u8,
) -> Result<Normalised<'a>, ImageError> {
    let opened = Opened::new(bytes, limits)?;
    let info = opened.info;
    let (bytes, stored, perceptual_hash) = if is_storable(&info, long_side_max) {
        (Cow::Borrowed(bytes), info, opened.perceptual_hash()?)
    } else {
        // Read back, so that the hash is that of the stored photo, whoever computes it later.
        let limits = ImageLimits { bytes_max: u64::MAX, ..*limits };
        let (jpeg, (stored, perceptual_hash)) = match opened.decode_planes(long_side_max) {
            Some(planes) => {
                let (jpeg, perceptual_hash) = planes.into_jpeg(jpeg_quality);
                let stored = inspect(&jpeg, &limits)?;
                (jpeg, (stored, perceptual_hash))
            }
            None => {
                let photo = opened.decode(Size::Within(long_side_max))?;
                let jpeg = photo.to_jpeg(jpeg_quality);
                scratch::give_back(photo.rgb);
                let seen = examine(&jpeg, &limits)?;
                (jpeg, seen)
            }
        };
        (Cow::Owned(jpeg), stored, perceptual_hash)
    };
    Ok(Normalised {
        extension: stored.format.extension(),
        width: stored.width,
        height: stored.height,
        content_hash: ContentHash::of(&bytes),
        perceptual_hash,
        bytes,
    })
}

fn is_storable(info: &ImageInfo, long_side_max: u32) -> bool {
    let format = matches!(info.format, Format::Jpeg | Format::Png | Format::WebP);
    format && info.width.max(info.height) <= long_side_max
}
