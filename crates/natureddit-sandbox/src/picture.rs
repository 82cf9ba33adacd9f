//! Picture files: what is drawn, how it is encoded, and how some are spoilt.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, Frame, ImageEncoder, ImageFormat, ImageResult, RgbImage, RgbaImage, imageops};

use crate::scene::{self, Kind};

/// A file of this size or less is no photo.
const TINY_BYTES_MAX: usize = 5_000;

/// A drawn picture before it is drawn: the same values always give the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    /// Pictures with one seed, kind and subject show the same scene.
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
    /// The place in [`Kind::subjects`].
    pub(crate) subject: usize,
    /// As it is seen, after any turning.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) encoding: Encoding,
}

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Encoding {
    Jpeg {
        quality: u8,
    },
    /// A JPEG whose pixels lie turned; an EXIF tag (3, 6 or 8) says how it is to be seen.
    TurnedJpeg {
        orientation: u8,
    },
    Png,
    /// A PNG with transparent corners.
    AlphaPng,
    WebP,
}

impl Encoding {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg { .. } | Self::TurnedJpeg { .. } => "jpg",
            Self::Png | Self::AlphaPng => "png",
            Self::WebP => "webp",
        }
    }
}

/// What is wrong with a planted file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spoilt {
    /// A web page under a picture's name, declared as what it is or as what its name says.
    Html {
        honest: bool,
    },
    Truncated,
    Tiny,
    Empty,
    Bomb,
    Animated,
    /// As WebP, which goes by the name of a photo.
    AnimatedWebP,
}

impl Picture {
    /// Draws and encodes the picture.
    pub(crate) fn encode(&self) -> ImageResult<Vec<u8>> {
        let picture = self.draw();
        match self.encoding {
            Encoding::Jpeg { quality } => jpeg(&picture, quality),
            Encoding::TurnedJpeg { orientation } => {
                let stored = match orientation {
                    3 => imageops::rotate180(&picture),
                    6 => imageops::rotate270(&picture),
                    _ => imageops::rotate90(&picture),
                };
                jpeg(&stored, 88).map(|bytes| with_orientation(&bytes, orientation))
            }
            Encoding::Png => png(&DynamicImage::ImageRgb8(picture)),
            Encoding::AlphaPng => png(&DynamicImage::ImageRgba8(with_clear_corners(&picture))),
            Encoding::WebP => {
                let mut bytes = Vec::new();
                picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::WebP)?;
                Ok(bytes)
            }
        }
    }

    pub(crate) fn draw(&self) -> RgbImage {
        scene::draw(&self.kind.subjects()[self.subject], self.seed, self.width, self.height)
    }

    /// The bytes of a file with a planted fault, made from this picture.
    pub(crate) fn spoil(&self, how: Spoilt) -> ImageResult<Vec<u8>> {
        match how {
            Spoilt::Html { .. } => Ok(web_page()),
            Spoilt::Empty => Ok(Vec::new()),
            Spoilt::Truncated => {
                let whole = jpeg(&self.draw(), 90)?;
                let end = (whole.len() * 2 / 5).max(2 * TINY_BYTES_MAX).min(whole.len() - 100);
                Ok(whole[..end].to_vec())
            }
            Spoilt::Tiny => {
                let small = imageops::thumbnail(&self.draw(), 48, 36);
                let bytes = jpeg(&small, 60)?;
                debug_assert!(bytes.len() < TINY_BYTES_MAX);
                Ok(bytes)
            }
            Spoilt::Bomb => jpeg(&self.draw(), 90).map(|bytes| with_size(bytes, 50_000)),
            Spoilt::Animated => {
                let small = imageops::thumbnail(&self.draw(), 160, 120);
                let mut bytes = Vec::new();
                let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
                let flipped = imageops::flip_horizontal(&small);
                let frames = [small, flipped].map(|frame| Frame::new(DynamicImage::ImageRgb8(frame).to_rgba8()));
                encoder.encode_frames(frames)?;
                drop(encoder);
                Ok(bytes)
            }
            Spoilt::AnimatedWebP => {
                let small = imageops::thumbnail(&self.draw(), 160, 120);
                let flipped = imageops::flip_horizontal(&small);
                animated_webp(&[small, flipped])
            }
        }
    }
}

/// A WebP of several frames (RFC 9649, 2.7: `VP8X` with the animation bit, `ANIM`, one `ANMF` a frame).
fn animated_webp(frames: &[RgbImage]) -> ImageResult<Vec<u8>> {
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let mut chunk = [name.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    };
    let three_bytes = |number: u32| number.to_le_bytes()[..3].to_vec();
    let size = |frame: &RgbImage| [three_bytes(frame.width() - 1), three_bytes(frame.height() - 1)].concat();
    let mut body = b"WEBP".to_vec();
    if let Some(first) = frames.first() {
        body.extend(chunk(b"VP8X", &[[2, 0, 0, 0].as_slice(), &size(first)].concat()));
    }
    body.extend(chunk(b"ANIM", &[0; 6]));
    for frame in frames {
        let mut still = Vec::new();
        frame.write_to(&mut Cursor::new(&mut still), ImageFormat::WebP)?;
        // Place, size, 100 ms, no flags; then the still picture's own chunk, which follows its RIFF header.
        let data = [vec![0; 6], size(frame), three_bytes(100), vec![0], still[12..].to_vec()].concat();
        body.extend(chunk(b"ANMF", &data));
    }
    Ok(chunk(b"RIFF", &body))
}

pub(crate) fn jpeg(picture: &RgbImage, quality: u8) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture)?;
    Ok(bytes)
}

fn png(picture: &DynamicImage) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub);
    encoder.write_image(picture.as_bytes(), picture.width(), picture.height(), picture.color().into())?;
    Ok(bytes)
}

/// Corners that fade out, as in a picture with a soft frame.
fn with_clear_corners(picture: &RgbImage) -> RgbaImage {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let radius = width.min(height) * 0.2;
    RgbaImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [r, g, b] = picture.get_pixel(x, y).0;
        let out = |at: f32, end: f32| (radius - at).max(at - (end - radius)).max(0.0);
        let distance = out(x as f32, width).hypot(out(y as f32, height)) - radius;
        image::Rgba([r, g, b, ((0.5 - distance / 8.0).clamp(0.0, 1.0) * 255.0) as u8])
    })
}

/// Puts an EXIF segment with nothing but the orientation behind the first two bytes of a JPEG
/// (JEITA CP-3451: APP1, `Exif\0\0`, a little-endian TIFF header and one directory entry 0x0112 of type SHORT).
pub(crate) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend(b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0");
    segment.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

/// Writes another width and height into a JPEG's frame header (ITU T.81: marker SOF0, then length, precision,
/// height, width).
pub(crate) fn with_size(mut jpeg: Vec<u8>, side: u16) -> Vec<u8> {
    let sof = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]);
    if let Some(size) = sof.and_then(|at| jpeg.get_mut(at + 5..at + 9)) {
        let [high, low] = side.to_be_bytes();
        size.copy_from_slice(&[high, low, high, low]);
    }
    jpeg
}

/// A page as a host shows it in place of a picture; longer than the smallest photo.
pub(crate) fn web_page() -> Vec<u8> {
    let row = "<p>The picture you are looking for is not here. It may have been moved or removed.</p>\n";
    let head = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>not here</title></head><body>\n";
    format!("{head}{}</body></html>\n", row.repeat(2 * TINY_BYTES_MAX / row.len())).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use natureddit_image::{ImageLimits, decode, inspect};

    const LIMITS: ImageLimits = ImageLimits { bytes_max: 50_000_000, pixels_max: 100_000_000 };

    fn picture(encoding: Encoding) -> Picture {
        Picture { seed: 5, kind: Kind::Fauna, subject: 3, width: 360, height: 240, encoding }
    }

    #[test]
    fn every_encoding_is_read_upright_at_its_size() {
        let plain = decode(&picture(Encoding::Png).encode().unwrap(), &LIMITS).unwrap();
        let encodings = [
            Encoding::Jpeg { quality: 85 },
            Encoding::TurnedJpeg { orientation: 3 },
            Encoding::TurnedJpeg { orientation: 6 },
            Encoding::TurnedJpeg { orientation: 8 },
            Encoding::AlphaPng,
            Encoding::WebP,
        ];
        for encoding in encodings {
            let bytes = picture(encoding).encode().unwrap();
            assert!(bytes.len() > TINY_BYTES_MAX, "{encoding:?}");
            let photo = decode(&bytes, &LIMITS).unwrap();
            assert_eq!((photo.width, photo.height), (360, 240), "{encoding:?}");
            let middle = (120 * 360 + 180) * 3;
            let off: u32 = (0..300).map(|i| u32::from(photo.rgb[middle + i].abs_diff(plain.rgb[middle + i]))).sum();
            assert!(off < 300 * 14, "{encoding:?} differs by {off}");
        }
    }

    #[test]
    fn spoilt_files_are_refused_by_a_careful_reader() {
        let picture = Picture { width: 800, height: 600, ..picture(Encoding::Jpeg { quality: 85 }) };
        for how in [Spoilt::Html { honest: true }, Spoilt::Truncated, Spoilt::Empty, Spoilt::Bomb, Spoilt::Animated] {
            let bytes = picture.spoil(how).unwrap();
            assert!(how == Spoilt::Empty || bytes.len() > TINY_BYTES_MAX, "{how:?}: {}", bytes.len());
            assert!(decode(&bytes, &LIMITS).is_err(), "{how:?}");
        }
        let animated = picture.spoil(Spoilt::AnimatedWebP).unwrap();
        assert!(animated.len() > TINY_BYTES_MAX && inspect(&animated, &LIMITS).unwrap().animated);
        assert!(image::load_from_memory(&animated).is_ok(), "its first frame can be read");
        let tiny = picture.spoil(Spoilt::Tiny).unwrap();
        assert!(tiny.len() < TINY_BYTES_MAX && inspect(&tiny, &LIMITS).is_ok());
    }
}
