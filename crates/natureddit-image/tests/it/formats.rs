//! Whole files: what they show does not depend on how they are stored.

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, LumaA, Rgb, Rgba, RgbaImage};
use natureddit_image::{Format, Photo, decode, decode_resized, inspect};

use crate::files::{encode, flat_jpeg, scene};
use crate::{LIMITS, difference};

const ALL: [Format; 5] = [Format::Jpeg, Format::Png, Format::WebP, Format::Gif, Format::Bmp];

fn pixel(photo: &Photo, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * photo.width + x) * 3) as usize;
    photo.rgb[at..at + 3].try_into().unwrap()
}

#[test]
fn every_format_shows_the_same_scene() {
    let scene = scene(61, 47);
    for format in ALL {
        let bytes = encode(&scene.clone().into(), format, None);
        let info = inspect(&bytes, &LIMITS).unwrap();
        assert_eq!((info.format, info.width, info.height), (format, 61, 47));
        assert_eq!((info.orientation, info.animated), (1, false));
        let photo = decode(&bytes, &LIMITS).unwrap();
        assert_eq!((photo.width, photo.height), (61, 47));
        let tolerance = match format {
            Format::Jpeg => 40,
            Format::Gif => 64,
            _ => 0,
        };
        assert!(difference(&photo.rgb, scene.as_raw()) <= tolerance, "{format}");
    }
}

#[test]
fn grey_and_deep_pixels_become_rgb_of_eight_bits() {
    let grey = GrayImage::from_fn(32, 16, |x, y| image::Luma([(x * 7 + y) as u8]));
    let deep: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_fn(32, 16, |x, _| Rgb([x as u16 * 2000, 65535, 0]));
    for format in [Format::Jpeg, Format::Png, Format::Bmp] {
        let photo = decode(&encode(&grey.clone().into(), format, None), &LIMITS).unwrap();
        let [red, green, blue] = pixel(&photo, 20, 3);
        assert_eq!((red, green), (green, blue), "{format}");
        assert!(red.abs_diff(143) <= 3, "{format}: {red}");
    }
    let photo = decode(&encode(&DynamicImage::ImageRgb16(deep), Format::Png, None), &LIMITS).unwrap();
    assert_eq!(pixel(&photo, 30, 5), [233, 255, 0]);
}

#[test]
fn transparency_is_put_on_white() {
    let faint = RgbaImage::from_fn(8, 8, |x, _| if x < 4 { Rgba([200, 0, 0, 0]) } else { Rgba([0, 0, 0, 128]) });
    for format in [Format::Png, Format::WebP, Format::Gif] {
        let bytes = encode(&faint.clone().into(), format, None);
        assert!(inspect(&bytes, &LIMITS).unwrap().has_alpha, "{format}");
        let photo = decode(&bytes, &LIMITS).unwrap();
        assert_eq!(pixel(&photo, 1, 1), [255; 3], "{format}");
        // A GIF knows no half transparency.
        if format != Format::Gif {
            assert_eq!(pixel(&photo, 6, 6), [127; 3], "{format}");
        }
    }
    let grey = GrayAlphaImage::from_pixel(4, 4, LumaA([0, 51]));
    let photo = decode(&encode(&grey.into(), Format::Png, None), &LIMITS).unwrap();
    assert_eq!(pixel(&photo, 2, 2), [204; 3]);
}

#[test]
fn every_orientation_is_turned_upright() {
    /// Where the first and the last pixel of the first stored row are seen, by the EXIF specification.
    const CORNERS: [(&str, &str); 8] = [
        ("top left", "top right"),
        ("top right", "top left"),
        ("bottom right", "bottom left"),
        ("bottom left", "bottom right"),
        ("top left", "bottom left"),
        ("top right", "bottom right"),
        ("bottom right", "top right"),
        ("bottom left", "top left"),
    ];
    let mut stored = image::RgbImage::from_pixel(64, 32, Rgb([128; 3]));
    for (x, y) in (0..16).flat_map(|x| (0..16).map(move |y| (x, y))) {
        stored.put_pixel(x, y, Rgb([255, 0, 0]));
        stored.put_pixel(63 - x, y, Rgb([0, 0, 255]));
    }
    let corner = |photo: &Photo, name: &str| {
        let x = if name.ends_with("left") { 4 } else { photo.width - 5 };
        let y = if name.starts_with("top") { 4 } else { photo.height - 5 };
        pixel(photo, x, y)
    };
    for format in [Format::Jpeg, Format::Png, Format::WebP] {
        for (orientation, (red, blue)) in (1..).zip(CORNERS) {
            let bytes = encode(&stored.clone().into(), format, Some(orientation));
            let info = inspect(&bytes, &LIMITS).unwrap();
            assert_eq!(info.orientation, orientation, "{format}");
            let photo = decode(&bytes, &LIMITS).unwrap();
            assert_eq!((info.width, info.height), (photo.width, photo.height));
            assert_eq!(photo.width < photo.height, orientation >= 5);
            assert!(difference(&corner(&photo, red), &[255, 0, 0]) < 8, "{format} {orientation}: red at {red}");
            assert!(difference(&corner(&photo, blue), &[0, 0, 255]) < 8, "{format} {orientation}: blue at {blue}");
        }
    }
}

#[test]
fn resizing_before_turning_shows_the_same() {
    let scene = scene(122, 94);
    for orientation in 1..=8 {
        let bytes = encode(&scene.clone().into(), Format::Png, Some(orientation));
        let whole = decode(&bytes, &LIMITS).unwrap();
        for (width, height) in [(31, 20), (224, 224), (whole.width, whole.height)] {
            let resized = decode_resized(&bytes, &LIMITS, width, height).unwrap();
            assert_eq!((resized.width, resized.height), (width, height));
            assert!(
                difference(&resized.rgb, &whole.resize(width, height).rgb) <= 2,
                "{orientation}: {width} x {height}"
            );
        }
    }
}

#[test]
fn jpeg_colour_models_are_told_apart() {
    let shown = |bytes: &[u8]| pixel(&decode(bytes, &LIMITS).unwrap(), 3, 3);
    let near = |bytes: &[u8], expected: [u8; 3]| {
        let shown = shown(bytes);
        assert!(difference(&shown, &expected) <= 2, "{shown:?} is not {expected:?}");
    };
    near(&flat_jpeg(&[77], None), [77; 3]);
    near(&flat_jpeg(&[77], Some(0)), [77; 3]);
    // Pure red: Y = 76, Cb = 85, Cr = 255.
    near(&flat_jpeg(&[76, 85, 255], None), [254, 0, 0]);
    near(&flat_jpeg(&[76, 85, 255], Some(1)), [254, 0, 0]);
    // Inverted cyan, magenta, yellow and black: the value is what the ink lets through.
    near(&flat_jpeg(&[255, 128, 0, 255], Some(0)), [255, 128, 0]);
    near(&flat_jpeg(&[255, 128, 0, 128], Some(0)), [128, 64, 0]);
    near(&flat_jpeg(&[255, 128, 0, 255], None), [255, 128, 0]);
    // The same as YCCK: Y, Cb and Cr are those of 255 less the inverted inks.
    near(&flat_jpeg(&[76, 85, 255, 255], Some(2)), [1, 255, 255]);
    near(&flat_jpeg(&[76, 85, 255, 128], Some(2)), [0, 128, 128]);
}
