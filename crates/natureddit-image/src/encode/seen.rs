//! What decoders make of the blocks that are written: the samples that `zune-jpeg` gives, without reading the codes again.

/// Fractional bits of the constants.
const BITS: u32 = 12;
/// Fractional bits that the first pass takes away, and the second.
const BITS_LESS: [u32; 2] = [10, 17];
/// Half of the last one that is left, and samples lie around 128; with what the first pass has too much of.
const ROUNDING: [i32; 2] = [512, 512 + 65536 + (128 << 17)];

/// A product of 16-bit numbers, which processors without wider ones calculate eight at a time, too.
#[inline(always)]
fn times(value: i16, constant: i32) -> i32 {
    i32::from(value).wrapping_mul(constant)
}

#[inline(always)]
fn sum<const N: usize>(values: [i32; N]) -> i32 {
    values.into_iter().fold(0, i32::wrapping_add)
}

/// One transform of the algorithm of Loeffler, Ligtenberg and Moschytz. No sum of what an encoder makes leaves 16 bits: of
/// four values behind the first pass at most 8192 are the photo's, and 22,000 what the coarsest factors round.
#[inline(always)]
fn transform<const AT: usize>(v: [i16; 8]) -> [i32; 8] {
    let add = |a: usize, b: usize| v[a].wrapping_add(v[b]);
    let both = times(add(2, 6), 2217);
    let (e2, e3) = (sum([both, times(v[6], -7567)]), sum([both, times(v[2], 3135)]));
    let whole = |value: i16| (i32::from(value) << BITS).wrapping_add(ROUNDING[AT]);
    let (e0, e1) = (whole(add(0, 4)), whole(v[0].wrapping_sub(v[4])));
    let even = [e0.wrapping_add(e3), e1.wrapping_add(e2), e1.wrapping_sub(e2), e0.wrapping_sub(e3)];

    let (z3, z4) = (add(7, 3), add(5, 1));
    let z5 = times(z3.wrapping_add(z4), 4816);
    let (z1, z2) = (times(add(7, 1), -3685), times(add(5, 3), -10497));
    let (z3, z4) = (sum([z5, times(z3, -8034)]), sum([z5, times(z4, -1597)]));
    let odd = [
        sum([times(v[1], 6149), z1, z4]),
        sum([times(v[3], 12586), z2, z3]),
        sum([times(v[5], 8410), z2, z4]),
        sum([times(v[7], 1223), z1, z3]),
    ];

    let sum = |at: usize| even[at].wrapping_add(odd[at]) >> BITS_LESS[AT];
    let difference = |at: usize| even[at].wrapping_sub(odd[at]) >> BITS_LESS[AT];
    [sum(0), sum(1), sum(2), sum(3), difference(3), difference(2), difference(1), difference(0)]
}

/// Columns become rows. Not part of its caller: by itself all lanes are calculated at once.
#[inline(never)]
fn pass<const AT: usize>(values: &[i16; 64], out: &mut [i16; 64]) {
    for lane in 0..8 {
        let transformed = transform::<AT>(std::array::from_fn(|at| values[at * 8 + lane]));
        for at in 0..8 {
            out[lane * 8 + at] = transformed[at] as i16;
        }
    }
}

/// Not part of its caller, either.
#[inline(never)]
fn scale(block: &[i16; 64], factors: &[u8; 64], out: &mut [i16; 64]) {
    for ((out, &value), &factor) in out.iter_mut().zip(block).zip(factors) {
        *out = value.wrapping_mul(i16::from(factor));
    }
}

#[inline(never)]
fn clamp(values: &[i16; 64], out: &mut [u8; 64]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = value.clamp(0, 255) as u8;
    }
}

/// The samples of a block of whole numbers, row by row.
#[inline(always)]
pub(super) fn samples(block: &[i16; 64], factors: &[u8; 64], rows: &mut [u8; 64]) {
    let (mut values, mut columns) = ([0; 64], [0; 64]);
    scale(block, factors, &mut values);
    pass::<0>(&values, &mut columns);
    pass::<1>(&columns, &mut values);
    clamp(&values, rows);
}
