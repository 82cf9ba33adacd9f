//! The square that a model sees of a photo.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::{Photo, scratch};

/// Of a longer photo its middle is taken before it is resized: the ends are cut off afterwards in any case, and a photo of
/// 65535 x 1 pixels would be made enormous first.
const RATIO_MAX: u32 = 4;

/// How a photo becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square {
    /// Its side, in pixels.
    pub side: u32,
    /// The photo is resized in its proportions until its short side has so many pixels (at least `side`), and the middle is
    /// cut out of it; `None`: all of it becomes the square, whatever its shape.
    pub short_side: Option<u32>,
    /// How it is resized.
    pub filter: Filter,
    /// A JPEG of the common kind (baseline, one scan) is decoded at the smallest of 1/8, 2/8 and 4/8 of its size whose sides
    /// have so many pixels, where one does: more are not seen. Of a photo that is squeezed bilinearly; else, and with `None`,
    /// all pixels are decoded.
    pub decoded_side_min: Option<u32>,
}

/// What a pixel is made of when a photo is resized. Either kernel widens as the photo shrinks, so that nothing aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// What Pillow calls `BILINEAR`.
    Bilinear,
    /// What Pillow calls `BICUBIC`: Catmull and Rom's, with a = -0.5.
    Bicubic,
}

impl Square {
    /// How many pixels the sides of a decoded photo have to have, where fewer than all are enough.
    pub(crate) fn decoded_side_min(&self) -> Option<u32> {
        let is_squeezed = self.short_side.is_none() && self.filter == Filter::Bilinear;
        self.decoded_side_min.filter(|_| is_squeezed).map(|side| side.max(self.side))
    }

    /// The photo, still on its side if it was, in the size that [`Square::cut`] cuts from.
    pub(crate) fn resize(&self, photo: Photo) -> Photo {
        let Some(short_side) = self.short_side.map(|short_side| short_side.max(self.side)) else {
            return self.resize_part(photo, None, (self.side, self.side));
        };
        let (width, height) = (photo.width, photo.height);
        let short = width.min(height);
        let seen = |side: u32| side.min(short.saturating_mul(RATIO_MAX));
        let part = [(width - seen(width)) / 2, (height - seen(height)) / 2, seen(width), seen(height)];
        // Rounded down, as transformers and torchvision do.
        let scaled = |side: u32| (u64::from(seen(side)) * u64::from(short_side) / u64::from(short)) as u32;
        self.resize_part(photo, Some(part), (scaled(width), scaled(height)))
    }

    /// A part (left, top, width, height) or all of a photo at the size `to`.
    fn resize_part(&self, photo: Photo, part: Option<[u32; 4]>, to: (u32, u32)) -> Photo {
        const INVARIANT: &str = "a photo has 1 to 65535 pixels a side, and its part lies in it";
        let filter = match self.filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
        };
        let mut options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        if let Some([left, top, width, height]) = part.map(|part| part.map(f64::from)) {
            options = options.crop(left, top, width, height);
        }
        let mut rgb = scratch::take(to.0 as usize * to.1 as usize * 3);
        let source = TypedImageRef::<U8x3>::from_buffer(photo.width, photo.height, &photo.rgb).expect(INVARIANT);
        let mut target = TypedImage::<U8x3>::from_buffer(to.0, to.1, &mut rgb).expect(INVARIANT);
        Resizer::new().resize_typed(&source, &mut target, &options).expect(INVARIANT);
        scratch::give_back(photo.rgb);
        Photo { width: to.0, height: to.1, rgb }
    }

    /// The middle of what [`Square::resize`] made.
    pub(crate) fn cut(&self, photo: Photo) -> Photo {
        let Photo { width, height, rgb } = &photo;
        let side = self.side;
        if (*width, *height) == (side, side) {
            return photo;
        }
        let (left, top) = (((width - side) / 2) as usize, ((height - side) / 2) as usize);
        let rows = rgb.chunks_exact(*width as usize * 3).skip(top).take(side as usize);
        let cut = rows.flat_map(|row| &row[left * 3..(left + side as usize) * 3]).copied().collect();
        Photo { width: side, height: side, rgb: cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageError, ImageLimits, decode_square};

    /// Whose red tells the column and whose green the row.
    fn photo(width: u32, height: u32) -> Photo {
        let pixel = |at: u32| [(at % width) as u8, (at / width) as u8, 7];
        Photo { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn the_middle_is_cut_out() {
        let square = Square { side: 4, short_side: Some(6), filter: Filter::Bicubic, decoded_side_min: None };
        let seen = square.cut(square.resize(photo(11, 6)));
        assert_eq!((seen.width, seen.height), (4, 4));
        assert_eq!(seen.rgb[..6], [3, 1, 7, 4, 1, 7]);
        assert_eq!(seen.rgb[45..], [6, 4, 7]);
    }

    #[test]
    fn a_photo_is_resized_in_its_proportions_and_rounded_down() {
        let size = |photo: Photo| {
            let resized = Square { side: 224, short_side: Some(256), filter: Filter::Bilinear, decoded_side_min: None }
                .resize(photo);
            (resized.width, resized.height)
        };
        assert_eq!(size(photo(100, 75)), (341, 256));
        assert_eq!(size(photo(75, 100)), (256, 341));
        assert_eq!(size(photo(250, 1)), (1024, 256));
        assert_eq!(size(photo(1, 1)), (256, 256));
    }

    #[test]
    fn all_of_a_photo_is_squeezed_where_nothing_is_cut() {
        let square = Square { side: 5, short_side: None, filter: Filter::Bilinear, decoded_side_min: None };
        assert_eq!(square.cut(square.resize(photo(17, 9))), photo(17, 9).resize(5, 5));
    }

    const LIMITS: ImageLimits = ImageLimits { bytes_max: 10_000_000, pixels_max: 10_000_000 };

    /// Slopes and a disc, whose left and right, top and bottom differ.
    fn drawn(width: u32, height: u32) -> Photo {
        let pixel = |at: u32| {
            let (x, y) = ((at % width) * 255 / width, (at / width) * 255 / height);
            let inside = (x.abs_diff(80)).pow(2) + (y.abs_diff(60)).pow(2) < 900;
            if inside { [240, 200, 40] } else { [x as u8, y as u8, (255 - x / 2) as u8] }
        };
        Photo { width, height, rgb: (0..width * height).flat_map(pixel).collect() }
    }

    fn seen(jpeg: &[u8], decoded_side_min: Option<u32>) -> Photo {
        let square = Square { side: 96, short_side: None, filter: Filter::Bilinear, decoded_side_min };
        decode_square(jpeg, &LIMITS, &square).unwrap()
    }

    fn mean_difference(one: &Photo, other: &Photo) -> f64 {
        assert_eq!((one.width, one.height), (other.width, other.height));
        let all = one.rgb.iter().zip(&other.rgb).map(|(a, b)| f64::from(a.abs_diff(*b)));
        all.sum::<f64>() / one.rgb.len() as f64
    }

    #[test]
    fn a_fraction_of_the_pixels_looks_as_all_of_them_do() {
        for (width, height) in [(400, 336), (337, 701), (1500, 1100), (2400, 1344)] {
            let jpeg = drawn(width, height).to_jpeg(92);
            let (whole, fraction) = (seen(&jpeg, None), seen(&jpeg, Some(168)));
            assert!(whole != fraction, "{width} x {height}: all of it was decoded");
            let apart = mean_difference(&whole, &fraction);
            assert!(apart < 1.0, "{width} x {height}: {apart} of 255 apart");
        }
    }

    #[test]
    fn where_no_fraction_is_large_enough_all_pixels_are_decoded() {
        let jpeg = drawn(400, 335).to_jpeg(92);
        assert_eq!(seen(&jpeg, Some(168)), seen(&jpeg, None));
        let square = Square { side: 96, short_side: Some(100), filter: Filter::Bilinear, decoded_side_min: Some(96) };
        let cut = decode_square(&jpeg, &LIMITS, &square).unwrap();
        assert_eq!(cut, decode_square(&jpeg, &LIMITS, &Square { decoded_side_min: None, ..square }).unwrap());
    }

    #[test]
    fn a_fraction_is_turned_upright() {
        let jpeg = drawn(500, 400).to_jpeg(92);
        // An EXIF segment with one tag, the orientation, behind the start of the file.
        let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let length = u16::try_from(2 + 6 + tiff.len()).unwrap().to_be_bytes();
        let lying = [&jpeg[..2], &[0xFF, 0xE1], &length, b"Exif\0\0", tiff, &jpeg[2..]].concat();
        let upright = seen(&lying, Some(168));
        assert!(mean_difference(&upright, &seen(&lying, None)) < 1.0);
        assert!(mean_difference(&upright, &seen(&jpeg, Some(168))) > 20.0);
    }

    #[test]
    fn what_is_cut_is_refused_as_with_all_pixels() {
        let jpeg = drawn(500, 400).to_jpeg(92);
        let square = Square { side: 96, short_side: None, filter: Filter::Bilinear, decoded_side_min: Some(168) };
        let cut = decode_square(&jpeg[..jpeg.len() / 2], &LIMITS, &square);
        assert!(matches!(cut, Err(ImageError::Truncated { .. })), "{cut:?}");
    }

    #[test]
    fn a_short_side_below_the_square_is_its_side() {
        let square = Square { side: 8, short_side: Some(3), filter: Filter::Bicubic, decoded_side_min: None };
        let seen = square.cut(square.resize(photo(20, 30)));
        assert_eq!((seen.width, seen.height), (8, 8));
    }
}
