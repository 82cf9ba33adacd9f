//! Planes by the bilinear filter, with a kernel that widens as they shrink: the samples that `fast_image_resize` makes, in
//! less time where little is shrunk, which is what is left to do behind [`crate::baseline`]. Both passes go down the rows,
//! many samples at once; for the second one rows are made columns.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// So many rows are shrunk at a time.
const LANES: usize = 16;
const TILE: usize = LANES * LANES;

/// So many times a plane is shrunk at least where others do it: kernels have more than four weights there.
const RATIO_MAX: f64 = 2.0;
/// To shrink it less than so many times three weights are enough.
const RATIO_OF_THREE_MAX: f64 = 1.5;

/// As `fast_image_resize` limits the fractional bits of weights.
const PRECISION_MAX: u32 = 22;

/// The first `from` samples across and down of a plane of rows of `stride`, which need not be whole ones, as `to` others.
pub(crate) fn bilinear(source: &[u8], stride: usize, from: [f64; 2], to: [usize; 2], out: &mut [u8]) {
    let ratio = f64::max(from[0] / to[0] as f64, from[1] / to[1] as f64);
    if ratio >= RATIO_MAX {
        by_others(source, stride, from, to, out);
    } else if ratio > RATIO_OF_THREE_MAX {
        shrink::<4>(source, stride, from, to, out);
    } else {
        shrink::<3>(source, stride, from, to, out);
    }
}

fn by_others(source: &[u8], stride: usize, from: [f64; 2], to: [usize; 2], out: &mut [u8]) {
    const INVARIANT: &str = "a plane has 1 to 65535 samples a side";
    let whole = from.map(|side| side.ceil() as u32);
    let height = (source.len() / stride) as u32;
    let all = TypedImageRef::<U8>::from_buffer(stride as u32, height, source).expect(INVARIANT);
    let source = TypedCroppedImage::new(all, 0, 0, whole[0], whole[1]).expect(INVARIANT);
    let mut target = TypedImage::<U8>::from_buffer(to[0] as u32, to[1] as u32, out).expect(INVARIANT);
    let bilinear = ResizeAlg::Convolution(FilterType::Bilinear);
    let options = ResizeOptions::new().resize_alg(bilinear).crop(0.0, 0.0, from[0], from[1]);
    Resizer::new().resize_typed(&source, &mut target, &options).expect(INVARIANT);
}

/// What each sample along one side is made of: `TAPS` others, some of them weighing nothing.
struct Kernels<const TAPS: usize> {
    /// The first of them.
    starts: Vec<usize>,
    weights: Vec<[i16; TAPS]>,
    /// Fractional bits of the weights.
    precision: u32,
}

impl<const TAPS: usize> Kernels<TAPS> {
    /// Of `to` samples from the first `from`; `None` where they are the same.
    fn new(from: f64, to: usize) -> Option<Self> {
        if from == to as f64 {
            return None;
        }
        // All as it is done there, operation by operation, so that not one bit differs.
        let scale = from / to as f64;
        let radius = scale.max(1.0);
        let kernels: Vec<(usize, [f64; TAPS])> = (0..to)
            .map(|at| {
                let middle = (at as f64 + 0.5) * scale;
                let first = (middle - radius).floor().max(0.0) as usize;
                let end = (middle + radius).ceil().min(from.ceil()) as usize;
                let weight = |x: usize| (1.0 - ((x as f64 - (middle - 0.5)) * (1.0 / radius)).abs()).max(0.0);
                let start = (first..end).find(|&x| weight(x) > 0.0).unwrap_or(first);
                let mut weights = [0.0; TAPS];
                for (value, x) in weights.iter_mut().zip(start..end) {
                    *value = weight(x);
                }
                let sum: f64 = weights.iter().sum();
                (start, weights.map(|weight| weight / sum))
            })
            .collect();
        let largest = kernels.iter().flat_map(|(_, weights)| weights).copied().fold(0.0, f64::max);
        let scaled = |weight: f64, bits: u32| (weight * f64::from(1 << bits)).round();
        let is_last = |&bits: &u32| scaled(largest, bits + 1) >= f64::from(1 << 15);
        let precision = (0..PRECISION_MAX).find(is_last).unwrap_or(PRECISION_MAX - 1);
        Some(Self {
            starts: kernels.iter().map(|(start, _)| *start).collect(),
            weights: kernels
                .iter()
                .map(|(_, weights)| weights.map(|weight| scaled(weight, precision) as i16))
                .collect(),
            precision,
        })
    }
}

fn shrink<const TAPS: usize>(source: &[u8], stride: usize, from: [f64; 2], to: [usize; 2], out: &mut [u8]) {
    let (across, down) = (Kernels::<TAPS>::new(from[0], to[0]), Kernels::<TAPS>::new(from[1], to[1]));
    let [width, height] = from.map(|side| side.ceil() as usize);
    let tiles = width.div_ceil(LANES);
    let mut rows = vec![0; tiles * TILE];
    // One more, for kernels that reach beyond the last column.
    let mut columns = vec![[0; LANES]; (tiles + 1) * LANES];
    let mut small = vec![[0; LANES]; to[0].next_multiple_of(LANES)];
    for (strip, out) in out.chunks_mut(to[0] * LANES).enumerate() {
        for (row, y) in rows.chunks_mut(tiles * LANES).zip(strip * LANES..to[1]) {
            let row = &mut row[..width];
            let source = |y: usize| &source[y.min(height - 1) * stride..][..width];
            match &down {
                Some(Kernels { starts, weights, precision }) => {
                    weigh_rows(std::array::from_fn(|tap| source(starts[y] + tap)), &weights[y], *precision, row);
                }
                None => row.copy_from_slice(source(y)),
            }
        }
        match &across {
            Some(across) => {
                turn_rows(&rows, &mut columns);
                weigh_columns(&columns, across, &mut small);
                turn_columns(&small, to[0], out);
            }
            None => out.chunks_mut(to[0]).zip(rows.chunks(tiles * LANES)).for_each(|(out, row)| {
                out.copy_from_slice(&row[..to[0]]);
            }),
        }
    }
}

/// Not part of its caller: by itself many are calculated at once.
#[inline(never)]
fn weigh_rows<const TAPS: usize>(rows: [&[u8]; TAPS], weights: &[i16; TAPS], precision: u32, out: &mut [u8]) {
    let rows = rows.map(|row| &row[..out.len()]);
    for (x, out) in out.iter_mut().enumerate() {
        *out = weigh(std::array::from_fn(|tap| rows[tap][x]), weights, precision);
    }
}

fn weigh_columns<const TAPS: usize>(columns: &[[u8; LANES]], kernels: &Kernels<TAPS>, out: &mut [[u8; LANES]]) {
    for ((&start, weights), out) in kernels.starts.iter().zip(&kernels.weights).zip(out) {
        weigh_lanes(columns[start..].first_chunk().expect("one tile more"), weights, kernels.precision, out);
    }
}

/// Not part of its caller, either.
#[inline(never)]
fn weigh_lanes<const TAPS: usize>(
    rows: &[[u8; LANES]; TAPS],
    weights: &[i16; TAPS],
    precision: u32,
    out: &mut [u8; LANES],
) {
    for (x, out) in out.iter_mut().enumerate() {
        *out = weigh(std::array::from_fn(|tap| rows[tap][x]), weights, precision);
    }
}

#[inline(always)]
fn weigh<const TAPS: usize>(samples: [u8; TAPS], weights: &[i16; TAPS], precision: u32) -> u8 {
    let mut sum = 1_i32 << (precision.wrapping_sub(1) & 31);
    for tap in 0..TAPS {
        sum = sum.wrapping_add(i32::from(samples[tap]).wrapping_mul(i32::from(weights[tap])));
    }
    (sum >> (precision & 31)).clamp(0, 255) as u8
}

/// [`LANES`] rows as columns.
fn turn_rows(rows: &[u8], columns: &mut [[u8; LANES]]) {
    let mut tile = [0; TILE];
    let (tiles, _) = columns.as_chunks_mut::<LANES>();
    for (at, columns) in tiles.iter_mut().enumerate().take(rows.len() / TILE) {
        let (parts, _) = tile.as_chunks_mut::<LANES>();
        for (part, row) in parts.iter_mut().zip(rows.chunks(rows.len() / LANES)) {
            *part = *row[at * LANES..].first_chunk().expect("whole tiles");
        }
        turn(&tile, columns.as_flattened_mut().as_mut_array().expect("a tile"));
    }
}

/// Columns as rows of `width`, as many as there are.
fn turn_columns(columns: &[[u8; LANES]], width: usize, rows: &mut [u8]) {
    let mut tile = [0; TILE];
    let (tiles, _) = columns.as_chunks::<LANES>();
    for (at, columns) in tiles.iter().enumerate() {
        turn(columns.as_flattened().as_array().expect("a tile"), &mut tile);
        for (row, part) in rows.chunks_mut(width).zip(tile.as_chunks::<LANES>().0) {
            let row = &mut row[at * LANES..];
            match row.first_chunk_mut() {
                Some(row) => *row = *part,
                None => row.copy_from_slice(&part[..row.len()]),
            }
        }
    }
}

/// Rows become columns. Not part of its callers, and as four times the same mixing, for which processors have
/// instructions: the first half of all comes to stand between the second.
#[inline(never)]
fn turn(tile: &[u8; TILE], out: &mut [u8; TILE]) {
    let mut other = [0; TILE];
    mix(tile, &mut other);
    mix(&other, out);
    mix(out, &mut other);
    mix(&other, out);
}

#[inline(always)]
fn mix(values: &[u8; TILE], out: &mut [u8; TILE]) {
    for at in 0..TILE / 2 {
        out[2 * at] = values[at];
        out[2 * at + 1] = values[at + TILE / 2];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, samples: usize) -> Vec<u8> {
        let mixed = |at: u64| (seed ^ at).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..samples as u64).map(|at| (mixed(mixed(at) >> 13) >> 56) as u8).collect()
    }

    fn check(stride: usize, height: usize, from: [f64; 2], to: [usize; 2], seed: u64) {
        let source = noise(seed, stride * height);
        let (mut out, mut expected) = (vec![0; to[0] * to[1]], vec![0; to[0] * to[1]]);
        bilinear(&source, stride, from, to, &mut out);
        by_others(&source, stride, from, to, &mut expected);
        let differ = (0..out.len()).find(|&at| out[at] != expected[at]);
        assert!(differ.is_none(), "{from:?} of {stride} to {to:?}: {differ:?}");
    }

    #[test]
    fn rows_become_columns() {
        let tile: [u8; TILE] = std::array::from_fn(|at| at as u8);
        let mut turned = [0; TILE];
        turn(&tile, &mut turned);
        assert!((0..TILE).all(|at| usize::from(turned[at]) == at % LANES * LANES + at / LANES));
    }

    #[test]
    fn large_planes_are_those_of_the_others() {
        check(2000, 1504, [2000.0, 1500.0], [1980, 1485], 1);
        check(1000, 752, [1000.0, 750.0], [990, 743], 2);
        check(3000, 70, [3000.0, 66.5], [1980, 44], 3);
    }

    proptest! {
        #[test]
        fn planes_are_those_of_the_others(
            (width, height) in (1_usize..90, 1_usize..90),
            (less_across, less_down) in (0.3_f64..=1.0, 0.3_f64..=1.0),
            (half_across, half_down) in (any::<bool>(), any::<bool>()),
            more in 0_usize..9,
            seed in any::<u64>(),
        ) {
            let fewer = |side: usize, less: f64| ((side as f64 * less).round() as usize).max(1);
            let side = |side: usize, is_half: bool| if is_half && side > 1 { side as f64 - 0.5 } else { side as f64 };
            let from = [side(width, half_across), side(height, half_down)];
            check(width + more, height + more, from, [fewer(width, less_across), fewer(height, less_down)], seed);
        }
    }
}
