//! Broken, hostile and foreign files: each is refused with its reason, and none panics.

use std::sync::LazyLock;

use image::{DynamicImage, GrayImage};
use natureddit_image::{Format, ImageLimits, decode, examine, inspect};
use proptest::prelude::*;

use crate::files::{
    animated_gif, animated_png, animated_webp, encode, flat_jpeg, huge_webp, scene, webp_with_a_larger_frame,
    webp_with_a_long_block, with_jpeg_size, with_png_size,
};
use crate::{LIMITS, outcome};

/// One good file of each format.
static VALID: LazyLock<[(Format, Vec<u8>); 5]> = LazyLock::new(|| {
    let formats = [Format::Jpeg, Format::Png, Format::WebP, Format::Gif, Format::Bmp];
    formats.map(|format| (format, encode(&scene(40, 30).into(), format, Some(6))))
});

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    for bytes in [encode(&scene(90, 60).into(), Format::Jpeg, Some(3)), flat_jpeg(&[1, 2, 3, 4], Some(2))] {
        assert_eq!(outcome(&bytes), "ok");
        for end in 3..bytes.len() {
            assert_eq!(outcome(&bytes[..end]), "truncated", "cut at {end} of {}", bytes.len());
        }
    }
}

#[test]
fn a_cut_file_of_any_format_is_refused_or_whole() {
    for (format, bytes) in &*VALID {
        let whole = decode(bytes, &LIMITS).unwrap();
        for end in 0..bytes.len() {
            if let Ok(photo) = decode(&bytes[..end], &LIMITS) {
                assert!(photo == whole, "{format} cut at {end} of {} shows a part", bytes.len());
            }
        }
        for percent in [50, 95] {
            let code = outcome(&bytes[..bytes.len() * percent / 100]);
            assert!(["truncated", "corrupt"].contains(&code), "{format} cut at {percent} %: {code}");
        }
    }
}

#[test]
fn trap_12_a_bomb_is_refused_by_its_header() {
    let small = scene(8, 8);
    let png = encode(&small.clone().into(), Format::Png, None);
    let jpeg = encode(&small.clone().into(), Format::Jpeg, None);
    let mut gif = encode(&small.clone().into(), Format::Gif, None);
    gif[6..10].fill(0xFF);
    let mut bmp = encode(&small.into(), Format::Bmp, None);
    bmp[18..22].copy_from_slice(&50_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&50_000_u32.to_le_bytes());
    let bombs =
        [with_png_size(png.clone(), 50_000, 50_000), with_jpeg_size(jpeg, 50_000, 50_000), gif, bmp, huge_webp()];
    for bomb in bombs {
        let error = inspect(&bomb, &LIMITS).unwrap_err();
        assert_eq!(error.code(), "too_many_pixels", "{error}");
        assert_eq!(decode(&bomb, &LIMITS).unwrap_err(), error);
    }
    assert_eq!(outcome(&with_png_size(png, 70_000, 2)), "side_too_long");
}

#[test]
fn a_webp_is_what_its_headers_say() {
    let error = inspect(&webp_with_a_larger_frame(), &LIMITS).unwrap_err();
    assert_eq!(error.to_string(), "the WebP cannot be decoded: the canvas and its frame differ in size");
    assert_eq!(inspect(&webp_with_a_long_block(), &LIMITS).unwrap_err().code(), "truncated");
}

#[test]
fn the_limits_hold_to_the_pixel_and_the_byte() {
    let bytes = encode(&scene(20, 10).into(), Format::Png, None);
    let size = bytes.len() as u64;
    let code = |bytes_max, pixels_max| {
        decode(&bytes, &ImageLimits { bytes_max, pixels_max }).map_or_else(|e| e.code(), |_| "ok")
    };
    assert_eq!(code(size, 200), "ok");
    assert_eq!(code(size - 1, 200), "too_many_bytes");
    assert_eq!(code(size, 199), "too_many_pixels");
}

#[test]
fn deep_colours_count_with_the_memory_they_take() {
    let limits = ImageLimits { bytes_max: 1 << 20, pixels_max: 300 };
    let code = |bytes: &[u8]| decode(bytes, &limits).map_or_else(|e| e.code(), |_| "ok");
    let deep = DynamicImage::new_rgba16(20, 10);
    assert_eq!(code(&encode(&deep, Format::Png, None)), "decoded_too_large");
    assert_eq!(code(&encode(&DynamicImage::new_rgba8(20, 10), Format::Png, None)), "ok");
}

#[test]
fn animations_are_refused_and_stills_of_their_kind_are_not() {
    for bytes in [animated_gif(), animated_png(), animated_webp()] {
        assert!(inspect(&bytes, &LIMITS).unwrap().animated);
        assert_eq!(outcome(&bytes), "animated");
    }
    assert_eq!(outcome(&encode(&scene(20, 10).into(), Format::Gif, None)), "ok");
}

#[test]
fn what_is_no_photo_gets_its_reason() {
    assert_eq!(outcome(b""), "empty");
    assert_eq!(outcome(b"<html><body>This image is gone</body></html>"), "html");
    assert_eq!(outcome(b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1"), "unsupported_format");
    assert_eq!(outcome(b"it was here a minute ago"), "not_an_image");
    assert_eq!(outcome(&[0xFF, 0xD8, 0xFF]), "truncated");
    assert_eq!(outcome(&with_jpeg_size(flat_jpeg(&[9], None), 8, 0)), "corrupt");
}

#[test]
fn damage_inside_a_png_is_noticed() {
    let grey: GrayImage = image::DynamicImage::from(scene(64, 64)).into_luma8();
    let mut bytes = encode(&grey.into(), Format::Png, None);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    assert_eq!(outcome(&bytes), "corrupt");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode(&bytes, &LIMITS).is_err());
    }

    #[test]
    fn random_bytes_behind_a_signature_never_panic(
        kind in 0_usize..5,
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (_, valid) = &VALID[kind];
        let mut file = valid[..18].to_vec();
        file.extend(bytes);
        let _ = decode(&file, &LIMITS);
    }

    #[test]
    fn changed_files_never_panic(
        kind in 0_usize..5,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let (_, mut file) = VALID[kind].clone();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let examined = examine(&file, &LIMITS);
        if let Ok(photo) = decode(&file, &LIMITS) {
            prop_assert_eq!(photo.rgb.len(), photo.width as usize * photo.height as usize * 3);
            let _ = (photo.resize(7, 9), photo.perceptual_hash());
        } else {
            prop_assert!(examined.is_err(), "damage that is only seen in colour");
        }
    }
}
