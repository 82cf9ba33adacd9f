//! What decoders make of the blocks that are written: the samples that `zune-jpeg` gives, without reading the codes again.

use super::fdct::turn;

/// Fractional bits of the constants.
const BITS: u32 = 12;
/// Fractional bits that the first pass takes away, and the second.
const BITS_LESS: [u32; 2] = [10, 17];
/// Half of the last one that is left, and samples lie around 128; with what the first pass has too much of.
const ROUNDING: [i32; 2] = [512, 512 + 65536 + (128 << 17)];

#[inline(always)]
fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}

#[inline(always)]
fn times(value: i32, constant: i32) -> i32 {
    value.wrapping_mul(constant)
}

/// One transform of the algorithm of Loeffler, Ligtenberg and Moschytz.
#[inline(always)]
fn transform(v: [i32; 8], rounding: i32, bits_less: u32) -> [i32; 8] {
    let both = times(add(v[2], v[6]), 2217);
    let (e2, e3) = (add(both, times(v[6], -7567)), add(both, times(v[2], 3135)));
    let e0 = add(add(v[0], v[4]) << BITS, rounding);
    let e1 = add(v[0].wrapping_sub(v[4]) << BITS, rounding);
    let even = [add(e0, e3), add(e1, e2), e1.wrapping_sub(e2), e0.wrapping_sub(e3)];

    let (z3, z4) = (add(v[7], v[3]), add(v[5], v[1]));
    let z5 = times(add(z3, z4), 4816);
    let (z1, z2) = (add(z5, times(add(v[7], v[1]), -3685)), add(z5, times(add(v[5], v[3]), -10497)));
    let (z3, z4) = (times(z3, -8034), times(z4, -1597));
    let odd = [
        add(times(v[1], 6149), add(z1, z4)),
        add(times(v[3], 12586), add(z2, z3)),
        add(times(v[5], 8410), add(z2, z4)),
        add(times(v[7], 1223), add(z1, z3)),
    ];

    let sum = |at: usize| add(even[at], odd[at]) >> bits_less;
    let difference = |at: usize| even[at].wrapping_sub(odd[at]) >> bits_less;
    [sum(0), sum(1), sum(2), sum(3), difference(3), difference(2), difference(1), difference(0)]
}

/// Not part of its caller: by itself all lanes are calculated at once.
#[inline(never)]
fn pass<const AT: usize>(values: &[i32; 64], out: &mut [i32; 64]) {
    for lane in 0..8 {
        let transformed = transform(std::array::from_fn(|at| values[at * 8 + lane]), ROUNDING[AT], BITS_LESS[AT]);
        for at in 0..8 {
            out[at * 8 + lane] = transformed[at];
        }
    }
}

/// Not part of its caller, either.
#[inline(never)]
fn scale(block: &[i16; 64], factors: &[u8; 64], out: &mut [i32; 64]) {
    for ((out, &value), &factor) in out.iter_mut().zip(block).zip(factors) {
        *out = i32::from(value).wrapping_mul(i32::from(factor));
    }
}

#[inline(never)]
fn clamp(values: &[i32; 64], out: &mut [u8; 64]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = value.clamp(0, 255) as u8;
    }
}

/// The samples of a block of whole numbers, row by row.
pub(super) fn samples(block: &[i16; 64], factors: &[u8; 64]) -> [u8; 64] {
    let (mut values, mut other, mut columns, mut rows) = ([0; 64], [0; 64], [0; 64], [0; 64]);
    scale(block, factors, &mut values);
    pass::<0>(&values, &mut other);
    turn(&other, &mut values);
    pass::<1>(&values, &mut other);
    clamp(&other, &mut columns);
    turn(&columns, &mut rows);
    rows
}
