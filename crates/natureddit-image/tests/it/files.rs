//! Image files made in memory.

use image::codecs::bmp::BmpEncoder;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, Frame, ImageEncoder, Rgb, RgbImage};
use natureddit_image::Format;

/// Smooth ground with stripes: compressible, but nowhere flat.
pub(crate) fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = if (x / 5 + y / 7) % 3 == 0 { 60 } else { 0 };
        Rgb([(x * 190 / width) as u8 + stripe, (y * 190 / height) as u8 + stripe, 90 + stripe])
    })
}

/// `image` in `format`, JPEG at quality 95, with an EXIF orientation where the format knows it.
pub(crate) fn encode(image: &DynamicImage, format: Format, orientation: Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format {
        Format::Jpeg => write(image, JpegEncoder::new_with_quality(&mut bytes, 95), orientation),
        Format::Png => write(image, PngEncoder::new(&mut bytes), orientation),
        Format::WebP => write(image, WebPEncoder::new_lossless(&mut bytes), orientation),
        Format::Bmp => write(image, BmpEncoder::new(&mut bytes), None),
        Format::Gif => GifEncoder::new(&mut bytes).encode_frame(Frame::new(image.to_rgba8())).unwrap(),
    }
    bytes
}

fn write(image: &DynamicImage, mut encoder: impl ImageEncoder, orientation: Option<u8>) {
    if let Some(orientation) = orientation {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
    }
    image.write_with_encoder(encoder).unwrap();
}

/// `image` in JPEG, PNG or WebP with an ICC profile.
pub(crate) fn with_profile(image: &DynamicImage, format: Format, icc: Vec<u8>) -> Vec<u8> {
    fn write(image: &DynamicImage, mut encoder: impl ImageEncoder, icc: Vec<u8>) {
        encoder.set_icc_profile(icc).unwrap();
        image.write_with_encoder(encoder).unwrap();
    }
    let mut bytes = Vec::new();
    match format {
        Format::Jpeg => write(image, JpegEncoder::new_with_quality(&mut bytes, 95), icc),
        Format::Png => write(image, PngEncoder::new(&mut bytes), icc),
        Format::WebP => write(image, WebPEncoder::new_lossless(&mut bytes), icc),
        Format::Gif | Format::Bmp => unreachable!("no profile is written to a {format}"),
    }
    bytes
}

/// A JPEG with a short profile in an APP2 segment behind its first two bytes.
pub(crate) fn with_icc_segment(jpeg: &[u8], icc: &[u8]) -> Vec<u8> {
    let content = [b"ICC_PROFILE\0\x01\x01", icc].concat();
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE2], &length, &content, &jpeg[2..]].concat()
}

/// A printer's profile (ICC.1:2001-04, `lut8Type`) in which cyan is the given Lab colour, any black ink makes black, and
/// the rest is white, with straight lines in between.
pub(crate) fn ink_profile(cyan: [i16; 3]) -> Vec<u8> {
    let lab = |[l, a, b]: [i16; 3]| [(l * 255 + 50) / 100, a + 128, b + 128].map(|value| value as u8);
    let mut lut = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    // The identity matrix, then straight lines for the inks.
    (0..9).for_each(|at| lut.extend(if at % 4 == 0 { [0, 1, 0, 0] } else { [0; 4] }));
    (0..4).for_each(|_| lut.extend(0..=255_u8));
    for corner in 0..16 {
        let (is_cyan, is_black) = (corner & 8 != 0, corner & 1 != 0);
        lut.extend(lab(match (is_cyan, is_black) {
            (_, true) => [0; 3],
            (true, _) => cyan,
            _ => [100, 0, 0],
        }));
    }
    (0..3).for_each(|_| lut.extend(0..=255_u8));

    let mut icc = vec![0; 128];
    icc[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    icc[12..24].copy_from_slice(b"prtrCMYKLab ");
    icc[36..40].copy_from_slice(b"acsp");
    // The white of the connection space, D50.
    icc[68..80].copy_from_slice(&[0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]);
    icc.extend(b"\0\0\0\x01A2B0\0\0\0\x90");
    icc.extend((lut.len() as u32).to_be_bytes());
    icc.extend(lut);
    let size = icc.len() as u32;
    icc[..4].copy_from_slice(&size.to_be_bytes());
    icc
}

/// A TIFF header and one directory with the orientation (tag 0x112, a short).
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff
}

/// A GIF of two frames.
pub(crate) fn animated_gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for image in [scene(20, 10), RgbImage::new(20, 10)] {
        encoder.encode_frame(Frame::new(DynamicImage::from(image).into_rgba8())).unwrap();
    }
    drop(encoder);
    bytes
}

/// A PNG with an animation control chunk behind its header.
pub(crate) fn animated_png() -> Vec<u8> {
    const HEADER_END: usize = 8 + 25;
    let mut bytes = encode(&scene(20, 10).into(), Format::Png, None);
    let content = b"acTL\0\0\0\x02\0\0\0\0";
    let chunk = [&8_u32.to_be_bytes()[..], content, &crc32(content).to_be_bytes()].concat();
    bytes.splice(HEADER_END..HEADER_END, chunk);
    bytes
}

/// A WebP that announces an animation: its header, the animation's, and one frame.
pub(crate) fn animated_webp() -> Vec<u8> {
    const RIFF_HEADER: usize = 12;
    let still = encode(&scene(20, 10).into(), Format::WebP, None);
    let picture = &still[RIFF_HEADER..];
    // Flags (0x02 is animation), then width and height minus one in three bytes each.
    let extended = chunk(b"VP8X", &[0x02, 0, 0, 0, 19, 0, 0, 9, 0, 0]);
    let animation = chunk(b"ANIM", &[0; 6]);
    // Its place, its size minus one, its duration, flags.
    let frame = chunk(b"ANMF", &[&[0, 0, 0, 0, 0, 0, 19, 0, 0, 9, 0, 0, 100, 0, 0, 0][..], picture].concat());
    let body = [b"WEBP".to_vec(), extended, animation, frame].concat();
    chunk(b"RIFF", &body)
}

/// The header of a WebP of 16384 x 16384 pixels, with nothing behind.
pub(crate) fn huge_webp() -> Vec<u8> {
    let extended = chunk(b"VP8X", &[0, 0, 0, 0, 0xFF, 0x3F, 0, 0xFF, 0x3F, 0]);
    let picture = chunk(b"VP8L", &[0x2F, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0, 0]);
    chunk(b"RIFF", &[b"WEBP".to_vec(), extended, picture].concat())
}

/// A WebP whose header says 10 x 10 pixels and whose lossy frame has 16383 x 16383.
pub(crate) fn webp_with_a_larger_frame() -> Vec<u8> {
    let extended = chunk(b"VP8X", &[0, 0, 0, 0, 9, 0, 0, 9, 0, 0]);
    let frame = chunk(b"VP8 ", &[&[0x10, 0, 0, 0x9D, 0x01, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F][..], &[0; 64]].concat());
    chunk(b"RIFF", &[b"WEBP".to_vec(), extended, frame].concat())
}

/// A WebP whose EXIF block is said to be longer than the file.
pub(crate) fn webp_with_a_long_block() -> Vec<u8> {
    const RIFF_HEADER: usize = 12;
    let still = encode(&scene(20, 10).into(), Format::WebP, None);
    let extended = chunk(b"VP8X", &[0x08, 0, 0, 0, 19, 0, 0, 9, 0, 0]);
    let mut block = chunk(b"EXIF", b"II*\0");
    block[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    chunk(b"RIFF", &[b"WEBP".to_vec(), extended, still[RIFF_HEADER..].to_vec(), block].concat())
}

/// A RIFF chunk, padded to an even length.
fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = [&name[..], &(content.len() as u32).to_le_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

/// Overwrites the size in the header of a PNG and mends its checksum.
pub(crate) fn with_png_size(mut png: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    png
}

/// Overwrites the size in the frame header of a baseline JPEG.
pub(crate) fn with_jpeg_size(mut jpeg: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// CRC-32 as PNG has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A baseline JPEG of one flat 8 x 8 block: `samples` are the values of its components (0 to 255), `adobe` the colour
/// transform in its Adobe segment, where it has one.
pub(crate) fn flat_jpeg(samples: &[u8], adobe: Option<u8>) -> Vec<u8> {
    let count = samples.len() as u8;
    let mut bytes = vec![0xFF, 0xD8];
    if let Some(transform) = adobe {
        bytes.extend([0xFF, 0xEE, 0, 14]);
        bytes.extend(b"Adobe\0\x64\0\0\0\0");
        bytes.push(transform);
    }
    // The mean of a block is stored in eighths: a quantisation by 8 makes steps of one.
    bytes.extend([0xFF, 0xDB, 0, 67, 0]);
    bytes.extend([8; 64]);
    bytes.extend([0xFF, 0xC0, 0, 8 + 3 * count, 8, 0, 8, 0, 8, count]);
    (1..=count).for_each(|id| bytes.extend([id, 0x11, 0]));
    // Huffman table of the means: how many bits follow, 0 to 8, each as a code of four bits.
    bytes.extend([0xFF, 0xC4, 0, 19 + 9, 0x00, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(0..9);
    // Huffman table of the rest: nothing more, as a code of one bit.
    bytes.extend([0xFF, 0xC4, 0, 19 + 1, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([0xFF, 0xDA, 0, 6 + 2 * count, count]);
    (1..=count).for_each(|id| bytes.extend([id, 0]));
    bytes.extend([0, 63, 0]);
    bytes.extend(entropy_code(samples));
    bytes.extend([0xFF, 0xD9]);
    bytes
}

/// Each mean less 128: its length in bits, its bits (of a negative number those of the complement), the end of the
/// block; all filled up with ones. A byte FF is followed by 00.
fn entropy_code(samples: &[u8]) -> Vec<u8> {
    let mut bits = String::new();
    for &sample in samples {
        let level = i32::from(sample) - 128;
        let length = (32 - level.unsigned_abs().leading_zeros()) as usize;
        bits += &format!("{length:04b}");
        if length > 0 {
            let value = if level < 0 { level + (1 << length) - 1 } else { level };
            bits += &format!("{value:0length$b}");
        }
        bits += "0";
    }
    bits += &"1".repeat(bits.len().next_multiple_of(8) - bits.len());
    let bytes = (0..bits.len()).step_by(8).map(|at| u8::from_str_radix(&bits[at..at + 8], 2).unwrap());
    bytes.flat_map(|byte| if byte == 0xFF { vec![byte, 0] } else { vec![byte] }).collect()
}
