//! A few numbers in the place of an input: close inputs have close sketches, and none can be turned back into what it is of.

use natureddit_model::Features;

/// How many numbers a sketch has.
pub(super) const SKETCH_LEN: usize = 32;

/// Where the signs start. With another number sketches of before could not be compared with those of after.
const SEED: u64 = 0x6e61_7475_7265_6464;

/// Features of titles are numbered from here, so that a missing photo moves none of them.
const FIRST_OF_TEXT: u64 = 1 << 32;

/// Numbers of sketches are stored as so many a unit.
const SCALE: f64 = 32.0;

/// The random projection of the features onto 32 directions of random signs (D. Achlioptas, Database-friendly random
/// projections, 2003). With `x` the features of a part, photo or title, divided by their length, and `s(i, j)` 1 where bit `j`
/// of the `i`-th number of SplitMix64 from a fixed seed is set and else -1:
///
/// `q[j] = clamp(round(32 * sum over parts and i of s(i, j) * x[i]), -127, 127)`
///
/// The cosine of two sketches is an estimate of that of the features. `None` where there are no features.
pub(super) fn sketch(features: &Features) -> Option<[i8; SKETCH_LEN]> {
    let parts = [(0, features.image.as_deref()), (FIRST_OF_TEXT, features.text.as_deref())];
    let mut sums = [0.0_f64; SKETCH_LEN];
    for (first, part) in parts.iter().filter_map(|(first, part)| Some((*first, (*part)?))) {
        let length = part.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if length == 0.0 || !length.is_finite() {
            continue;
        }
        for (i, x) in (first..).zip(part) {
            let (signs, x) = (splitmix64(i), f64::from(*x) / length);
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum += if signs >> j & 1 == 1 { x } else { -x };
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was clamped to what fits")]
    let stored = |sum: f64| (SCALE * sum).round().clamp(-127.0, 127.0) as i8;
    (features.image.is_some() || features.text.is_some()).then(|| sums.map(stored))
}

/// The `i`-th number, from 0, of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, Fast splittable pseudorandom number
/// generators, 2014).
fn splitmix64(i: u64) -> u64 {
    let state = SEED.wrapping_add(i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(image: Option<&[f32]>, text: Option<&[f32]>) -> Features {
        Features { image: image.map(<[f32]>::to_vec), text: text.map(<[f32]>::to_vec) }
    }

    fn cosine(a: &[i8], b: &[i8]) -> f64 {
        let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn close_features_have_close_sketches_and_opposite_ones_opposite() {
        let wave = |shift: f32| (0..512_u16).map(|i| (f32::from(i) * 0.7 + shift).sin()).collect::<Vec<f32>>();
        let of = |values: &[f32]| sketch(&features(Some(values), None)).unwrap();
        let (base, near, far) = (of(&wave(0.0)), of(&wave(0.1)), of(&wave(1.57)));
        assert!(cosine(&base, &near) > 0.98, "{}", cosine(&base, &near));
        assert!(cosine(&base, &far).abs() < 0.5, "{}", cosine(&base, &far));
        let opposite: Vec<f32> = wave(0.0).iter().map(|x| -x).collect();
        assert!(cosine(&base, &of(&opposite)) < -0.98);
        // The length says nothing.
        let longer: Vec<f32> = wave(0.0).iter().map(|x| 4.0 * x).collect();
        assert_eq!(of(&longer), base);
    }

    #[test]
    fn a_sketch_is_the_sum_of_its_parts_and_the_formula_stays() {
        let (image, text) = ([3.0, 4.0], [1.0]);
        let both = sketch(&features(Some(&image), Some(&text))).unwrap();
        let (of_image, of_text) =
            (sketch(&features(Some(&image), None)).unwrap(), sketch(&features(None, Some(&text))).unwrap());
        for j in 0..SKETCH_LEN {
            assert!((i16::from(both[j]) - i16::from(of_image[j]) - i16::from(of_text[j])).abs() <= 1);
            assert_eq!(i32::from(of_text[j]).abs(), 32);
        }
        // What was written before must mean the same after: the first numbers of the generator, by another program.
        assert_eq!(splitmix64(0), 0xf341_7366_ece5_8fcf);
        assert_eq!(splitmix64(FIRST_OF_TEXT), 0x6720_d4d5_acd0_4518);
        assert_eq!(sketch(&Features::default()), None);
        assert_eq!(sketch(&features(Some(&[0.0, 0.0]), None)), Some([0; SKETCH_LEN]));
    }
}
