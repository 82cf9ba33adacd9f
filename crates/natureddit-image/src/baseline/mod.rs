//! The common kind of JPEG file (baseline, one scan, brightness and colours apart), decoded at a fraction of its size
//! into its planes. Anything else, and whatever looks odd or damaged, is left to `zune-jpeg`, which judges it.

mod bits;
mod headers;
mod huffman;
mod idct;
mod scan;
#[cfg(test)]
mod tests;

use headers::Headers;

use crate::planes::{Plane, Planes};

/// What a file holds, of `stored` width and height, at the smallest of the sizes 1/8, 2/8, 4/8 and 8/8 that is not
/// below `target`.
pub(crate) fn decode_at_least(bytes: &[u8], stored: (u32, u32), target: (u32, u32)) -> Option<Planes> {
    let headers = Headers::read(bytes)?;
    if (headers.width, headers.height) != (stored.0 as usize, stored.1 as usize) {
        return None;
    }
    let eighths = fewest_eighths(stored, target);
    let wanted = headers.components.len();
    let planes = match eighths {
        1 => scan::decode::<1>(bytes, &headers, wanted),
        2 => scan::decode::<2>(bytes, &headers, wanted),
        4 => scan::decode::<4>(bytes, &headers, wanted),
        _ => scan::decode::<8>(bytes, &headers, wanted),
    };
    let mut planes = planes?.into_iter();
    let luma = planes.next()?;
    let chroma = planes.next().zip(planes.next()).map(<[Plane; 2]>::from);
    // In pixels of the stored photo, a sample of luminance covers so many.
    let covers = 8.0 / f64::from(eighths);
    let samples = &headers.components[0];
    let size = |across: usize, down: usize| {
        [f64::from(stored.0) / (covers * across as f64), f64::from(stored.1) / (covers * down as f64)]
    };
    Some(Planes { luma, luma_size: size(1, 1), chroma, chroma_size: size(samples.across, samples.down) })
}

/// The smallest of these sizes, in eighths.
pub(crate) fn fewest_eighths(stored: (u32, u32), target: (u32, u32)) -> u32 {
    let reaches =
        |stored: u32, target: u32, eighths: u32| u64::from(stored) * u64::from(eighths) >= u64::from(target) * 8;
    let is_enough = |&eighths: &u32| reaches(stored.0, target.0, eighths) && reaches(stored.1, target.1, eighths);
    [1, 2, 4].into_iter().find(is_enough).unwrap_or(8)
}
