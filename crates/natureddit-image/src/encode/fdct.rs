//! Samples into coefficients: the forward cosine transform by the algorithm of Loeffler, Ligtenberg and Moschytz, with
//! the constants and the rounding of libjpeg's `islow`. In integers, so that all processors give the same.

/// Fractional bits of the constants.
const BITS: u32 = 13;
/// Fractional bits kept between the two passes.
const BITS_BETWEEN: u32 = 2;
/// Samples lie around this.
const CENTRE: i16 = 128;

/// `value * 2^BITS`, rounded.
const fn fixed(value: f64) -> i32 {
    (value * (1 << BITS) as f64 + 0.5) as i32
}

const C_0_298: i32 = fixed(0.298_631_336);
const C_0_390: i32 = fixed(0.390_180_644);
const C_0_541: i32 = fixed(0.541_196_100);
const C_0_765: i32 = fixed(0.765_366_865);
const C_0_899: i32 = fixed(0.899_976_223);
const C_1_175: i32 = fixed(1.175_875_602);
const C_1_501: i32 = fixed(1.501_321_110);
const C_1_847: i32 = fixed(1.847_759_065);
const C_1_961: i32 = fixed(1.961_570_560);
const C_2_053: i32 = fixed(2.053_119_869);
const C_2_562: i32 = fixed(2.562_915_447);
const C_3_072: i32 = fixed(3.072_711_026);

/// A product of 16-bit numbers, which processors without wider ones calculate eight at a time, too.
#[inline(always)]
fn times(value: i16, constant: i32) -> i32 {
    i32::from(value).wrapping_mul(constant)
}

/// The sum without `bits` fractional bits, rounded.
#[inline(always)]
fn round(values: [i32; 3], bits: u32) -> i16 {
    let sum = values[0].wrapping_add(values[1]).wrapping_add(values[2]);
    (sum.wrapping_add(1 << (bits - 1)) >> bits) as i16
}

/// One transform, its scale sqrt(8) times that of the definition; without the fractional bits that stay between the
/// passes where it is the second. No sum of the samples that there are leaves 16 bits (the tests try the largest).
#[inline(always)]
fn transform<const IS_SECOND: bool>(v: [i16; 8]) -> [i16; 8] {
    let bits = if IS_SECOND { BITS + BITS_BETWEEN } else { BITS - BITS_BETWEEN };
    let whole = |value: i16| {
        if IS_SECOND { value.wrapping_add(1 << (BITS_BETWEEN - 1)) >> BITS_BETWEEN } else { value << BITS_BETWEEN }
    };
    let sum = |at: usize| v[at].wrapping_add(v[7 - at]);
    let difference = |at: usize| v[at].wrapping_sub(v[7 - at]);

    let (a, b) = (sum(0).wrapping_add(sum(3)), sum(0).wrapping_sub(sum(3)));
    let (c, d) = (sum(1).wrapping_add(sum(2)), sum(1).wrapping_sub(sum(2)));
    let both = times(d.wrapping_add(b), C_0_541);

    let (t4, t5, t6, t7) = (difference(3), difference(2), difference(1), difference(0));
    let (z3, z4) = (t4.wrapping_add(t6), t5.wrapping_add(t7));
    let z5 = times(z3.wrapping_add(z4), C_1_175);
    let z1 = times(t4.wrapping_add(t7), -C_0_899);
    let z2 = times(t5.wrapping_add(t6), -C_2_562);
    let z3 = times(z3, -C_1_961).wrapping_add(z5);
    let z4 = times(z4, -C_0_390).wrapping_add(z5);

    [
        whole(a.wrapping_add(c)),
        round([times(t7, C_1_501), z1, z4], bits),
        round([both, times(b, C_0_765), 0], bits),
        round([times(t6, C_3_072), z2, z3], bits),
        whole(a.wrapping_sub(c)),
        round([times(t5, C_2_053), z2, z4], bits),
        round([both, times(d, -C_1_847), 0], bits),
        round([times(t4, C_0_298), z1, z3], bits),
    ]
}

/// The first pass. Not part of its caller: by itself all lanes are calculated at once, and turned on their way.
#[inline(never)]
fn pass_across(values: &[i16; 64], out: &mut [i16; 64]) {
    for lane in 0..8 {
        let transformed = transform::<false>(std::array::from_fn(|at| values[lane * 8 + at]));
        for at in 0..8 {
            out[lane * 8 + at] = transformed[at];
        }
    }
}

/// The second.
#[inline(never)]
fn pass_down(values: &[i16; 64], out: &mut [i16; 64]) {
    for lane in 0..8 {
        let transformed = transform::<true>(std::array::from_fn(|at| values[at * 8 + lane]));
        for at in 0..8 {
            out[at * 8 + lane] = transformed[at];
        }
    }
}

/// Not part of its caller, either.
#[inline(never)]
fn centre(samples: &[u8; 64], out: &mut [i16; 64]) {
    for (out, &sample) in out.iter_mut().zip(samples) {
        *out = i16::from(sample).wrapping_sub(CENTRE);
    }
}

/// The coefficients of a block, row by row, eight times as large as they are by definition (ITU-T T.81, A.3.3).
#[inline(always)]
pub(super) fn forward(rows: &[[u8; 8]; 8], out: &mut [i16; 64]) {
    let mut values = [0; 64];
    centre(rows.as_flattened().as_array().expect("so many"), out);
    pass_across(out, &mut values);
    pass_down(&values, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform by its definition, eight times as large.
    fn by_definition(rows: &[[u8; 8]; 8], at: usize) -> f64 {
        use std::f64::consts::{FRAC_1_SQRT_2, PI};
        let norm = |k: usize| if k == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let wave = |k: usize, at: usize| norm(k) * ((2 * at + 1) as f64 * k as f64 * PI / 16.0).cos();
        let terms = (0..64).map(|sample| {
            let (x, y) = (sample % 8, sample / 8);
            (f64::from(rows[y][x]) - 128.0) * wave(at % 8, x) * wave(at / 8, y)
        });
        terms.sum::<f64>() * 2.0
    }

    fn check(rows: &[[u8; 8]; 8]) {
        let mut out = [0; 64];
        forward(rows, &mut out);
        for (at, value) in out.into_iter().enumerate() {
            let expected = by_definition(rows, at);
            assert!((f64::from(value) - expected).abs() < 2.5, "{at}: {value}, {expected} of {rows:?}");
        }
    }

    #[test]
    fn it_is_as_defined() {
        for seed in 1..200_usize {
            let value = |x: usize, y: usize| (x * x * 31 + y * seed * 7 + seed * seed * 13 + x * y * seed) as u8;
            check(&std::array::from_fn(|y| std::array::from_fn(|x| value(x, y))));
        }
    }

    #[test]
    fn the_largest_coefficients_fit() {
        for at in 0..64 {
            for sign in [-1.0, 1.0] {
                let wave = |k: usize, at: usize| ((2 * at + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
                let sample = |x, y| if wave(at % 8, x) * wave(at / 8, y) * sign > 0.0 { 255 } else { 0 };
                check(&std::array::from_fn(|y| std::array::from_fn(|x| sample(x, y))));
            }
        }
    }
}
