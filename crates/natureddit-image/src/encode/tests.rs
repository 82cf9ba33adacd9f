//! Beside `jpeg-encoder`, which makes the same files, and `zune-jpeg`, which reads them.

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};
use proptest::prelude::*;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::*;

/// What `jpeg-encoder` takes: planes pixel by pixel.
struct Pixels<'a>(&'a Plane, Option<&'a [Plane; 2]>);

impl ImageBuffer for Pixels<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.0.width as u16
    }

    fn height(&self) -> u16 {
        self.0.height() as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let y = usize::from(y);
        for x in 0..self.0.width {
            let sample = |plane: &Plane, x, y| plane.samples[y * plane.width + x];
            let colour = |at: usize| self.1.map_or(128, |planes| sample(&planes[at], x / 2, y / 2));
            for (buffer, value) in buffers.iter_mut().zip([sample(self.0, x, y), colour(0), colour(1)]) {
                buffer.push(value);
            }
        }
    }
}

fn expected(luma: &Plane, chroma: Option<&[Plane; 2]>, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode_image(Pixels(luma, chroma)).unwrap();
    bytes
}

fn plane(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Plane {
    Plane { width, samples: (0..width * height).map(|at| value(at % width, at / width)).collect() }
}

/// Luminance and colours of waves, an edge and a little noise.
fn planes(width: usize, height: usize) -> (Plane, [Plane; 2]) {
    let wave = |x: usize, y: usize, speed: f32| 128.0 + 90.0 * (x as f32 / speed).sin() * (y as f32 / 7.0).cos();
    let edge = |x: usize| if x > width / 3 { 25 } else { 0 };
    let luma = plane(width, height, |x, y| wave(x, y, 5.0) as u8 + edge(x) + (x * y * 7919 % 11) as u8);
    let chroma = [9.0, 13.0].map(|speed| {
        plane(width.div_ceil(2), height.div_ceil(2), |x, y| wave(x, y, speed) as u8 + (x * y * 131 % 7) as u8)
    });
    (luma, chroma)
}

/// In strict mode, which takes nothing that is odd.
fn brightness(file: &[u8]) -> Vec<u8> {
    let options = DecoderOptions::new_fast().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::Luma);
    JpegDecoder::new_with_options(ZCursor::new(file), options).decode().unwrap()
}

const SIZES: [(usize, usize); 9] = [(1, 1), (7, 9), (8, 8), (16, 16), (17, 33), (2, 90), (90, 2), (100, 62), (160, 99)];

#[test]
fn files_are_those_of_the_other_encoder() {
    for (width, height) in SIZES {
        let (luma, chroma) = planes(width, height);
        for quality in [1, 10, 49, 50, 75, 88, 95, 100] {
            for chroma in [None, Some(&chroma)] {
                let (file, seen) = to_jpeg(&luma, chroma, quality);
                assert!(file == expected(&luma, chroma, quality), "{width} x {height} of quality {quality}");
                assert!(seen.samples == brightness(&file), "{width} x {height} of quality {quality}");
            }
        }
    }
}

#[test]
fn samples_are_read_back_but_for_what_is_rounded_away() {
    for (width, height) in SIZES {
        let (luma, chroma) = planes(width, height);
        for (quality, allowed) in [(100, 1.0), (95, 3.0), (75, 9.0), (30, 14.0)] {
            let (file, _) = to_jpeg(&luma, Some(&chroma), quality);
            assert!(file.ends_with(&[0xFF, EOI]) && !file.ends_with(&[0xFF, EOI, 0xFF, EOI]));
            let read = brightness(&file);
            assert_eq!(read.len(), luma.samples.len());
            let squares = read.iter().zip(&luma.samples).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
            let apart = (squares.sum::<f64>() / read.len() as f64).sqrt();
            assert!(apart <= allowed, "{width} x {height} of quality {quality}: {apart}");
        }
    }
}

#[test]
fn colours_are_read_back_and_go_on_behind_the_edges() {
    for (width, height) in [(40, 26), (33, 17), (1, 1), (2, 2)] {
        let luma = plane(width, height, |_, _| 120);
        let chroma = [90, 200].map(|value| plane(width.div_ceil(2), height.div_ceil(2), |_, _| value));
        let (file, _) = to_jpeg(&luma, Some(&chroma), 90);
        let size = (width as u32, height as u32);
        let read = crate::baseline::decode_at_least(&file, size, size).unwrap();
        let planes = [&read.luma, &read.chroma.as_ref().unwrap()[0], &read.chroma.as_ref().unwrap()[1]];
        for (plane, value) in planes.into_iter().zip([120_u8, 90, 200]) {
            // What fills up the last units, too: another colour there would show inside.
            assert!(plane.samples.iter().all(|sample| sample.abs_diff(value) <= 1), "{width} x {height}");
        }
    }
}

#[test]
fn the_scan_has_stuffed_bytes_and_no_marker() {
    // Of the best quality noise takes long codes, in which ones abound.
    let luma = plane(64, 64, |x, y| if (x * 31 + y * 57 + x * y * 7) % 5 < 2 { 255 } else { 0 });
    let (file, _) = to_jpeg(&luma, None, 100);
    let start = file.windows(2).position(|pair| pair == [0xFF, SOS]).unwrap() + 14;
    let scan = &file[start..file.len() - 2];
    let behind: Vec<u8> = scan.windows(2).filter(|pair| pair[0] == 0xFF).map(|pair| pair[1]).collect();
    assert!(behind.len() > 20 && behind.iter().all(|&byte| byte == 0), "{behind:?}");
    assert_eq!(brightness(&file).len(), 64 * 64);
}

#[test]
fn the_sharpest_edges_are_seen_as_others_see_them() {
    // Where what is calculated with 16 bits is largest: the samples of each coefficient at its most, and coarsely rounded.
    let wave = |k: usize, at: usize| ((2 * at + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
    for (across, down) in (0..64).map(|at| (at % 8, at / 8)) {
        let luma = plane(16, 16, |x, y| {
            let is_dark = wave(across, x % 8) * wave(down, y % 8) > 0.0;
            if is_dark == (x < 8) { 0 } else { 255 }
        });
        for quality in [1, 10, 50, 90] {
            let (file, seen) = to_jpeg(&luma, None, quality);
            assert!(seen.samples == brightness(&file), "{across}, {down} of quality {quality}");
        }
    }
}

proptest! {
    #[test]
    fn any_samples_are_read_in_strict_mode_and_are_those_of_the_other_encoder(
        (width, height) in (1_usize..50, 1_usize..50),
        quality in 1_u8..=100,
        kind in 0_usize..4,
        seed in any::<u64>(),
    ) {
        // From flat to nothing but extremes.
        let value = |x: usize, y: usize, salt: u64| {
            let mixed = (seed ^ salt).wrapping_add((x * 1009 + y) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let noise = ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8;
            [salt as u8, noise % 16 + 100, noise, if noise < 128 { 0 } else { 255 }][kind]
        };
        let luma = plane(width, height, |x, y| value(x, y, 1));
        let chroma = [2, 3].map(|salt| plane(width.div_ceil(2), height.div_ceil(2), |x, y| value(x, y, salt)));
        for chroma in [None, Some(&chroma)] {
            let (file, seen) = to_jpeg(&luma, chroma, quality);
            prop_assert_eq!((seen.width, seen.height()), (width, height));
            prop_assert!(seen.samples == brightness(&file));
            prop_assert!(file == expected(&luma, chroma, quality));
        }
    }
}
