//! Whatever a decoder gives, as RGB of 8 bits, transparency on white; in place where the pixels do not grow, for a large
//! picture is not held twice.

use image::ColorType;

/// The pixels of a `color` that a decoder gave (16-bit values in the machine's byte order) as RGB; `None` for a colour
/// that no format read here has.
pub(crate) fn into_rgb(color: ColorType, bytes: Vec<u8>) -> Option<Vec<u8>> {
    Some(match color {
        ColorType::L8 => grow(&bytes, |[grey]: [u8; 1]| [grey; 3]),
        ColorType::La8 => grow(&bytes, |[grey, alpha]: [u8; 2]| on_white([grey; 3], alpha)),
        ColorType::L16 => grow(&bytes, |[a, b]: [u8; 2]| [high(a, b); 3]),
        ColorType::Rgb8 => bytes,
        ColorType::Rgba8 => shrink(bytes, |[r, g, b, alpha]: [u8; 4]| on_white([r, g, b], alpha)),
        ColorType::La16 => shrink(bytes, |[a, b, c, d]: [u8; 4]| on_white([high(a, b); 3], high(c, d))),
        ColorType::Rgb16 => shrink(bytes, |[a, b, c, d, e, f]: [u8; 6]| [high(a, b), high(c, d), high(e, f)]),
        ColorType::Rgba16 => shrink(bytes, |[a, b, c, d, e, f, g, h]: [u8; 8]| {
            on_white([high(a, b), high(c, d), high(e, f)], high(g, h))
        }),
        _ => return None,
    })
}

/// Overwrites pixels of `N` bytes with theirs of three, from the front: what is written was read before.
fn shrink<const N: usize>(mut bytes: Vec<u8>, rgb: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    let count = bytes.len() / N;
    for at in 0..count {
        let mut pixel = [0; N];
        pixel.copy_from_slice(&bytes[at * N..(at + 1) * N]);
        bytes[at * 3..(at + 1) * 3].copy_from_slice(&rgb(pixel));
    }
    bytes.truncate(count * 3);
    bytes.shrink_to_fit();
    bytes
}

fn grow<const N: usize>(bytes: &[u8], rgb: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    let (pixels, _) = bytes.as_chunks::<N>();
    let mut grown = vec![0; pixels.len() * 3];
    grown.as_chunks_mut::<3>().0.iter_mut().zip(pixels).for_each(|(out, &pixel)| *out = rgb(pixel));
    grown
}

/// The nearest 8-bit value of a 16-bit one.
fn high(a: u8, b: u8) -> u8 {
    ((u32::from(u16::from_ne_bytes([a, b])) + 128) / 257) as u8
}

fn on_white(rgb: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    rgb.map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_becomes_three_bytes() {
        let rgb = |color, bytes: &[u8]| into_rgb(color, bytes.to_vec()).unwrap();
        let wide = |values: &[u16]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();
        assert_eq!(rgb(ColorType::L8, &[7, 9]), [7, 7, 7, 9, 9, 9]);
        assert_eq!(rgb(ColorType::La8, &[7, 255, 0, 51]), [7, 7, 7, 204, 204, 204]);
        assert_eq!(rgb(ColorType::Rgb8, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(rgb(ColorType::Rgba8, &[1, 2, 3, 255, 9, 9, 9, 0]), [1, 2, 3, 255, 255, 255]);
        assert_eq!(rgb(ColorType::L16, &wide(&[65535, 257])), [255, 255, 255, 1, 1, 1]);
        assert_eq!(rgb(ColorType::La16, &wide(&[0, 0, 514, 65535])), [255, 255, 255, 2, 2, 2]);
        assert_eq!(rgb(ColorType::Rgb16, &wide(&[0, 60_000, 65535, 128, 129, 0])), [0, 233, 255, 0, 1, 0]);
        assert_eq!(rgb(ColorType::Rgba16, &wide(&[257, 514, 771, 65535])), [1, 2, 3]);
        assert_eq!(into_rgb(ColorType::Rgb32F, vec![0; 12]), None);
    }
}
