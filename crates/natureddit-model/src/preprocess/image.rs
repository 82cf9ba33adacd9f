//! A photo as normalised pixels.

use std::fmt;

use natureddit_image::{Filter, ImageError, ImageLimits, Photo, Square};
use serde::{Deserialize, Serialize};

/// More than any encoder sees; a config may come with a bundle from elsewhere, and decides what is allocated.
const SIZE_MAX: u32 = 1024;
/// As many pixels as a side of a JPEG may have.
const DECODED_SIDE_MAX: u32 = 65_535;

/// How a photo becomes the [3, size, size] tensor of an encoder: resized to a square, antialiased, then
/// `(value - mean) / scale` per 0..255 value. Unless `short_side` says otherwise the aspect ratio is not kept, so that
/// nothing at the edges is lost.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePreprocess {
    /// The side of the square, in pixels.
    pub size: u32,
    /// Subtracted from every value.
    pub mean: Channels,
    /// What the difference is divided by.
    pub scale: Channels,
    /// The photo is resized in its proportions until its short side has so many pixels, and the middle is cut out of it;
    /// `None`: all of it becomes the square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_side: Option<u32>,
    /// How it is resized.
    #[serde(default, skip_serializing_if = "ResizeFilter::is_bilinear")]
    pub filter: ResizeFilter,
    /// Of a JPEG whose sides stay so long at a half, a quarter or an eighth of its size no more pixels are decoded; `None`:
    /// all are. As [`Square::decoded_side_min`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoded_side_min: Option<u32>,
}

/// A number for every channel, or one each for red, green and blue.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Channels {
    /// The same for all.
    Same(f32),
    /// Red, green, blue.
    Each([f32; 3]),
}

impl Channels {
    /// Red, green, blue.
    #[must_use]
    pub fn values(self) -> [f32; 3] {
        match self {
            Self::Same(value) => [value; 3],
            Self::Each(values) => values,
        }
    }
}

/// How a photo is resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeFilter {
    /// What Pillow calls `BILINEAR`.
    #[default]
    Bilinear,
    /// What Pillow calls `BICUBIC`.
    Bicubic,
}

impl ResizeFilter {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
    fn is_bilinear(&self) -> bool {
        *self == Self::Bilinear
    }
}

/// As it was before there was more than one form, for the text is a part of hashes by which features are kept.
impl fmt::Debug for ImagePreprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, mean, scale, short_side, filter, decoded_side_min } = self;
        let mut shown = f.debug_struct("ImagePreprocess");
        shown.field("size", size).field("mean", mean).field("scale", scale);
        if let Some(short_side) = short_side {
            shown.field("short_side", short_side);
        }
        if !filter.is_bilinear() {
            shown.field("filter", filter);
        }
        if let Some(decoded_side_min) = decoded_side_min {
            shown.field("decoded_side_min", decoded_side_min);
        }
        shown.finish()
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(value) => value.fmt(f),
            Self::Each(values) => values.fmt(f),
        }
    }
}

impl ImagePreprocess {
    /// Why it cannot be followed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { size, mean, scale, short_side, filter: _, decoded_side_min } = self;
        if !(1..=SIZE_MAX).contains(size) {
            return Err(format!("image.size is {size} and must be 1 to {SIZE_MAX}"));
        }
        if let Some(short_side) = short_side.filter(|short_side| !(*size..=SIZE_MAX).contains(short_side)) {
            return Err(format!("image.short_side is {short_side} and must be {size} to {SIZE_MAX}"));
        }
        if let Some(side_min) = decoded_side_min.filter(|side_min| !(*size..=DECODED_SIDE_MAX).contains(side_min)) {
            return Err(format!("image.decoded_side_min is {side_min} and must be {size} to {DECODED_SIDE_MAX}"));
        }
        let normalises = |(mean, scale): (f32, f32)| mean.is_finite() && scale.is_normal();
        if !mean.values().into_iter().zip(scale.values()).all(normalises) {
            return Err(format!(
                "image.mean is {mean:?} and image.scale {scale:?}, by which no pixel can be normalised"
            ));
        }
        Ok(())
    }

    /// The side of the square that is cut out of the middle, as a share of the photo's short side.
    pub(crate) fn middle(&self) -> Option<f32> {
        self.short_side.map(|short_side| self.size as f32 / short_side.max(self.size) as f32)
    }

    pub(super) fn pixels(&self, bytes: &[u8], limits: &ImageLimits) -> Result<Vec<f32>, ImageError> {
        let filter = match self.filter {
            ResizeFilter::Bilinear => Filter::Bilinear,
            ResizeFilter::Bicubic => Filter::Bicubic,
        };
        let square =
            Square { side: self.size, short_side: self.short_side, filter, decoded_side_min: self.decoded_side_min };
        let photo = natureddit_image::decode_square(bytes, limits, &square)?;
        Ok(self.normalise(&photo))
    }

    /// Interleaved bytes to planes of floats: red, green, blue.
    pub(crate) fn normalise(&self, photo: &Photo) -> Vec<f32> {
        let area = photo.rgb.len() / 3;
        let mut planes = vec![0.0; area * 3];
        let (red, rest) = planes.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        let (mean, scale) = (self.mean.values(), self.scale.values());
        let targets = red.iter_mut().zip(green).zip(blue);
        for (pixel, ((red, green), blue)) in photo.rgb.chunks_exact(3).zip(targets) {
            *red = (f32::from(pixel[0]) - mean[0]) / scale[0];
            *green = (f32::from(pixel[1]) - mean[1]) / scale[1];
            *blue = (f32::from(pixel[2]) - mean[2]) / scale[2];
        }
        planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(size: u32) -> ImagePreprocess {
        let (mean, scale) = (Channels::Same(127.0), Channels::Same(128.0));
        ImagePreprocess { size, mean, scale, short_side: None, filter: ResizeFilter::Bilinear, decoded_side_min: None }
    }

    #[test]
    fn channels_become_planes() {
        let photo = Photo { width: 2, height: 1, rgb: vec![127, 255, 0, 255, 127, 127] };
        assert_eq!(plain(2).normalise(&photo), [0.0, 1.0, 1.0, 0.0, -127.0 / 128.0, 0.0]);
        let each = ImagePreprocess {
            mean: Channels::Each([127.0, 0.0, 0.0]),
            scale: Channels::Each([1.0, 5.0, 2.0]),
            ..plain(2)
        };
        assert_eq!(each.normalise(&photo), [0.0, 128.0, 51.0, 25.4, 0.0, 63.5]);
    }

    /// Bundles and caches of features were written with these texts.
    #[test]
    fn what_was_written_before_reads_and_hashes_as_before() {
        assert_eq!(format!("{:?}", plain(224)), "ImagePreprocess { size: 224, mean: 127.0, scale: 128.0 }");
        let text = r#"{"size":224,"mean":127.0,"scale":128.0}"#;
        assert_eq!(serde_json::to_string(&plain(224)).unwrap(), text);
        assert_eq!(serde_json::from_str::<ImagePreprocess>(text).unwrap(), plain(224));
    }

    #[test]
    fn every_part_is_written_and_tells_two_apart() {
        let (mean, scale) = (Channels::Each([1.0, 2.0, 3.0]), Channels::Each([4.0, 5.0, 6.0]));
        let whole = ImagePreprocess {
            size: 224,
            mean,
            scale,
            short_side: Some(256),
            filter: ResizeFilter::Bicubic,
            decoded_side_min: Some(392),
        };
        let text = serde_json::to_string(&whole).unwrap();
        assert!(text.contains(r#""short_side":256,"filter":"bicubic","decoded_side_min":392"#), "{text}");
        assert_eq!(serde_json::from_str::<ImagePreprocess>(&text).unwrap(), whole);
        let debugged = [
            whole.clone(),
            ImagePreprocess { short_side: None, ..whole.clone() },
            ImagePreprocess { filter: ResizeFilter::Bilinear, ..whole.clone() },
            ImagePreprocess { decoded_side_min: None, ..whole },
        ]
        .map(|preprocess| format!("{preprocess:?}"));
        let distinct: std::collections::BTreeSet<&String> = debugged.iter().collect();
        assert_eq!(distinct.len(), debugged.len(), "{debugged:?}");
    }
}
