//! JPEG, by `zune-jpeg`.

use std::sync::Arc;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::colour::{ColourModel, ToSrgb};
use crate::{Format, ImageError, Photo, scratch};

/// The longest side that a JPEG header can state.
const SIDE_MAX: usize = u16::MAX as usize;

/// A JPEG whose headers are read.
pub(crate) struct Jpeg<'a> {
    bytes: &'a [u8],
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers; allocates nothing for the pixels.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let options = DecoderOptions::new_fast()
            .set_strict_mode(true)
            .set_max_width(SIDE_MAX)
            .set_max_height(SIDE_MAX)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|e| refuse(bytes, &e))?;
        Ok(Self { bytes, decoder })
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Width and height as they are stored.
    pub(crate) fn dimensions(&self) -> (u32, u32) {
        let (width, height) = self.decoder.dimensions().unwrap_or_default();
        (width as u32, height as u32)
    }

    /// The EXIF block, from its TIFF header on.
    pub(crate) fn exif(&self) -> Option<&[u8]> {
        self.decoder.exif().map(Vec::as_slice)
    }

    fn colour_model(&self) -> ColourModel {
        match self.decoder.input_colorspace() {
            Some(ColorSpace::CMYK | ColorSpace::YCCK) => ColourModel::Cmyk,
            Some(ColorSpace::Luma) => ColourModel::Grey,
            _ => ColourModel::Rgb,
        }
    }

    /// Whether the brightness is stored apart from the colours, and means what it does in sRGB.
    pub(crate) fn has_brightness(&self) -> bool {
        let stored = self.decoder.input_colorspace();
        let model = self.colour_model();
        let to_srgb = || self.decoder.icc_profile().and_then(|icc| ToSrgb::by_profile(&icc, model));
        matches!(stored, Some(ColorSpace::YCbCr | ColorSpace::Luma)) && to_srgb().is_none()
    }

    /// The brightness alone, one byte a pixel in memory for passing use, where [`Jpeg::has_brightness`] says so. What is stored of the colours is
    /// read and thrown away, so that damage in it is noticed.
    pub(crate) fn decode_brightness(mut self) -> Result<Vec<u8>, ImageError> {
        self.check_end()?;
        self.decoder.set_options(self.decoder.options().jpeg_set_out_colorspace(ColorSpace::Luma));
        self.decode_pixels(false)
    }

    /// The pixels, RGB, and the way from them to sRGB where there is one left to go. CMYK and YCCK are taken as inverted,
    /// as Adobe writes them and as Pillow and the browsers read them; inks without a profile become light by
    /// multiplication.
    /// They lie in memory for passing use ([`scratch`]), unless they are kept.
    pub(crate) fn decode(mut self, is_kept: bool) -> Result<(Vec<u8>, Option<Arc<ToSrgb>>), ImageError> {
        self.check_end()?;
        let model = self.colour_model();
        let to_srgb = self.decoder.icc_profile().and_then(|icc| ToSrgb::by_profile(&icc, model));
        if let (ColourModel::Cmyk, Some(to_srgb)) = (model, &to_srgb) {
            return Ok((to_srgb.apply_to_inks(self.decode_inks()?), None));
        }
        Ok((self.decode_pixels(is_kept)?, to_srgb))
    }

    /// As [`Jpeg::decode`], for a photo that is shrunk to `target` next: where libjpeg-turbo is there to do so, it leaves out
    /// detail that would not be seen. What that one objects to is judged as without it.
    pub(crate) fn decode_at_least(self, target: (u32, u32)) -> Result<(Photo, Option<Arc<ToSrgb>>), ImageError> {
        let stored = self.dimensions();
        #[cfg(feature = "turbojpeg")]
        if target != stored && self.colour_model() != ColourModel::Cmyk {
            self.check_end()?;
            if let Some(photo) = crate::turbo::decode_at_least(self.bytes, stored, target) {
                let to_srgb = self.decoder.icc_profile().and_then(|icc| ToSrgb::by_profile(&icc, self.colour_model()));
                return Ok((photo, to_srgb));
            }
        }
        // Once decoded, only the shrunk one is kept.
        let (rgb, to_srgb) = self.decode(target == stored)?;
        Ok((Photo { width: stored.0, height: stored.1, rgb }, to_srgb))
    }

    fn check_end(&self) -> Result<(), ImageError> {
        if has_end(self.bytes) { Ok(()) } else { Err(ImageError::Truncated { format: Format::Jpeg }) }
    }

    /// The four inks of each pixel, 255 for a full one.
    fn decode_inks(&mut self) -> Result<Vec<u8>, ImageError> {
        let stored = self.decoder.input_colorspace().unwrap_or(ColorSpace::CMYK);
        self.decoder.set_options(self.decoder.options().jpeg_set_out_colorspace(stored));
        let mut values = self.decode_pixels(true)?;
        let (pixels, _) = values.as_chunks_mut::<4>();
        for pixel in pixels {
            let [a, b, c, black] = *pixel;
            let [cyan, magenta, yellow] =
                if stored == ColorSpace::YCCK { from_ycc([a, b, c]) } else { [255 - a, 255 - b, 255 - c] };
            *pixel = [cyan, magenta, yellow, 255 - black];
        }
        Ok(values)
    }

    fn decode_pixels(&mut self, is_kept: bool) -> Result<Vec<u8>, ImageError> {
        // Known once the headers are read; the limits hold, so that it fits.
        let size = self.decoder.output_buffer_size().unwrap_or_default();
        let mut pixels = if is_kept { vec![0; size] } else { scratch::take(size) };
        self.decoder.decode_into(&mut pixels).map_err(|e| refuse(self.bytes, &e))?;
        Ok(pixels)
    }
}

/// Luminance and two differences of colour as three colours (ITU-T T.871).
#[inline]
pub(crate) fn from_ycc([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    // Rounded as `round` does, which without SSE4.1 is a call for each.
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|value| (value + 0.5) as u8)
}

fn refuse(bytes: &[u8], error: &DecodeErrors) -> ImageError {
    // Where the file is cut, what the decoder stumbles upon is of no interest.
    if !has_end(bytes) {
        return ImageError::Truncated { format: Format::Jpeg };
    }
    ImageError::Corrupt { format: Format::Jpeg, reason: error.to_string() }
}

/// Whether the end-of-image marker is there. The decoder alone misses a file that is cut in its last rows, and
/// between two scans of a progressive one; whatever is cut lacks this marker.
fn has_end(bytes: &[u8]) -> bool {
    // Nearly every file ends with it. Where more follows (a second picture, padding) the segments must be walked,
    // for a thumbnail in the EXIF segment has such a marker of its own.
    bytes.ends_with(&[0xFF, EOI]) || walk_to_end(bytes).is_some()
}

const EOI: u8 = 0xD9;
const SOI: u8 = 0xD8;
const TEM: u8 = 0x01;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;

/// The offset behind the end-of-image marker (ITU-T T.81, annex B).
fn walk_to_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        // A marker is FF and a code; FF 00 is a stuffed FF of the entropy-coded data, FF FF a fill byte.
        at += bytes.get(at..)?.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF))?;
        let code = bytes[at + 1];
        at += 2;
        match code {
            EOI => return Some(at),
            SOI | TEM | RST0..=RST7 => {}
            _ => at += usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_behind_a_thumbnail_and_before_padding() {
        let segment = [0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        let scan = [0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4];
        let file = [&[0xFF, 0xD8][..], &segment, &scan, &[0xFF, 0xFF, 0xD9], &[0; 9]].concat();
        assert_eq!(walk_to_end(&file), Some(file.len() - 9));
        let cut = file.len() - 10;
        assert!((0..cut).all(|end| walk_to_end(&file[..end]).is_none()));
    }

    #[test]
    fn colours_are_rounded_as_ever() {
        for at in 0..1_u32 << 24 {
            let [_, y, cb, cr] = at.to_be_bytes();
            let (luma, blue, red) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
            let exact = [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue];
            assert_eq!(from_ycc([y, cb, cr]), exact.map(|value| value.round() as u8), "{y} {cb} {cr}");
        }
    }
}
