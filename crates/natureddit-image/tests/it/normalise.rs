//! What of a photo a dataset stores.

use std::borrow::Cow;

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};
use moxcms::ColorProfile;
use natureddit_core::ContentHash;
use natureddit_image::{Format, PerceptualHash, Photo, decode, examine, inspect, normalise};

use crate::LIMITS;
use crate::files::{encode, flat_jpeg, scene, with_profile};

#[test]
fn a_small_photo_is_stored_as_it_came() {
    let clear = DynamicImage::from(RgbaImage::from_pixel(60, 40, Rgba([9, 9, 9, 60])));
    let scene = DynamicImage::from(scene(60, 40));
    for format in [Format::Jpeg, Format::Png, Format::WebP] {
        let turned = encode(&scene, format, Some(6));
        let mut files = vec![(encode(&scene, format, Some(1)), (60, 40)), (turned, (40, 60))];
        if format != Format::Jpeg {
            files.push((encode(&clear, format, None), (60, 40)));
        }
        for (bytes, size) in files {
            let stored = normalise(&bytes, &LIMITS, 60, 90).unwrap();
            assert!(matches!(stored.bytes, Cow::Borrowed(_)), "{format}");
            assert_eq!(stored.bytes, bytes);
            assert_eq!((stored.extension, stored.width, stored.height), (format.extension(), size.0, size.1));
            assert_eq!(stored.content_hash, ContentHash::of(&bytes));
            let (info, hash) = examine(&bytes, &LIMITS).unwrap();
            assert_eq!((info, hash), (inspect(&bytes, &LIMITS).unwrap(), stored.perceptual_hash));
            let distance = hash.distance(decode(&bytes, &LIMITS).unwrap().perceptual_hash());
            assert!(distance <= 6, "{format}: {distance} bits differ");
        }
    }
}

#[test]
fn any_other_becomes_an_upright_opaque_small_jpeg() {
    let scene = scene(60, 40);
    let clear = RgbaImage::from_pixel(60, 40, Rgba([0, 0, 0, 0]));
    let files = [
        (encode(&scene.clone().into(), Format::Jpeg, Some(6)), 30, (20, 30)),
        (encode(&scene.clone().into(), Format::Jpeg, None), 30, (30, 20)),
        (encode(&DynamicImage::from(clear), Format::Png, None), 30, (30, 20)),
        (encode(&scene.clone().into(), Format::Gif, None), 60, (60, 40)),
        (encode(&scene.into(), Format::Bmp, None), 60, (60, 40)),
    ];
    for (at, (bytes, long_side_max, size)) in files.into_iter().enumerate() {
        let stored = normalise(&bytes, &LIMITS, long_side_max, 90).unwrap();
        assert_eq!((stored.width, stored.height), size);
        assert_eq!(stored.extension, "jpg");
        let photo = decode(&stored.bytes, &LIMITS).unwrap();
        assert_eq!((photo.width, photo.height), size);
        assert_eq!(inspect(&stored.bytes, &LIMITS).unwrap().orientation, 1);
        assert_eq!(photo.rgb.iter().all(|&value| value >= 250), at == 2, "only what is clear is white");
        let again = normalise(&stored.bytes, &LIMITS, long_side_max, 90).unwrap();
        assert_eq!(again, stored, "normalising twice changes nothing");
    }
}

#[test]
fn a_shrunk_photo_looks_as_the_whole_does() {
    let photo = DynamicImage::from(waves(320, 200, 1.5));
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let mut files: Vec<_> = (1..=8).map(|orientation| encode(&photo, Format::Jpeg, Some(orientation))).collect();
    files.push(with_profile(&photo, Format::Jpeg, p3));
    files.push(encode(&photo.to_luma8().into(), Format::Jpeg, None));
    for adobe in [Some(0), Some(2)] {
        files.push(flat_jpeg(&[200, 150, 90, 220], adobe));
    }
    files.push(flat_jpeg(&[200, 90, 30], Some(0)));
    for (at, bytes) in files.iter().enumerate() {
        let whole = decode(bytes, &LIMITS).unwrap();
        for eighths in [2, 3, 4, 7] {
            let long_side_max = whole.width.max(whole.height) * eighths / 8 - 1;
            let expected = whole.clone().fit_within(long_side_max);
            let stored = normalise(bytes, &LIMITS, long_side_max, 98).unwrap();
            let shrunk = decode(&stored.bytes, &LIMITS).unwrap();
            assert_eq!((shrunk.width, shrunk.height), (expected.width, expected.height), "file {at}");
            let difference = mean_difference(&shrunk, &expected);
            assert!(difference <= 8.0, "file {at} at {eighths} eighths: {difference}");
        }
    }
    let shown = |photo: DynamicImage| decode(&encode(&photo, Format::Png, None), &LIMITS).unwrap();
    assert!(mean_difference(&shown(photo.fliph()), &shown(photo)) > 16.0, "what lies on its side is told");
}

/// Of all values, for colours at half the size are blurred where they meet.
fn mean_difference(a: &Photo, b: &Photo) -> f64 {
    assert_eq!(a.rgb.len(), b.rgb.len());
    let sum: f64 = a.rgb.iter().zip(&b.rgb).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.rgb.len() as f64
}

/// Waves of several lengths: like a photo, something at every frequency.
fn waves(width: u32, height: u32, seed: f32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = |k: f32| ((k * 2.3 + seed) * x * 5.0 + (seed * 1.7 - k) * y * 4.0 + k * seed).sin();
        let value = (128.0 + 25.0 * (1..=5).map(|k| wave(k as f32)).sum::<f32>()).clamp(0.0, 255.0);
        Rgb([value as u8, value as u8 / 2, 255 - value as u8])
    })
}

#[test]
fn copies_hash_near_and_other_photos_far() {
    let hash = |bytes: &[u8]| decode(bytes, &LIMITS).unwrap().perceptual_hash();
    let photo = DynamicImage::from(waves(400, 300, 1.0));
    let original = hash(&encode(&photo, Format::Png, None));
    let copy = photo.resize_exact(200, 150, FilterType::Lanczos3);
    assert!(original.distance(hash(&encode(&copy, Format::Jpeg, None))) <= 4);
    let others = [photo.fliph(), photo.flipv(), waves(400, 300, 2.0).into()];
    for other in others {
        assert!(original.distance(hash(&encode(&other, Format::Png, None))) >= 12);
    }
}

#[test]
fn a_perceptual_hash_survives_its_text() {
    let hash = decode(&encode(&scene(50, 50).into(), Format::Png, None), &LIMITS).unwrap().perceptual_hash();
    assert_eq!(hash.to_string().parse(), Ok(hash));
    for text in ["123", "+123456789abcdef", "0123456789abcdeg"] {
        assert!(text.parse::<PerceptualHash>().is_err());
    }
}
