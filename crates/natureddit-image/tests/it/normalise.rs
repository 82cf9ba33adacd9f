//! What of a photo a dataset stores.

use std::borrow::Cow;

use image::{DynamicImage, Rgba, RgbaImage};
use natureddit_core::ContentHash;
use natureddit_image::{Format, decode, normalise};

use crate::LIMITS;
use crate::files::{encode, scene};

#[test]
fn a_good_file_is_stored_as_it_came() {
    for format in [Format::Jpeg, Format::Png, Format::WebP] {
        let bytes = encode(&scene(60, 40).into(), format, Some(1));
        let stored = normalise(&bytes, &LIMITS, 60, 90).unwrap();
        assert!(matches!(stored.bytes, Cow::Borrowed(_)), "{format}");
        assert_eq!(stored.bytes, bytes);
        assert_eq!((stored.extension, stored.width, stored.height), (format.extension(), 60, 40));
        assert_eq!(stored.content_hash, ContentHash::of(&bytes));
    }
}

#[test]
fn any_other_becomes_an_upright_opaque_small_jpeg() {
    let scene = scene(60, 40);
    let half = RgbaImage::from_pixel(60, 40, Rgba([0, 0, 0, 0]));
    let files = [
        (encode(&scene.clone().into(), Format::Jpeg, Some(6)), 60, (40, 60)),
        (encode(&scene.clone().into(), Format::Jpeg, None), 30, (30, 20)),
        (encode(&DynamicImage::from(half), Format::Png, None), 60, (60, 40)),
        (encode(&scene.clone().into(), Format::Gif, None), 60, (60, 40)),
        (encode(&scene.into(), Format::Bmp, None), 60, (60, 40)),
    ];
    for (bytes, long_side_max, size) in files {
        let stored = normalise(&bytes, &LIMITS, long_side_max, 90).unwrap();
        assert_eq!((stored.width, stored.height), size);
        assert_eq!(stored.extension, "jpg");
        let photo = decode(&stored.bytes, &LIMITS).unwrap();
        assert_eq!((photo.width, photo.height), size);
        let again = normalise(&stored.bytes, &LIMITS, long_side_max, 90).unwrap();
        assert_eq!(again, stored, "normalising twice changes nothing");
    }
}

#[test]
fn copies_hash_near_and_other_photos_far() {
    let scene = scene(400, 300);
    let hash = |bytes: &[u8]| decode(bytes, &LIMITS).unwrap().perceptual_hash();
    let original = hash(&encode(&scene.clone().into(), Format::Png, None));
    let copy = DynamicImage::from(scene.clone()).resize_exact(200, 150, image::imageops::FilterType::Lanczos3);
    assert!(original.distance(hash(&encode(&copy, Format::Jpeg, None))) <= 6);
    let mirrored = DynamicImage::from(scene).fliph();
    assert!(original.distance(hash(&encode(&mirrored, Format::Png, None))) >= 16);
    assert_eq!(original.to_string().parse(), Ok(original));
    assert!("123".parse::<natureddit_image::PerceptualHash>().is_err());
    assert!("+123456789abcdef".parse::<natureddit_image::PerceptualHash>().is_err());
}
