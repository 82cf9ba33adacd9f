//! A large photo on its way to a small one is held once. Alone in its process, for the peak is that of the process.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use natureddit_core::fs;
use natureddit_image::{ImageLimits, decode_resized};

const WIDTH: u32 = 5000;
const HEIGHT: u32 = 4000;
const PIXELS: u64 = WIDTH as u64 * HEIGHT as u64;
/// For the decoders' own tables and rows.
const SLACK: u64 = 8 << 20;

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: u64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    kib * 1024
}

/// How far the memory in use rises while `work` runs.
fn rise(work: impl FnOnce()) -> u64 {
    // Sets the peak to what is in use now (proc(5)).
    fs::append(Path::new("/proc/self/clear_refs")).unwrap().write_all(b"5").unwrap();
    let before = status("VmRSS:");
    work();
    status("VmHWM:").saturating_sub(before)
}

/// A JPEG that lies on its side (EXIF orientation 6).
fn lying_jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes);
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([6, 0, 0, 0, 0, 0, 0, 0]);
    encoder.set_exif_metadata(tiff).unwrap();
    encoder.encode(&vec![90; PIXELS as usize * 3], WIDTH, HEIGHT, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn png(color: ExtendedColorType, bytes_per_pixel: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter);
    encoder.write_image(&vec![90; PIXELS as usize * bytes_per_pixel], WIDTH, HEIGHT, color).unwrap();
    bytes
}

#[test]
fn a_large_photo_is_held_once() {
    let limits = ImageLimits { bytes_max: 1 << 30, pixels_max: 2 * PIXELS };
    let cases = [
        ("a PNG with alpha", png(ExtendedColorType::Rgba8, 4), 4),
        ("a PNG of 16 bits", png(ExtendedColorType::Rgb16, 6), 6),
        ("a JPEG to be turned", lying_jpeg(), 3),
    ];
    for (what, bytes, bytes_per_pixel) in cases {
        let rise = rise(|| {
            let photo = decode_resized(&bytes, &limits, 224, 224).unwrap();
            assert_eq!((photo.width, photo.height), (224, 224));
        });
        let bound = PIXELS * bytes_per_pixel + SLACK;
        assert!(rise <= bound, "{what}: {rise} bytes, over {bound}");
    }
}
