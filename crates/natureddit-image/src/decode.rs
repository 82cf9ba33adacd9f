//! From bytes to pixels: the header first, then the limits, then the picture.

use std::io::{Cursor, ErrorKind};
use std::sync::Arc;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits};

use crate::colour::{ColourModel, ToSrgb};
use crate::jpeg::Jpeg;
use crate::photo::{fitting, grey_resized};
use crate::planes::SmallPlanes;
use crate::{
    Format, ImageError, ImageLimits, PerceptualHash, Photo, Square, baseline, gif, pixels, png, scratch, webp,
};

/// The longest side of a photo: what is longer could not be stored as JPEG.
const SIDE_MAX: u32 = u16::MAX as u32;

/// What each of the pixels that the limits allow may take while it is decoded: four channels of 8 bits.
const BYTES_PER_PIXEL_MAX: u64 = 4;

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// What kind of file it is.
    pub format: Format,
    /// The width as it is seen, after turning by `orientation`, in pixels.
    pub width: u32,
    /// The height as it is seen, after turning by `orientation`, in pixels.
    pub height: u32,
    /// The EXIF orientation, 1 (upright) to 8.
    pub orientation: u8,
    /// Whether pixels can be transparent; whether any is, only decoding shows.
    pub has_alpha: bool,
    /// Whether the file is an animation.
    pub animated: bool,
}

/// Reads the header only; what is over the limits is refused without allocating for it.
///
/// # Errors
/// [`ImageError`], every kind but [`ImageError::Animated`].
pub fn inspect(bytes: &[u8], limits: &ImageLimits) -> Result<ImageInfo, ImageError> {
    Opened::new(bytes, limits).map(|opened| opened.info)
}

/// Decodes a photo as a person would see it: upright, sRGB, transparency on white.
///
/// # Errors
/// [`ImageError`]; a photo that lacks a part is refused, never filled up.
pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Photo, ImageError> {
    Opened::new(bytes, limits)?.decode(Size::Full)
}

/// [`decode`] and [`Photo::resize`] in one, and what a model is given: turning and colours wait until the photo is small,
/// so that a large one is never held twice.
///
/// # Errors
/// As [`decode`].
pub fn decode_resized(bytes: &[u8], limits: &ImageLimits, width: u32, height: u32) -> Result<Photo, ImageError> {
    Opened::new(bytes, limits)?.decode(Size::Exactly { width, height })
}

/// As [`decode_resized`], as a square.
///
/// # Errors
/// As [`decode`].
pub fn decode_square(bytes: &[u8], limits: &ImageLimits, square: &Square) -> Result<Photo, ImageError> {
    Opened::new(bytes, limits)?.decode(Size::Square(*square))
}

/// The header, and what the whole photo looks like, in 64 bits: as [`Photo::perceptual_hash`] (at
/// most 4 of them differ) but in less time, for of most JPEG files only the brightness is made into pixels. All of the
/// file is read all the same.
///
/// # Errors
/// As [`decode`].
pub fn examine(bytes: &[u8], limits: &ImageLimits) -> Result<(ImageInfo, PerceptualHash), ImageError> {
    let opened = Opened::new(bytes, limits)?;
    Ok((opened.info, opened.perceptual_hash()?))
}

/// How large a photo is wanted, as it is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Full,
    Exactly {
        width: u32,
        height: u32,
    },
    /// By [`Photo::fit_within`].
    Within(u32),
    Square(Square),
}

/// A file whose header is read and within the limits.
pub(crate) struct Opened<'a> {
    /// What the header told.
    pub(crate) info: ImageInfo,
    decoder: Decoder<'a>,
}

enum Decoder<'a> {
    Jpeg(Box<Jpeg<'a>>),
    Other(Box<dyn ImageDecoder + 'a>),
}

impl<'a> Opened<'a> {
    /// Reads the header and checks it against `limits`.
    pub(crate) fn new(bytes: &'a [u8], limits: &ImageLimits) -> Result<Self, ImageError> {
        if bytes.len() as u64 > limits.bytes_max {
            return Err(ImageError::TooManyBytes { bytes: bytes.len() as u64, bytes_max: limits.bytes_max });
        }
        let mut opened = Self::read_header(Format::sniff(bytes)?, bytes, limits)?;
        let ImageInfo { width, height, orientation, .. } = opened.info;
        if u64::from(width) * u64::from(height) > limits.pixels_max {
            return Err(ImageError::TooManyPixels { width, height, pixels_max: limits.pixels_max });
        }
        // 16 bits a channel take twice the memory of the 8 that pixels are counted for.
        let bytes_max = limits.pixels_max.saturating_mul(BYTES_PER_PIXEL_MAX);
        if let Decoder::Other(decoder) = &opened.decoder
            && decoder.total_bytes() > bytes_max
        {
            return Err(ImageError::DecodedTooLarge { bytes: decoder.total_bytes(), bytes_max });
        }
        if width.max(height) > SIDE_MAX {
            return Err(ImageError::SideTooLong { width, height, side_max: SIDE_MAX });
        }
        // Orientations 5 to 8 lie on their side.
        if orientation >= 5 {
            (opened.info.width, opened.info.height) = (height, width);
        }
        Ok(opened)
    }

    fn read_header(format: Format, bytes: &'a [u8], limits: &ImageLimits) -> Result<Self, ImageError> {
        let reader = Cursor::new(bytes);
        let opened = match format {
            Format::Jpeg => return Self::jpeg(bytes),
            Format::Png => {
                png::check(bytes)?;
                PngDecoder::with_limits(reader, decoder_limits(limits)).and_then(|decoder| {
                    let animated = decoder.is_apng()?;
                    Ok(Self::other(format, decoder, animated))
                })
            }
            Format::WebP => {
                webp::check(bytes)?;
                WebPDecoder::new(reader).map(|decoder| {
                    let animated = decoder.has_animation();
                    Self::other(format, decoder, animated)
                })
            }
            Format::Gif => GifDecoder::new(reader).and_then(|mut decoder| {
                decoder.set_limits(decoder_limits(limits))?;
                Ok(Self::other(format, decoder, gif::is_animated(bytes)))
            }),
            Format::Bmp => BmpDecoder::new(reader).map(|decoder| Self::other(format, decoder, false)),
        };
        opened.map_err(|e| refuse(format, &e))
    }

    fn jpeg(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let jpeg = Jpeg::open(bytes)?;
        let (width, height) = jpeg.dimensions();
        let orientation = jpeg.exif().map_or(1, read_orientation);
        let info = ImageInfo { format: Format::Jpeg, width, height, orientation, has_alpha: false, animated: false };
        Ok(Self { info, decoder: Decoder::Jpeg(Box::new(jpeg)) })
    }

    fn other(format: Format, mut decoder: impl ImageDecoder + 'a, animated: bool) -> Self {
        let (width, height) = decoder.dimensions();
        // A damaged EXIF block does not spoil the picture.
        let exif = decoder.exif_metadata().unwrap_or_default();
        let orientation = exif.map_or(1, |exif| read_orientation(&exif));
        let has_alpha = decoder.color_type().has_alpha();
        let info = ImageInfo { format, width, height, orientation, has_alpha, animated };
        Self { info, decoder: Decoder::Other(Box::new(decoder)) }
    }

    /// What the whole photo looks like.
    pub(crate) fn perceptual_hash(self) -> Result<PerceptualHash, ImageError> {
        const SIDE: u32 = PerceptualHash::SIDE;
        let orientation = self.info.orientation;
        let small = match self.decoder {
            Decoder::Jpeg(jpeg) if jpeg.has_brightness() => {
                let size = jpeg.dimensions();
                let grey = jpeg.decode_brightness()?;
                let small = grey_resized(size, &grey, SIDE);
                scratch::give_back(grey);
                turn(small, orientation)
            }
            _ => self.decode(Size::Exactly { width: SIDE, height: SIDE })?,
        };
        Ok(small.perceptual_hash())
    }

    /// A JPEG of the common kind that is shrunk, its colours apart; any other is for [`Opened::decode`].
    pub(crate) fn decode_planes(&self, long_side_max: u32) -> Option<SmallPlanes> {
        let Decoder::Jpeg(jpeg) = &self.decoder else { return None };
        let stored = jpeg.dimensions();
        let target = fitting(stored, long_side_max);
        if target == stored || !jpeg.has_brightness() {
            return None;
        }
        let planes = baseline::decode_at_least(jpeg.bytes(), stored, target)?;
        Some(planes.into_small(target, self.info.orientation))
    }

    /// The square of a JPEG of the common kind of which fewer pixels than there are will do; any other is for
    /// [`Opened::decode`].
    fn decode_fraction(&self, square: &Square) -> Option<Photo> {
        let (Decoder::Jpeg(jpeg), side_min) = (&self.decoder, square.decoded_side_min()?) else { return None };
        let stored = jpeg.dimensions();
        // Whole pixels are sooner there by the other way.
        if !jpeg.has_brightness() || baseline::fewest_eighths(stored, (side_min, side_min)) == 8 {
            return None;
        }
        let planes = baseline::decode_at_least(jpeg.bytes(), stored, (side_min, side_min))?;
        Some(turn(planes.into_rgb((square.side, square.side)), self.info.orientation))
    }

    /// The photo in the wanted size.
    pub(crate) fn decode(self, size: Size) -> Result<Photo, ImageError> {
        let ImageInfo { format, width, height, orientation, animated, .. } = self.info;
        if animated {
            return Err(ImageError::Animated { format });
        }
        if let Size::Square(square) = &size
            && let Some(photo) = self.decode_fraction(square)
        {
            return Ok(photo);
        }
        // As it is stored: orientations 5 to 8 lie on their side.
        let turned = |(width, height)| if orientation >= 5 { (height, width) } else { (width, height) };
        let stored = turned((width, height));
        let target = match size {
            Size::Full | Size::Square(_) => stored,
            Size::Exactly { width, height } => turned((width, height)),
            Size::Within(long_side_max) => fitting(stored, long_side_max),
        };
        let (photo, to_srgb) = match self.decoder {
            Decoder::Jpeg(jpeg) if matches!(size, Size::Within(_)) => jpeg.decode_at_least(target)?,
            Decoder::Jpeg(jpeg) => {
                let (rgb, to_srgb) = jpeg.decode(matches!(size, Size::Full))?;
                (Photo { width: stored.0, height: stored.1, rgb }, to_srgb)
            }
            Decoder::Other(decoder) => decode_other(decoder, format)?,
        };
        let mut photo = match size {
            Size::Square(square) => square.cut(turn(square.resize(photo), orientation)),
            _ => turn(photo.into_resized(target.0, target.1), orientation),
        };
        if let Some(to_srgb) = to_srgb {
            to_srgb.apply(&mut photo.rgb);
        }
        Ok(photo)
    }
}

fn decode_other(
    mut decoder: Box<dyn ImageDecoder + '_>,
    format: Format,
) -> Result<(Photo, Option<Arc<ToSrgb>>), ImageError> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let model = if color.has_color() { ColourModel::Rgb } else { ColourModel::Grey };
    let icc = decoder.icc_profile().unwrap_or_default();
    let to_srgb = icc.and_then(|icc| ToSrgb::by_profile(&icc, model));
    // The limits hold, so that it fits; they are checked in `Opened::new`.
    let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image_boxed(&mut bytes).map_err(|e| refuse(format, &e))?;
    let unknown = || ImageError::Corrupt { format, reason: format!("pixels of {color:?} are not known here") };
    let rgb = pixels::into_rgb(color, bytes).ok_or_else(unknown)?;
    Ok((Photo { width, height, rgb }, to_srgb))
}

/// What a decoder may allocate beside the picture: frames, metadata.
fn decoder_limits(limits: &ImageLimits) -> Limits {
    const METADATA_BYTES_MAX: u64 = 16 << 20;
    let mut decoder_limits = Limits::no_limits();
    decoder_limits.max_alloc =
        Some(limits.pixels_max.saturating_mul(BYTES_PER_PIXEL_MAX).saturating_add(METADATA_BYTES_MAX));
    decoder_limits
}

fn refuse(format: Format, error: &image::ImageError) -> ImageError {
    match error {
        image::ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => ImageError::Truncated { format },
        other => ImageError::Corrupt { format, reason: other.to_string() },
    }
}

/// The orientation, 1 to 8, of an EXIF block; 1 where it says none.
fn read_orientation(exif: &[u8]) -> u8 {
    // Some writers of WebP and PNG keep the prefix that belongs to JPEG.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).map_or(1, Orientation::to_exif)
}

/// Undoes an EXIF orientation.
fn turn(photo: Photo, orientation: u8) -> Photo {
    match Orientation::from_exif(orientation) {
        None | Some(Orientation::NoTransforms) => photo,
        Some(orientation) => {
            let mut image = DynamicImage::ImageRgb8(photo.into_image());
            image.apply_orientation(orientation);
            Photo { width: image.width(), height: image.height(), rgb: image.into_rgb8().into_raw() }
        }
    }
}
