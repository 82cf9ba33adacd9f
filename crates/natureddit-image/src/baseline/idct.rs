//! Coefficients into samples, at a fraction of the size: of `N` x `N` of the 8 x 8 coefficients the inverse cosine
//! transform makes `N` x `N` samples (as libjpeg has it since version 7). In integers, so that all processors give the
//! same.

use std::num::Wrapping;

/// Coefficients of any value are allowed, those that no encoder makes overflow.
pub(super) type Value = Wrapping<i32>;

/// Fractional bits of the constants.
const BITS: usize = 12;
/// Fractional bits kept between the two passes.
const BITS_BETWEEN: usize = 3;
/// An eighth is left of the transform's scale at the end.
const BITS_OF_SCALE: usize = 3;
/// Samples lie around this.
const CENTRE: i32 = 128;

/// `value * 2^BITS`, rounded.
const fn fixed(value: f64) -> Value {
    Wrapping((value * (1 << BITS) as f64 + 0.5) as i32)
}

/// sqrt(2) * cos(k * pi / 16)
const C1: Value = fixed(1.387_039_845);
const C2: Value = fixed(1.306_562_965);
const C3: Value = fixed(1.175_875_602);
const C5: Value = fixed(0.785_694_958);
const C6: Value = fixed(0.541_196_100);
const C7: Value = fixed(0.275_899_379);

/// Sums with `BITS` fractional bits more than their coefficients.
fn transform_2([a, b]: [Value; 2]) -> [Value; 2] {
    [(a + b) << BITS, (a - b) << BITS]
}

#[inline(always)]
fn transform_4([a, b, c, d]: [Value; 4]) -> [Value; 4] {
    let (even_0, even_1) = ((a + c) << BITS, (a - c) << BITS);
    // A rotation by three multiplications.
    let both = (b + d) * C6;
    let (odd_0, odd_1) = (both + b * (C2 - C6), both - d * (C2 + C6));
    [even_0 + odd_0, even_1 + odd_1, even_1 - odd_1, even_0 - odd_0]
}

#[inline(always)]
fn transform_8(v: [Value; 8]) -> [Value; 8] {
    let even = transform_4([v[0], v[2], v[4], v[6]]);
    let (a, b, c, d) = (v[1], v[3], v[5], v[7]);
    let odd = [
        a * C1 + b * C3 + c * C5 + d * C7,
        a * C3 - b * C7 - c * C1 - d * C5,
        a * C5 - b * C1 + c * C7 + d * C3,
        a * C7 - b * C5 + c * C3 - d * C1,
    ];
    let sum = |at: usize| even[at] + odd[at];
    let difference = |at: usize| even[at] - odd[at];
    [sum(0), sum(1), sum(2), sum(3), difference(3), difference(2), difference(1), difference(0)]
}

/// Rounds `BITS_LESS` fractional bits away.
#[inline(always)]
fn round<const BITS_LESS: usize>(value: Value) -> Value {
    (value + Wrapping(1 << (BITS_LESS - 1))) >> BITS_LESS
}

#[inline(always)]
fn sample(value: Value) -> u8 {
    (value.0.wrapping_add(CENTRE)).clamp(0, 255) as u8
}

/// Both passes over `N` x `N` coefficients (by column: those of the same horizontal frequency stand together).
macro_rules! inverse {
    ($name:ident, $pass:ident, $n:literal, $transform:ident) => {
        /// Not part of its caller: by itself all lanes are calculated at once.
        #[inline(never)]
        fn $pass<const BITS_LESS: usize>(values: &[Value; $n * $n], out: &mut [Value; $n * $n]) {
            for lane in 0..$n {
                let sums = $transform(std::array::from_fn(|at| values[at * $n + lane]));
                for at in 0..$n {
                    out[at * $n + lane] = round::<BITS_LESS>(sums[at]);
                }
            }
        }

        #[inline(always)]
        fn $name(block: &[Value], out: &mut [u8], stride: usize) {
            const N: usize = $n;
            let block: &[Value; N * N] = block[..N * N].as_array().expect("so long");
            let (mut between, mut values) = ([Wrapping(0); N * N], [Wrapping(0); N * N]);
            $pass::<{ BITS - BITS_BETWEEN }>(block, &mut between);
            let turned: [Value; N * N] = std::array::from_fn(|at| between[at % N * N + at / N]);
            $pass::<{ BITS + BITS_BETWEEN + BITS_OF_SCALE }>(&turned, &mut values);
            let samples = values.map(sample);
            for (at, samples) in samples.as_chunks::<N>().0.iter().enumerate() {
                out[at * stride..at * stride + N].copy_from_slice(samples);
            }
        }
    };
}

inverse!(inverse_8, pass_8, 8, transform_8);
inverse!(inverse_4, pass_4, 4, transform_4);
inverse!(inverse_2, pass_2, 2, transform_2);

/// Writes the `N` x `N` samples of a block to the start of each of the first `N` rows of `out`. `last` is the last
/// coefficient, in zigzag order, that can be other than zero.
#[inline(always)]
pub(super) fn inverse<const N: usize>(block: &[Value], last: usize, out: &mut [u8], stride: usize) {
    if last == 0 || N == 1 {
        let value = sample(round::<BITS_OF_SCALE>(block[0]));
        for row in out.chunks_mut(stride).take(N) {
            row[..N].fill(value);
        }
        return;
    }
    match N {
        2 => inverse_2(block, out, stride),
        4 => inverse_4(block, out, stride),
        _ => inverse_8(block, out, stride),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform by its definition (ITU-T T.81, A.3.3), for as many coefficients as samples.
    fn by_definition<const N: usize>(block: &[i32]) -> Vec<u8> {
        use std::f64::consts::{FRAC_1_SQRT_2, PI};
        let n = N as f64;
        let norm = |k: usize| if k == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let wave = |k: usize, at: usize| norm(k) * ((2 * at + 1) as f64 * k as f64 * PI / (2.0 * n)).cos();
        let value = |x, y| {
            let terms = (0..N * N).map(|at| f64::from(block[at]) * wave(at / N, x) * wave(at % N, y));
            (terms.sum::<f64>() / 4.0 + 128.0).round().clamp(0.0, 255.0) as u8
        };
        (0..N * N).map(|at| value(at % N, at / N)).collect()
    }

    fn check<const N: usize>() {
        for seed in 1..200_i32 {
            let value =
                |at: i32| (at * at * 7919 + seed * 104_729 + at * seed * 31) % 400 / (at + 1) + (at == 0) as i32 * 300;
            let block: Vec<i32> = (0..(N * N) as i32).map(value).collect();
            let values: Vec<Value> = block.iter().map(|&value| Wrapping(value)).collect();
            let mut out = vec![7; N * (N + 3)];
            inverse::<N>(&values, 63, &mut out, N + 3);
            let expected = by_definition::<N>(&block);
            for (row, expected) in out.chunks(N + 3).zip(expected.chunks(N)) {
                assert!(row[..N].iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1), "{row:?} {expected:?}");
                assert_eq!(row[N..], [7; 3]);
            }
        }
    }

    #[test]
    fn all_sizes_are_as_defined() {
        check::<8>();
        check::<4>();
        check::<2>();
        check::<1>();
    }

    #[test]
    fn a_flat_block_is_flat_either_way() {
        for mean in -1200..1200 {
            let mut block = [Wrapping(0); 64];
            block[0] = Wrapping(mean);
            let (mut short, mut long) = ([0; 64], [0; 64]);
            inverse::<8>(&block, 0, &mut short, 8);
            inverse::<8>(&block, 63, &mut long, 8);
            assert_eq!(short, long);
        }
    }

    #[test]
    fn values_that_no_encoder_makes_do_not_panic() {
        for value in [i32::MIN, i32::MAX, 1 << 20] {
            inverse::<8>(&[Wrapping(value); 64], 63, &mut [0; 64], 8);
            inverse::<4>(&[Wrapping(value); 16], 63, &mut [0; 16], 4);
        }
    }
}
