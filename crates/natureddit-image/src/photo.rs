//! Decoded pixels, and what is done with them.

use std::fmt;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::{PerceptualHash, scratch};

/// A photo, upright, three bytes a pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    /// In pixels, 1 to 65535.
    pub width: u32,
    /// In pixels, 1 to 65535.
    pub height: u32,
    /// Red, green, blue; row by row from the top; `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Photo {
    /// The photo at `width` x `height` pixels, whatever its shape: bilinear, with a kernel that widens as the photo
    /// shrinks, so that nothing aliases (what Pillow calls `BILINEAR`). Zero counts as one.
    ///
    /// # Panics
    /// When `rgb` has not the length it must have.
    #[must_use]
    pub fn resize(&self, width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let mut rgb = vec![0; width as usize * height as usize * 3];
        resize::<U8x3>((self.width, self.height), &self.rgb, (width, height), &mut rgb);
        Self { width, height, rgb }
    }

    /// As [`Photo::resize`], and the large one is gone. What is still large lies in memory for passing use ([`scratch`]).
    pub(crate) fn into_resized(self, width: u32, height: u32) -> Self {
        if (width, height) == (self.width, self.height) {
            return self;
        }
        let (width, height) = (width.max(1), height.max(1));
        let mut rgb = scratch::take(width as usize * height as usize * 3);
        resize::<U8x3>((self.width, self.height), &self.rgb, (width, height), &mut rgb);
        scratch::give_back(self.rgb);
        Self { width, height, rgb }
    }

    /// The photo with its long side at most `long_side_max` pixels, in the same proportions; a smaller one is
    /// untouched, and no side becomes zero.
    #[must_use]
    pub fn fit_within(self, long_side_max: u32) -> Self {
        let (width, height) = fitting((self.width, self.height), long_side_max);
        self.into_resized(width, height)
    }

    /// A baseline JPEG of `quality` 1 to 100, with colours at half the size (4:2:0), as cameras and Pillow write them.
    ///
    /// # Panics
    /// When `rgb` has not the length it must have, or a side is over 65535.
    #[must_use]
    pub fn to_jpeg(&self, quality: u8) -> Vec<u8> {
        encode(self, quality)
    }

    /// A PNG, which loses nothing: for what is drawn.
    ///
    /// # Panics
    /// When `rgb` has not the length it must have.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(&self.rgb, self.width, self.height, ExtendedColorType::Rgb8)
            .expect(INVARIANT);
        bytes
    }

    /// What the photo looks like, in 64 bits: near for copies that were shrunk or encoded again.
    ///
    /// # Panics
    /// When `rgb` has not the length it must have.
    #[must_use]
    pub fn perceptual_hash(&self) -> PerceptualHash {
        PerceptualHash::of(self)
    }

    pub(crate) fn into_image(self) -> RgbImage {
        RgbImage::from_raw(self.width, self.height, self.rgb).expect(INVARIANT)
    }
}

#[cfg(not(feature = "turbojpeg"))]
fn encode(photo: &Photo, quality: u8) -> Vec<u8> {
    use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // Its own default takes the colour of one pixel in four for that of all.
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let side = |side: u32| u16::try_from(side).expect(INVARIANT);
    encoder.encode(&photo.rgb, side(photo.width), side(photo.height), ColorType::Rgb).expect(INVARIANT);
    bytes
}

#[cfg(feature = "turbojpeg")]
fn encode(photo: &Photo, quality: u8) -> Vec<u8> {
    crate::turbo::encode(photo, quality).expect(INVARIANT)
}

/// The size that [`Photo::fit_within`] gives a photo.
pub(crate) fn fitting((width, height): (u32, u32), long_side_max: u32) -> (u32, u32) {
    let long_side = width.max(height);
    if long_side <= long_side_max {
        return (width, height);
    }
    let scale = |side: u32| {
        let (side, long_side) = (u64::from(side), u64::from(long_side));
        // Rounded to the nearest; at most `long_side_max`, so that it fits.
        let scaled = (side * u64::from(long_side_max) + long_side / 2) / long_side;
        scaled.max(1) as u32
    };
    (scale(width), scale(height))
}

/// A grey picture, one byte a pixel, as a photo of another size.
pub(crate) fn grey_resized((width, height): (u32, u32), grey: &[u8], side: u32) -> Photo {
    let mut small = vec![0; side as usize * side as usize];
    resize::<U8>((width, height), grey, (side, side), &mut small);
    Photo { width: side, height: side, rgb: small.iter().flat_map(|&value| [value; 3]).collect() }
}

/// The filter of [`Photo::resize`]. No side may be zero.
fn resize<P: PixelTrait>(from: (u32, u32), pixels: &[u8], to: (u32, u32), resized: &mut [u8]) {
    let source = TypedImageRef::<P>::from_buffer(from.0, from.1, pixels).expect(INVARIANT);
    let mut target = TypedImage::<P>::from_buffer(to.0, to.1, resized).expect(INVARIANT);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // Only a crop can fail, and there is none.
    Resizer::new().resize_typed(&source, &mut target, &options).expect(INVARIANT);
}

const INVARIANT: &str = "a photo has 1 to 65535 pixels a side, and three bytes a pixel";

impl fmt::Debug for Photo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Photo({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(width: u32, height: u32) -> Photo {
        Photo { width, height, rgb: (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect() }
    }

    #[test]
    fn shrinking_averages_instead_of_picking() {
        let checkered = Photo { width: 64, height: 64, rgb: [[0; 3], [255; 3]].concat().repeat(64 * 32) };
        let small = checkered.resize(4, 4);
        assert!(small.rgb.iter().all(|&value| (120..=135).contains(&value)), "{:?}", small.rgb);
    }

    #[test]
    fn a_flat_photo_stays_flat_at_any_size() {
        let flat = Photo { width: 31, height: 17, rgb: [10, 120, 250].repeat(31 * 17) };
        for (width, height) in [(1, 1), (224, 224), (3, 90), (31, 1)] {
            let resized = flat.resize(width, height);
            assert_eq!(resized.rgb, [10, 120, 250].repeat((width * height) as usize));
        }
    }

    #[test]
    fn fitting_keeps_the_proportions_and_never_enlarges() {
        let size = |photo: Photo| (photo.width, photo.height);
        assert_eq!(size(photo(400, 300).fit_within(100)), (100, 75));
        assert_eq!(size(photo(300, 400).fit_within(100)), (75, 100));
        assert_eq!(size(photo(200, 200).fit_within(100)), (100, 100));
        assert_eq!(size(photo(100, 50).fit_within(100)), (100, 50));
        assert_eq!(size(photo(5000, 2).fit_within(100)), (100, 1));
        assert_eq!(size(photo(1, 5000).fit_within(100)), (1, 100));
    }

    #[test]
    fn a_png_loses_nothing() {
        let photo = photo(7, 5);
        let limits = crate::ImageLimits { bytes_max: 1 << 16, pixels_max: 1 << 16 };
        assert!(crate::decode(&photo.to_png(), &limits).is_ok_and(|read| read == photo));
    }

    #[test]
    fn better_quality_takes_more_bytes() {
        let photo = photo(64, 64);
        assert!(photo.to_jpeg(30).len() < photo.to_jpeg(90).len());
    }
}
