//! From floats to eight bits: the scales, the zero points and the stored values.
//!
//! Activations are unsigned, with one scale and one zero point a tensor; weights are signed and symmetric, with one scale
//! an output channel. See Jacob et al. 2018, <https://arxiv.org/abs/1712.05877>.

use super::ranges::Range;

/// How an activation is stored: `value = scale * (stored - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: f32,
    pub(super) zero: u8,
}

impl Affine {
    /// The form whose 256 steps go from the smallest to the largest value, widened to zero, which padding needs exactly.
    /// None where a bound is not a finite number, or the bounds are the wrong way round.
    pub(super) fn covering(range: Range) -> Option<Self> {
        if !(range.min.is_finite() && range.max.is_finite() && range.min <= range.max) {
            return None;
        }
        let (min, max) = (f64::from(range.min.min(0.0)), f64::from(range.max.max(0.0)));
        let scale = ((max - min) / 255.0) as f32;
        if scale < f32::MIN_POSITIVE {
            return Some(Self { scale: 1.0, zero: 0 });
        }
        let zero = (-min / f64::from(scale)).round_ties_even() as u8;
        Some(Self { scale, zero })
    }
}

/// The largest weight that is stored; -128 is not used, so that a weight and its negative are stored alike.
const WEIGHT_MAX: f32 = 127.0;

/// Two neighbouring weights, multiplied by the largest activation and added, must fit 16 bits: processors without VNNI add
/// them so and saturate, which leaves of EfficientNet's features a cosine of 0.92 instead of 0.99. Stored values add up to
/// 128 at most when the weights add up to this: 255 * 128 < 2^15. What such processors answer is then what all others do.
const PAIR_MAX: f32 = 127.5;

/// A bias is stored as at most this, which leaves as much of the 32 bits for the sum it is added to: of 33,000 products.
const BIAS_MAX: f32 = (1_u32 << 30) as f32;

/// The scale of the weights of an output channel, given in every order in which they may be multiplied, not below `least`.
pub(super) fn weight_scale(orders: &[Vec<f32>], least: f32) -> f32 {
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |most: f32, value| most.max(value.abs()));
    let scale = |order: &Vec<f32>| {
        let single = largest(&mut order.iter().copied());
        let pair = largest(&mut order.chunks_exact(2).map(|pair| pair[0] + pair[1]));
        (single / WEIGHT_MAX).max(pair / PAIR_MAX)
    };
    orders.iter().map(scale).fold(least.max(f32::MIN_POSITIVE), f32::max)
}

/// A weight as it is stored.
pub(super) fn stored_weight(weight: f32, scale: f32) -> i8 {
    // Within -127..=127 but for the last bit of the division, which the cast cuts.
    (weight / scale).round_ties_even().clamp(-WEIGHT_MAX, WEIGHT_MAX) as i8
}

/// The least scale a channel's weights may have, so that its bias can be stored, in steps of both scales' product.
pub(super) fn least_scale(bias: f32, activation: f32) -> f32 {
    (bias.abs() / BIAS_MAX).max(f32::MIN_POSITIVE) / activation
}

/// A bias as it is stored; `scale` is the product of the scales of the activation and of the weights.
pub(super) fn stored_bias(bias: f32, scale: f32) -> i32 {
    (f64::from(bias) / f64::from(scale)).round_ties_even() as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(affine: Affine, value: f32) -> u8 {
        ((value / affine.scale).round_ties_even() + f32::from(affine.zero)).clamp(0.0, 255.0) as u8
    }

    fn restored(affine: Affine, stored: u8) -> f32 {
        affine.scale * (f32::from(stored) - f32::from(affine.zero))
    }

    #[test]
    fn the_forms_of_known_ranges() {
        let form = |min, max| Affine::covering(Range { min, max });
        // Pixels of (value - 127) / 128 keep every value.
        assert_eq!(form(-127.0 / 128.0, 1.0), Some(Affine { scale: 1.0 / 128.0, zero: 127 }));
        assert_eq!(form(0.0, 6.0), Some(Affine { scale: 6.0 / 255.0, zero: 0 }));
        assert_eq!(form(2.0, 5.1), Some(Affine { scale: 5.1 / 255.0, zero: 0 }));
        assert_eq!(form(-5.1, -2.0), Some(Affine { scale: 5.1 / 255.0, zero: 255 }));
        assert_eq!(form(0.0, 0.0), Some(Affine { scale: 1.0, zero: 0 }));
        assert_eq!(form(1.0, 0.0), None);
        assert_eq!(form(f32::NEG_INFINITY, 0.0), None);
        assert_eq!(form(0.0, f32::NAN), None);
    }

    #[test]
    fn a_bias_larger_than_its_weights_makes_their_steps_larger() {
        let (bias, activation) = (1000.0, 0.02);
        let scale = weight_scale(&[vec![1e-9, -1e-9]], least_scale(bias, activation));
        let kept = stored_bias(bias, activation * scale);
        assert!((kept - (1 << 30)).abs() <= 256, "{kept}");
        let nothing = weight_scale(&[vec![0.0; 4]], least_scale(0.0, activation));
        assert_eq!((stored_weight(0.0, nothing), stored_bias(0.0, activation * nothing)), (0, 0));
        assert!(activation * nothing >= f32::MIN_POSITIVE);
    }

    proptest! {
        #[test]
        fn every_value_of_a_range_comes_back_within_half_a_step(
            a in -1e3f32..1e3, b in -1e3f32..1e3, place in 0.0f32..=1.0,
        ) {
            let (min, max) = (a.min(b), a.max(b));
            let affine = Affine::covering(Range { min, max }).unwrap();
            let value = min + (max - min) * place;
            for value in [min, max, value, 0.0] {
                let gap = (restored(affine, stored(affine, value)) - value).abs();
                // The last bits of the value itself are lost beside the step.
                prop_assert!(gap <= affine.scale * 0.5001, "{value} is off by {gap}, the step is {}", affine.scale);
            }
            prop_assert_eq!(restored(affine, stored(affine, 0.0)), 0.0);
        }

        #[test]
        fn weights_come_back_within_half_a_step_and_no_pair_saturates(
            weights in proptest::collection::vec(-2f32..2.0, 1..40),
        ) {
            let scale = weight_scale(std::slice::from_ref(&weights), 0.0);
            let stored: Vec<i8> = weights.iter().map(|&weight| stored_weight(weight, scale)).collect();
            for (&weight, &stored) in weights.iter().zip(&stored) {
                prop_assert!((f32::from(stored) * scale - weight).abs() <= scale * 0.5001);
            }
            for pair in stored.chunks_exact(2) {
                let sum = 255 * (i32::from(pair[0]) + i32::from(pair[1]));
                prop_assert!(i16::try_from(sum).is_ok(), "{pair:?}");
            }
        }
    }
}
