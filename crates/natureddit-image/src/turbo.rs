//! What libjpeg-turbo does where it is built in (the feature `turbojpeg`): large JPEG files that are not for
//! [`crate::baseline`] are decoded at a fraction of their size, and pixels are encoded.

use turbojpeg::{Colorspace, Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};

use crate::{Photo, scratch};

/// The pixels of a JPEG of `stored` width and height at the smallest of the sizes 1/8, 2/8 .. 8/8 that is not below
/// `target`. `None` where libjpeg-turbo has the least to object to, warnings included: it would fill up what is missing.
pub(crate) fn decode_at_least(bytes: &[u8], stored: (u32, u32), target: (u32, u32)) -> Option<Photo> {
    let mut decompressor = Decompressor::new().ok()?;
    let header = decompressor.read_header(bytes).ok()?;
    let is_known = matches!(header.colorspace, Colorspace::YCbCr | Colorspace::Gray) && !header.is_lossless;
    if !is_known || (header.width, header.height) != (stored.0 as usize, stored.1 as usize) {
        return None;
    }
    let factor = smallest_factor(stored, target);
    decompressor.set_scaling_factor(factor).ok()?;
    let scaled = header.scaled(factor);
    let (width, height, pitch) = (scaled.width, scaled.height, scaled.width * 3);
    let mut rgb = scratch::take(height * pitch);
    let pixels = rgb.as_mut_slice();
    // The binding makes an error of each warning.
    decompressor.decompress(bytes, Image { pixels, width, pitch, height, format: PixelFormat::RGB }).ok()?;
    Some(Photo { width: width as u32, height: height as u32, rgb })
}

fn smallest_factor(stored: (u32, u32), target: (u32, u32)) -> ScalingFactor {
    let is_enough = |factor: &ScalingFactor| {
        let reaches = |stored: u32, target: u32| factor.scale(stored as usize) >= target as usize;
        reaches(stored.0, target.0) && reaches(stored.1, target.1)
    };
    (1..8).map(|eighths| ScalingFactor::new(eighths, 8)).find(is_enough).unwrap_or(ScalingFactor::ONE)
}

/// As [`Photo::to_jpeg`].
pub(crate) fn encode(photo: &Photo, quality: u8) -> turbojpeg::Result<Vec<u8>> {
    let mut compressor = Compressor::new()?;
    compressor.set_quality(i32::from(quality))?;
    compressor.set_subsamp(Subsamp::Sub2x2)?;
    let (width, height) = (photo.width as usize, photo.height as usize);
    compressor.compress_to_vec(Image {
        pixels: photo.rgb.as_slice(),
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(width: u32, height: u32) -> Photo {
        let value = |x: u32, y: u32| ((x * y + 40 * x) * 251 / ((height + 40) * width)) as u8;
        let pixels = (0..width * height).map(|at| value(at % width, at / width));
        Photo { width, height, rgb: pixels.flat_map(|value| [value, 255 - value, 90]).collect() }
    }

    #[test]
    fn no_side_is_decoded_below_what_is_wanted() {
        let eighths = |stored, target| smallest_factor(stored, target).scale(8);
        assert_eq!(eighths((4000, 3000), (1980, 1485)), 4);
        assert_eq!(eighths((4000, 3000), (2001, 1501)), 5);
        assert_eq!(eighths((4000, 3000), (3999, 2999)), 8);
        assert_eq!(eighths((4000, 3), (100, 1)), 1);
        assert_eq!(eighths((4000, 30), (100, 5)), 2);
    }

    #[test]
    fn the_fraction_looks_as_the_whole_does() {
        let photo = photo(400, 304);
        let jpeg = encode(&photo, 95).unwrap();
        let half = decode_at_least(&jpeg, (400, 304), (190, 140)).unwrap();
        assert_eq!((half.width, half.height), (200, 152));
        let expected = photo.resize(200, 152);
        let difference = half.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(difference <= Some(8), "{difference:?}");
    }

    #[test]
    fn what_is_cut_or_of_another_size_is_not_decoded() {
        let jpeg = encode(&photo(64, 48), 90).unwrap();
        assert!(decode_at_least(&jpeg, (64, 48), (32, 24)).is_some());
        assert!(decode_at_least(&jpeg, (64, 40), (32, 20)).is_none());
        let mut cut = jpeg[..jpeg.len() * 3 / 4].to_vec();
        cut.extend([0xFF, 0xD9]);
        assert!(decode_at_least(&cut, (64, 48), (32, 24)).is_none());
    }
}
