//! Beside `zune-jpeg`, which reads all of a file at its full size.

use std::io::Write as _;
use std::path::Path;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use natureddit_core::fs;
use proptest::prelude::*;

use super::*;
use crate::jpeg::Jpeg;
use crate::photo::Photo;
use crate::{ImageLimits, decode, normalise};

const LIMITS: ImageLimits = ImageLimits { bytes_max: 20_000_000, pixels_max: 50_000_000 };

/// Waves and an edge.
fn photo(width: u32, height: u32) -> Photo {
    let value = |x: u32, y: u32| {
        let (across, down) = (x as f32 / 9.0, y as f32 / 13.0);
        let edge = if x > width / 2 { 30.0 } else { 0.0 };
        [across.sin(), down.cos(), (across + down).sin()].map(|wave| (110.0 + 90.0 * wave + edge) as u8)
    };
    Photo { width, height, rgb: (0..width * height).flat_map(|at| value(at % width, at / width)).collect() }
}

fn encode(photo: &Photo, sampling: SamplingFactor, restart_interval: u16, is_progressive: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 92);
    encoder.set_sampling_factor(sampling);
    encoder.set_restart_interval(restart_interval);
    encoder.set_progressive(is_progressive);
    encoder.encode(&photo.rgb, photo.width as u16, photo.height as u16, ColorType::Rgb).unwrap();
    bytes
}

fn grey(photo: &Photo) -> Vec<u8> {
    let grey: Vec<u8> = photo.rgb.iter().copied().step_by(3).collect();
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 92).encode(&grey, photo.width as u16, photo.height as u16, ColorType::Luma).unwrap();
    bytes
}

fn files(photo: &Photo) -> Vec<Vec<u8>> {
    use SamplingFactor::{R_4_2_0, R_4_2_2, R_4_4_0, R_4_4_4};
    let mut files = vec![grey(photo), encode(photo, R_4_2_0, 3, false)];
    files.extend([R_4_2_0, R_4_2_2, R_4_4_0, R_4_4_4].map(|sampling| encode(photo, sampling, 0, false)));
    files
}

/// The luminance alone, without what is there to fill up whole units.
fn luma(planes: &Planes) -> Vec<u8> {
    let [width, height] = planes.luma_size.map(|side| side.ceil() as usize);
    planes.luma.samples.chunks(planes.luma.width).take(height).flat_map(|row| &row[..width]).copied().collect()
}

/// The largest difference, and the mean one.
fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
    assert_eq!(a.len(), b.len());
    let all = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (all().max().unwrap(), all().map(f64::from).sum::<f64>() / a.len() as f64)
}

#[test]
fn the_full_size_is_that_of_the_other_decoder() {
    for (width, height) in [(120, 80), (75, 33), (16, 8), (1, 1), (17, 90)] {
        for (at, file) in files(&photo(width, height)).iter().enumerate() {
            let planes = decode_at_least(file, (width, height), (width, height)).unwrap();
            let expected = Jpeg::open(file).unwrap().decode_brightness().unwrap();
            let (most, _) = difference(&luma(&planes), &expected);
            assert!(most <= 2, "file {at} of {width} x {height}: {most}");
            assert_eq!(planes.chroma.is_some(), at != 0);
        }
    }
}

#[test]
fn a_fraction_looks_as_the_whole_does() {
    let photo = photo(400, 304);
    for (at, file) in files(&photo).iter().enumerate() {
        for (eighths, allowed) in [(4, 1.5), (2, 4.0), (1, 8.0)] {
            let size = (400 * eighths / 8, 304 * eighths / 8);
            let planes = decode_at_least(file, (400, 304), size).unwrap();
            assert_eq!(planes.luma_size, [f64::from(size.0), f64::from(size.1)]);
            let whole = decode_at_least(file, (400, 304), (400, 304)).unwrap();
            let expected = whole.into_small(size, 1);
            let small = planes.into_small(size, 1);
            for (plane, expected) in small.planes().zip(expected.planes()) {
                let (_, mean) = difference(&plane.samples, &expected.samples);
                assert!(mean <= allowed, "file {at} at {eighths} eighths: {mean}");
            }
        }
    }
}

#[test]
fn no_side_is_decoded_below_what_is_wanted() {
    assert_eq!(fewest_eighths((4000, 3000), (1980, 1485)), 4);
    assert_eq!(fewest_eighths((4000, 3000), (2001, 1501)), 8);
    assert_eq!(fewest_eighths((4000, 3000), (500, 375)), 1);
    assert_eq!(fewest_eighths((4000, 30), (100, 5)), 2);
}

#[test]
fn what_is_not_the_common_case_is_left_to_the_other_decoder() {
    let photo = photo(90, 60);
    let is_taken = |file: &[u8]| decode_at_least(file, (90, 60), (45, 30)).is_some();
    let file = encode(&photo, SamplingFactor::R_4_2_0, 0, false);
    assert!(is_taken(&file));
    assert!(decode_at_least(&file, (90, 61), (45, 30)).is_none(), "another size");
    assert!(!is_taken(&encode(&photo, SamplingFactor::R_4_2_0, 0, true)), "progressive");
    assert!(!is_taken(&encode(&photo, SamplingFactor::R_4_1_1, 0, false)), "colours at a quarter");
    let adobe = |transform| [&file[..2], b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0", &[transform], &file[2..]].concat();
    assert!(is_taken(&adobe(1)));
    assert!(!is_taken(&adobe(0)), "RGB");
}

#[test]
fn damage_is_left_to_the_other_decoder() {
    let file = encode(&photo(90, 60), SamplingFactor::R_4_2_0, 4, false);
    let is_taken = |file: &[u8]| decode_at_least(file, (90, 60), (90, 60)).is_some();
    assert!(is_taken(&file));
    assert!(is_taken(&[&file[..], &[0; 5]].concat()), "padding behind the end");
    for cut in 2..file.len() {
        assert!(!is_taken(&file[..cut]), "cut at {cut}");
        assert!(!is_taken(&[&file[..cut], &[0xFF, 0xD9]].concat()) || cut == file.len() - 2, "ended at {cut}");
    }
    let end = file.len() - 2;
    assert!(!is_taken(&[&file[..end], &[0x55, 0xFF, 0xD9]].concat()), "more data than blocks");
    let marker = file.windows(2).position(|pair| pair == [0xFF, 0xD1]).unwrap();
    let mut other = file.clone();
    other[marker + 1] = 0xD2;
    assert!(!is_taken(&other), "a wrong restart marker");
    other.drain(marker..marker + 2);
    assert!(!is_taken(&other), "a restart marker is missing");
}

#[test]
fn real_photos_look_the_same_by_either_decoder() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/photos"));
    if !folder.exists() {
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there", folder.display());
        return;
    }
    let files = ["fauna", "flora", "landscape"].map(|class| fs::walk(&folder.join(class)).unwrap()).concat();
    let (mut taken, mut sum) = (0, 0.0);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        let Ok(jpeg) = Jpeg::open(&bytes) else { continue };
        let size = jpeg.dimensions();
        if let Some(planes) = decode_at_least(&bytes, size, size) {
            taken += 1;
            let expected = jpeg.decode_brightness().unwrap();
            let (most, mean) = difference(&luma(&planes), &expected);
            assert!(most <= 3 && mean < 0.5, "{}: {most}, {mean}", path.display());
            let half = size.0.max(size.1) / 2;
            let shrunk = normalise(&bytes, &LIMITS, half, 95).unwrap();
            let shrunk = decode(&shrunk.bytes, &LIMITS).unwrap();
            let expected = decode(&bytes, &LIMITS).unwrap().fit_within(half);
            let (_, mean) = difference(&shrunk.rgb, &expected.rgb);
            // The filter of the whole is softer than the transform, which shows in leaves and feathers.
            assert!(mean < 12.0, "{}: {mean}", path.display());
            sum += mean;
        }
    }
    assert!(taken > 300, "{taken}");
    let mean = sum / f64::from(taken);
    assert!(mean < 3.5, "{mean}, {taken}");
}

proptest! {
    #[test]
    fn changed_files_never_panic_and_what_is_taken_is_good(
        kind in 0_usize..6,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut file = files(&photo(40, 30)).swap_remove(kind);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        for target in [(40, 30), (20, 15), (10, 8), (5, 4)] {
            let planes = decode_at_least(&file, (40, 30), target);
            if let Some(planes) = planes && let Ok(jpeg) = Jpeg::open(&file) && jpeg.has_brightness() {
                let expected = jpeg.decode_brightness();
                prop_assert!(expected.is_ok(), "{expected:?}");
                if target == (40, 30) {
                    let (most, _) = difference(&luma(&planes), &expected.unwrap());
                    prop_assert!(most <= 4, "{most}");
                }
                prop_assert!(!planes.into_small((11, 7), 6).into_jpeg(90).0.is_empty());
            }
        }
    }
}
