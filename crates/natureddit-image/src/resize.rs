//! Planes by the bilinear filter, with a kernel that widens as they shrink: the samples that `fast_image_resize` makes, in
//! less time where little is shrunk. Integers only but for the weights, whose calculation is the same everywhere.

/// So many samples are calculated at once, and rows are shrunk along together.
const LANES: usize = 16;
type Lanes = [u8; LANES];

/// What each sample along one side is made of.
struct Weights {
    /// The first sample of each kernel.
    starts: Vec<usize>,
    /// `taps` of each kernel, those behind its end zero.
    values: Vec<i16>,
    taps: usize,
    /// Fractional bits of the values.
    precision: u32,
}

impl Weights {
    /// Of `to` samples from the first `from`, which need not be whole.
    fn new(from: f64, to: usize) -> Self {
        let scale = from / to as f64;
        let radius = scale.max(1.0);
        let (mut starts, mut kernels) = (Vec::with_capacity(to), Vec::with_capacity(to));
        for at in 0..to {
            let centre = (at as f64 + 0.5) * scale;
            let first = (centre - radius).floor().max(0.0) as usize;
            let end = (centre + radius).ceil().min(from.ceil()) as usize;
            // As it is there, operation by operation, so that not one bit differs.
            let weight = |x: usize| 1.0 - ((x as f64 - (centre - 0.5)) * (1.0 / radius)).abs();
            let zeros = (first..end).take_while(|&x| weight(x) <= 0.0).count();
            let mut kernel: Vec<f64> = (first + zeros..end).map(|x| weight(x).max(0.0)).collect();
            let sum = kernel.iter().sum::<f64>();
            kernel.iter_mut().for_each(|weight| *weight /= sum);
            starts.push(first + zeros);
            kernels.push(kernel);
        }
        let largest = kernels.iter().flatten().copied().fold(0.0, f64::max);
        let fits = |bits: &u32| (largest * f64::from(1 << (bits + 1))).round() >= f64::from(1 << 15);
        let precision = (0..PRECISION_MAX).find(fits).unwrap_or(PRECISION_MAX - 1);
        let taps = 4;
        let mut values = vec![0; taps * to];
        for (values, kernel) in values.chunks_mut(taps).zip(&kernels) {
            for (value, weight) in values.iter_mut().zip(kernel) {
                *value = (weight * f64::from(1 << precision)).round() as i16;
            }
        }
        // Behind the last sample a kernel has but zeros, whatever they are multiplied by.
        Self { starts, values, taps, precision }
    }

    fn of(&self, at: usize) -> (usize, &[i16; 4]) {
        (self.starts[at], self.values[at * self.taps..].first_chunk().unwrap())
    }
}

/// As `fast_image_resize` limits it, for sums of 32 bits.
const PRECISION_MAX: u32 = 22;

/// The weighted sums of four rows. Not part of its caller: by itself many are calculated at once.
#[inline(never)]
fn weigh_rows(rows: [&[u8]; 4], weights: &[i16; 4], precision: u32, out: &mut [u8]) {
    let n = out.len();
    let [a, b, c, d] = rows.map(|row| &row[..n]);
    for x in 0..n {
        out[x] = weighted([a[x], b[x], c[x], d[x]], weights, precision);
    }
}

#[inline(never)]
fn weigh_lanes(rows: &[Lanes; 4], weights: &[i16; 4], precision: u32, out: &mut Lanes) {
    let [a, b, c, d] = rows;
    for x in 0..LANES {
        out[x] = weighted([a[x], b[x], c[x], d[x]], weights, precision);
    }
}

#[inline(always)]
fn weighted(samples: [u8; 4], weights: &[i16; 4], precision: u32) -> u8 {
    let mut sum = 1_i32 << ((precision - 1) & 31);
    for (sample, &weight) in samples.into_iter().zip(weights) {
        sum = sum.wrapping_add(i32::from(sample).wrapping_mul(i32::from(weight)));
    }
    (sum >> (precision & 31)).clamp(0, 255) as u8
}

/// Rows become columns: four times the same mixing, for which processors have instructions.
#[inline(never)]
fn turn(tile: &mut [u8; LANES * LANES]) {
    let mut other = [0; LANES * LANES];
    mix(tile, &mut other);
    mix(&other, tile);
    mix(tile, &mut other);
    mix(&other, tile);
}

/// The first half of all comes to stand between the second.
#[inline(always)]
fn mix(values: &[u8; LANES * LANES], out: &mut [u8; LANES * LANES]) {
    for at in 0..LANES * LANES / 2 {
        out[2 * at] = values[at];
        out[2 * at + 1] = values[at + LANES * LANES / 2];
    }
}

/// The first `from` samples across and down of a plane of `stride`, which need not be whole ones, as `to` others.
pub(crate) fn bilinear(source: &[u8], stride: usize, from: [f64; 2], to: [usize; 2], out: &mut [u8]) {
    let across = (from[0] != to[0] as f64).then(|| Weights::new(from[0], to[0]));
    let down = (from[1] != to[1] as f64).then(|| Weights::new(from[1], to[1]));
    let whole = from[0].ceil() as usize;
    let width = whole.next_multiple_of(LANES);
    let mut rows = vec![0_u8; width * LANES];
    let mut columns = vec![0_u8; (width + LANES) * LANES];
    let mut small = vec![0_u8; to[0].next_multiple_of(LANES) * LANES];
    let height = from[1].ceil() as usize;
    let source = &source[..height * stride];
    for (strip, out) in out.chunks_mut(to[0] * LANES).enumerate() {
        for (row, y) in rows.chunks_mut(width).zip(strip * LANES..to[1]) {
            match &down {
                Some(down) => {
                    let (start, weights) = down.of(y);
                    let rows = [0, 1, 2, 3].map(|at| &source[(start + at).min(height - 1) * stride..]);
                    weigh_rows(rows, weights, down.precision, &mut row[..whole]);
                }
                None => row[..whole].copy_from_slice(&source[y * stride..][..whole]),
            }
        }
        let Some(across) = &across else {
            for (out, row) in out.chunks_mut(to[0]).zip(rows.chunks(width)) {
                out.copy_from_slice(&row[..to[0]]);
            }
            continue;
        };
        for (at, columns) in columns.as_chunks_mut::<{ LANES * LANES }>().0.iter_mut().take(width / LANES).enumerate() {
            for (row, tile) in rows.chunks(width).zip(columns.as_chunks_mut::<LANES>().0) {
                *tile = *row[at * LANES..].first_chunk().expect("whole tiles");
            }
            turn(columns);
        }
        let columns = columns.as_chunks::<LANES>().0;
        for (at, small) in small.as_chunks_mut::<LANES>().0.iter_mut().take(to[0]).enumerate() {
            let (start, weights) = across.of(at);
            weigh_lanes(columns[start..].first_chunk().unwrap(), weights, across.precision, small);
        }
        for (at, small) in small.as_chunks_mut::<{ LANES * LANES }>().0.iter_mut().enumerate() {
            turn(small);
            for (row, small) in out.chunks_mut(to[0]).zip(small.as_chunks::<LANES>().0) {
                let row = &mut row[at * LANES..];
                match row.first_chunk_mut() {
                    Some(row) => *row = *small,
                    None => row.copy_from_slice(&small[..row.len()]),
                }
            }
        }
    }
}
