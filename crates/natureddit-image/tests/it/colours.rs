//! Colour profiles: what a person sees does not depend on the values a file says it with.

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use moxcms::ColorProfile;
use natureddit_image::{Format, Photo, decode, normalise};
use proptest::prelude::*;

use crate::files::{encode, flat_jpeg, ink_profile, scene, with_icc_segment, with_profile};
use crate::{LIMITS, difference};

const WITH_PROFILES: [Format; 3] = [Format::Jpeg, Format::Png, Format::WebP];

fn profile(profile: &ColorProfile) -> Vec<u8> {
    profile.encode().unwrap()
}

fn flat(rgb: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(16, 16, Rgb(rgb)).into()
}

fn shown(bytes: &[u8]) -> Photo {
    decode(bytes, &LIMITS).unwrap()
}

/// By the published matrix; both spaces have the same curve.
fn from_display_p3(rgb: [u8; 3]) -> [u8; 3] {
    const MATRIX: [[f64; 3]; 3] =
        [[1.224_940, -0.224_940, 0.0], [-0.042_057, 1.042_057, 0.0], [-0.019_638, -0.078_636, 1.098_274]];
    let light = rgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    MATRIX.map(|row| {
        let light = row.iter().zip(light).map(|(m, l)| m * l).sum::<f64>().clamp(0.0, 1.0);
        let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        (value * 255.0).round() as u8
    })
}

#[test]
fn wide_colours_are_brought_to_srgb() {
    let p3 = profile(&ColorProfile::new_display_p3());
    for rgb in [[200, 60, 40], [30, 120, 60], [90, 90, 200], [128; 3], [255; 3]] {
        for format in WITH_PROFILES {
            let photo = shown(&with_profile(&flat(rgb), format, p3.clone()));
            let tolerance = if format == Format::Jpeg { 5 } else { 2 };
            let expected = from_display_p3(rgb);
            assert!(
                difference(&photo.rgb[..3], &expected) <= tolerance,
                "{format}: {:?} {expected:?}",
                &photo.rgb[..3]
            );
        }
    }
    assert_eq!(from_display_p3([200, 60, 40]), [217, 42, 23]);
}

#[test]
fn grey_has_profiles_of_its_own() {
    let linear = profile(&ColorProfile::new_gray_with_gamma(1.0));
    let grey: DynamicImage = GrayImage::from_pixel(16, 16, Luma([128])).into();
    for format in [Format::Jpeg, Format::Png] {
        let photo = shown(&with_profile(&grey, format, linear.clone()));
        assert!(difference(&photo.rgb, &[188; 16 * 16 * 3]) <= 2, "{format}: {:?}", &photo.rgb[..3]);
    }
    // A profile of grey says nothing of colours.
    let photo = shown(&with_profile(&flat([128, 3, 200]), Format::Png, linear));
    assert_eq!(photo.rgb[..3], [128, 3, 200]);
}

#[test]
fn srgb_and_damaged_profiles_change_nothing() {
    let scene = DynamicImage::from(scene(61, 47));
    let p3 = profile(&ColorProfile::new_display_p3());
    let srgb = profile(&ColorProfile::new_srgb());
    for format in WITH_PROFILES {
        let plain = shown(&encode(&scene, format, None));
        for icc in [srgb.clone(), p3[..p3.len() / 2].to_vec(), vec![7; 300]] {
            assert!(shown(&with_profile(&scene, format, icc)) == plain, "{format}");
        }
        assert!(shown(&with_profile(&scene, format, p3.clone())) != plain, "{format}");
    }
}

/// Process cyan is no mixture of light: its Lab colour of 55, -37, -50 is 0, 151, 218 in sRGB (Lindbloom's formulas).
#[test]
fn inks_are_seen_as_their_profile_says() {
    let icc = ink_profile([55, -37, -50]);
    let near = |bytes: &[u8], expected: [u8; 3]| {
        let photo = shown(&with_icc_segment(bytes, &icc));
        assert!(difference(&photo.rgb[..3], &expected) <= 6, "{:?} is not {expected:?}", &photo.rgb[..3]);
    };
    // The values of the file are inverted: 0 is a full ink.
    near(&flat_jpeg(&[255, 255, 255, 255], Some(0)), [255; 3]);
    near(&flat_jpeg(&[0, 255, 255, 255], Some(0)), CYAN);
    near(&flat_jpeg(&[255, 255, 255, 0], Some(0)), [0; 3]);
    // The same as YCCK: pure cyan is red by the formula of luminance and colour.
    near(&flat_jpeg(&[0, 128, 128, 255], Some(2)), [255; 3]);
    near(&flat_jpeg(&[76, 85, 255, 255], Some(2)), CYAN);
}

const CYAN: [u8; 3] = [0, 151, 218];

#[test]
fn trap_16_a_photo_that_is_encoded_again_is_in_srgb_and_any_other_as_it_came() {
    let wide = with_profile(&flat([200, 60, 40]), Format::Png, profile(&ColorProfile::new_display_p3()));
    assert_eq!(normalise(&wide, &LIMITS, 16, 95).unwrap().bytes, wide);
    let small = normalise(&wide, &LIMITS, 8, 95).unwrap();
    assert!(difference(&shown(&small.bytes).rgb[..3], &from_display_p3([200, 60, 40])) <= 5);
}

proptest! {
    #[test]
    fn no_profile_spoils_a_picture(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        ink: bool,
    ) {
        let mut icc = if ink { ink_profile([55, -37, -50]) } else { profile(&ColorProfile::new_display_p3()) };
        for (at, byte) in changes {
            let at = at.index(icc.len());
            icc[at] = byte;
        }
        let jpeg = if ink { flat_jpeg(&[0, 255, 255, 255], Some(0)) } else { flat_jpeg(&[76, 85, 255], None) };
        let photo = decode(&with_icc_segment(&jpeg, &icc), &LIMITS).unwrap();
        prop_assert_eq!(photo.rgb.len(), 8 * 8 * 3);
    }
}
