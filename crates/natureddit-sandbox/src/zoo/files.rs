//! The files of the zoo.

use std::io::Cursor;
use std::sync::LazyLock;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, ImageResult, RgbImage, imageops};

use super::jpeg::{Jpeg, segment};
use super::png::{Png, data};
use super::{ZooExpected, ZooFile};
use crate::picture::{Encoding, Picture, Spoilt, jpeg, web_page, with_orientation, with_size};
use crate::scene::Kind;
use crate::stored::zlib;

/// The size of a picture that has no other.
const SIDES: (u32, u32) = (240, 160);
/// That of the notice for a picture that is gone: its data is stored, and the real one's 161 x 81 would not fit.
const REMOVED_SIDES: (u32, u32) = (81, 21);

static FILES: LazyLock<Vec<ZooFile>> = LazyLock::new(|| make().unwrap_or_else(|error| panic!("no zoo: {error}")));

pub(super) fn all() -> Vec<ZooFile> {
    FILES.clone()
}

fn file(name: &str, bytes: Vec<u8>, expected: ZooExpected) -> ZooFile {
    ZooFile { name: name.to_owned(), bytes, expected }
}

fn photo(name: &str, bytes: Vec<u8>, (width, height): (u32, u32)) -> ZooFile {
    file(name, bytes, ZooExpected::Photo { width, height })
}

fn make() -> ImageResult<Vec<ZooFile>> {
    let picture = Picture {
        seed: 5,
        kind: Kind::Fauna,
        subject: 3,
        width: SIDES.0,
        height: SIDES.1,
        encoding: Encoding::Jpeg { quality: 90 },
    };
    let upright = picture.draw();
    let mut files = turned(&upright)?;
    files.extend(jpegs(&upright)?);
    files.extend(pngs());
    files.extend(other_formats(&picture, &upright)?);
    files.extend(shapes());
    files.extend(sizes(&upright)?);
    files.extend(broken(&picture, &upright)?);
    Ok(files)
}

/// JPEGs whose pixels lie in each of the eight ways that EXIF knows.
fn turned(upright: &RgbImage) -> ImageResult<Vec<ZooFile>> {
    let one = |orientation: u8| {
        let stored = match orientation {
            2 => imageops::flip_horizontal(upright),
            3 => imageops::rotate180(upright),
            4 => imageops::flip_vertical(upright),
            5 => imageops::flip_horizontal(&imageops::rotate90(upright)),
            6 => imageops::rotate270(upright),
            7 => imageops::flip_horizontal(&imageops::rotate270(upright)),
            8 => imageops::rotate90(upright),
            _ => upright.clone(),
        };
        let bytes = with_orientation(&jpeg(&stored, 90)?, orientation);
        Ok(photo(&format!("exif-{orientation}.jpg"), bytes, SIDES))
    };
    (1..=8).map(one).collect()
}

/// A block's value in a component, the same in every file.
fn tile(column: u16, row: u16, component: u8) -> u8 {
    let (x, y) = (u32::from(column), u32::from(row));
    match component {
        0 => (60 + (x * 37 + y * 91) % 140) as u8,
        1 => (90 + (x * 5 + y * 11) % 70) as u8,
        2 => (100 + (x * 7 + y * 3) % 60) as u8,
        _ => (200 + (x + y) % 40) as u8,
    }
}

fn jpegs(upright: &RgbImage) -> ImageResult<Vec<ZooFile>> {
    let of = |components, is_progressive, adobe| {
        let jpeg = Jpeg { width: 800, height: 600, components, is_progressive, adobe };
        jpeg.encode(tile)
    };
    let size = (800, 600);
    let plain = jpeg(upright, 90)?;
    let profile = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01".as_slice(), &display_p3()].concat());
    let comment = segment(0xfe, b"<!DOCTYPE html><html><script>alert(1)</script></html>");
    Ok(vec![
        photo("mosaic.jpg", of(3, false, None), size),
        photo("progressive.jpg", of(3, true, None), size),
        photo("grey.jpg", of(1, false, None), size),
        photo("cmyk.jpg", of(4, false, Some(0)), size),
        photo("ycck.jpg", of(4, false, Some(2)), size),
        photo("p3.jpg", [&plain[..2], &profile, &plain[2..]].concat(), SIDES),
        photo("polyglot.jpg", [&plain[..2], &comment, &plain[2..]].concat(), SIDES),
        photo("jpeg-named.png", plain.clone(), SIDES),
        photo("trailing-bytes.jpg", [plain.as_slice(), &[0; 3_000]].concat(), SIDES),
    ])
}

fn pngs() -> Vec<ZooFile> {
    let (width, height) = SIDES;
    let of = |bit_depth, colour_type, channels: u32, before: &[([u8; 4], Vec<u8>)]| {
        let row_bytes = (width * channels * u32::from(bit_depth)).div_ceil(8);
        let png = Png { width, height, bit_depth, colour_type, before, behind: &[] };
        png.encode((0..height).map(|y| (0..row_bytes).map(|x| (x * 7 + y * 3 + x * y / 9) as u8).collect()))
    };
    let palette: Vec<u8> = (0..=255u8).flat_map(|at| [at, 255 - at, at / 2]).collect();
    let palette = (*b"PLTE", palette);
    let clear = (*b"tRNS", (0..=255u8).rev().collect());
    let profile = (*b"iCCP", [b"Display P3\0\0".as_slice(), &zlib(&display_p3())].concat());
    let frame = |sequence: u32| {
        let numbers = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
        [numbers.as_slice(), &[0, 10, 0, 100, 0, 0]].concat()
    };
    let row = |y: u32| vec![(y % 256) as u8; width as usize * 3];
    let second = [2u32.to_be_bytes().as_slice(), &data((0..height).rev().map(row))].concat();
    let moving = Png {
        width,
        height,
        bit_depth: 8,
        colour_type: 2,
        before: &[(*b"acTL", [2u32, 0].map(u32::to_be_bytes).concat()), (*b"fcTL", frame(0))],
        behind: &[(*b"fcTL", frame(1)), (*b"fdAT", second)],
    };
    vec![
        photo("rgb.png", of(8, 2, 3, &[]), SIDES),
        photo("rgb-16.png", of(16, 2, 3, &[]), SIDES),
        photo("grey-16.png", of(16, 0, 1, &[]), SIDES),
        photo("grey-1.png", of(1, 0, 1, &[]), SIDES),
        photo("grey-alpha.png", of(8, 4, 2, &[]), SIDES),
        photo("rgba.png", of(8, 6, 4, &[]), SIDES),
        photo("rgba-16.png", of(16, 6, 4, &[]), SIDES),
        photo("palette.png", of(8, 3, 1, std::slice::from_ref(&palette)), SIDES),
        photo("palette-alpha.png", of(8, 3, 1, &[palette, clear]), SIDES),
        photo("p3.png", of(8, 2, 3, &[profile]), SIDES),
        file("animated.png", moving.encode((0..height).map(row)), ZooExpected::Animated),
    ]
}

fn other_formats(picture: &Picture, upright: &RgbImage) -> ImageResult<Vec<ZooFile>> {
    let plain = DynamicImage::ImageRgb8(upright.clone());
    let written = |format| {
        let mut bytes = Cursor::new(Vec::new());
        plain.write_to(&mut bytes, format)?;
        ImageResult::Ok(bytes.into_inner())
    };
    let mut still = Vec::new();
    GifEncoder::new_with_speed(&mut still, 30).encode_frames([Frame::new(plain.to_rgba8())])?;
    Ok(vec![
        photo("still.webp", written(ImageFormat::WebP)?, SIDES),
        photo("still.bmp", written(ImageFormat::Bmp)?, SIDES),
        photo("still.gif", still, SIDES),
        file("animated.gif", picture.spoil(Spoilt::Animated)?, ZooExpected::Animated),
        file("animated.webp", picture.spoil(Spoilt::AnimatedWebP)?, ZooExpected::Animated),
    ])
}

/// Square, at the edge of the size that is made smaller, and as thin as can be.
fn shapes() -> Vec<ZooFile> {
    let sides = [(1_000, 1_000), (1_980, 1_200), (1_981, 1_200), (2_400, 2_400), (5_000, 2), (1, 3_000), (3_000, 1)];
    let one = |(width, height): (u16, u16)| {
        let jpeg = Jpeg { width, height, components: 3, is_progressive: false, adobe: None };
        photo(&format!("{width}x{height}.jpg"), jpeg.encode(tile), (width.into(), height.into()))
    };
    sides.map(one).into()
}

/// Photos of just so many bytes, around the sizes that are too small for one.
fn sizes(upright: &RgbImage) -> ImageResult<Vec<ZooFile>> {
    let small = imageops::thumbnail(upright, 48, 32);
    let bytes = jpeg(&small, 60)?;
    let one = |total: usize| {
        let comment = segment(0xfe, &vec![b' '; total - bytes.len() - 4]);
        photo(&format!("bytes-{total}.jpg"), [&bytes[..2], &comment, &bytes[2..]].concat(), (48, 32))
    };
    Ok([4_999, 5_000, 5_119, 5_120, 5_121].map(one).into())
}

fn broken(picture: &Picture, upright: &RgbImage) -> ImageResult<Vec<ZooFile>> {
    let (plain, (width, height)) = (jpeg(upright, 90)?, SIDES);
    let png = Png { width, height, bit_depth: 8, colour_type: 2, before: &[], behind: &[] };
    let png = png.encode((0..height).map(|y| vec![y as u8; width as usize * 3]));
    let huge = Png { width: 50_000, height: 50_000, bit_depth: 8, colour_type: 2, before: &[], behind: &[] };
    let huge = huge.encode(std::iter::once(vec![0; 6_000]));
    Ok(vec![
        file("truncated.jpg", plain[..plain.len() / 2].to_vec(), ZooExpected::Truncated),
        file("truncated.png", png[..png.len() / 2].to_vec(), ZooExpected::Truncated),
        file("head-only.jpg", plain[..24].to_vec(), ZooExpected::Truncated),
        file("bomb.jpg", with_size(plain, 50_000), ZooExpected::TooManyPixels),
        file("bomb.png", huge, ZooExpected::TooManyPixels),
        file("page.jpg", web_page(), ZooExpected::NotAPicture),
        file("noise.jpg", (0..8_000u32).map(|at| (at * at % 251) as u8).collect(), ZooExpected::NotAPicture),
        file("empty.jpg", picture.spoil(Spoilt::Empty)?, ZooExpected::Empty),
        photo("removed.png", removed(), REMOVED_SIDES),
    ])
}

/// The notice that imgur shows for a picture that is gone: 503 bytes, as the real one.
pub(crate) fn removed() -> Vec<u8> {
    const BYTES: usize = 503;
    let (width, height) = REMOVED_SIDES;
    let padded = |spaces: usize| {
        let before = [(*b"tEXt", [b"Comment\0".as_slice(), &vec![b' '; spaces]].concat())];
        let png = Png { width, height, bit_depth: 1, colour_type: 0, before: &before, behind: &[] };
        png.encode((0..height).map(|_| vec![0xff; width.div_ceil(8) as usize]))
    };
    padded(BYTES - padded(0).len())
}

/// A small profile of the colours of Display P3 (ICC.1:2022): its primaries, adapted to D50, and a plain gamma.
fn display_p3() -> Vec<u8> {
    let xyz = |x: f64, y: f64, z: f64| {
        let fixed = [x, y, z].map(|value| ((value * 65_536.0).round() as i32).to_be_bytes()).concat();
        [b"XYZ \0\0\0\0".as_slice(), &fixed].concat()
    };
    // One entry: a gamma of 2.2 as a fixed number of eight bits behind the point.
    let curve = [b"curv\0\0\0\0\0\0\0\x01\x02\x33".as_slice(), &[0, 0]].concat();
    let tags: [(&[u8; 4], Vec<u8>); 7] = [
        (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", xyz(0.5151, 0.2412, -0.0011)),
        (b"gXYZ", xyz(0.2919, 0.6922, 0.0419)),
        (b"bXYZ", xyz(0.1572, 0.0666, 0.7841)),
        (b"rTRC", curve.clone()),
        (b"gTRC", curve.clone()),
        (b"bTRC", curve),
    ];
    let (mut table, mut data) = ((tags.len() as u32).to_be_bytes().to_vec(), Vec::new());
    for (name, tag) in &tags {
        let at = 128 + 4 + 12 * tags.len() + data.len();
        table.extend(*name);
        table.extend((at as u32).to_be_bytes());
        table.extend((tag.len() as u32).to_be_bytes());
        data.extend(tag);
    }
    let size = (128 + table.len() + data.len()) as u32;
    let mut header = vec![0; 128];
    header[..4].copy_from_slice(&size.to_be_bytes());
    header[8..12].copy_from_slice(&[4, 0, 0, 0]);
    header[12..24].copy_from_slice(b"mntrRGB XYZ ");
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&xyz(0.9642, 1.0, 0.8249)[8..]);
    [header, table, data].concat()
}
