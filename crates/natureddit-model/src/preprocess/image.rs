//! A photo as normalised pixels.

use natureddit_image::{ImageError, ImageLimits, Photo};
use serde::{Deserialize, Serialize};

/// How a photo becomes the [3, size, size] tensor of an encoder: resized to a square (bilinear, antialiased, without
/// keeping the aspect ratio, so that nothing at the edges is lost), then `(value - mean) / scale` per 0..255 value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePreprocess {
    /// The side of the square, in pixels.
    pub size: u32,
    /// Subtracted from every value.
    pub mean: f32,
    /// What the difference is divided by.
    pub scale: f32,
}

impl ImagePreprocess {
    pub(super) fn pixels(&self, bytes: &[u8], limits: &ImageLimits) -> Result<Vec<f32>, ImageError> {
        let photo = natureddit_image::decode_resized(bytes, limits, self.size, self.size)?;
        Ok(self.normalise(&photo))
    }

    /// Interleaved bytes to planes of floats: red, green, blue.
    pub(crate) fn normalise(&self, photo: &Photo) -> Vec<f32> {
        let area = photo.rgb.len() / 3;
        let mut planes = vec![0.0; area * 3];
        let (red, rest) = planes.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        let value = |byte: u8| (f32::from(byte) - self.mean) / self.scale;
        let targets = red.iter_mut().zip(green).zip(blue);
        for (pixel, ((red, green), blue)) in photo.rgb.chunks_exact(3).zip(targets) {
            *red = value(pixel[0]);
            *green = value(pixel[1]);
            *blue = value(pixel[2]);
        }
        planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes() {
        let photo = Photo { width: 2, height: 1, rgb: vec![127, 255, 0, 255, 127, 127] };
        let preprocess = ImagePreprocess { size: 2, mean: 127.0, scale: 128.0 };
        assert_eq!(preprocess.normalise(&photo), [0.0, 1.0, 1.0, 0.0, -127.0 / 128.0, 0.0]);
    }
}
