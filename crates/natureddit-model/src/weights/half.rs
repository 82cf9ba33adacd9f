//! Floats of 16 bits as such of 32, which have each of their values.

/// IEEE 754's binary16: a sign, five bits of exponent, ten of the fraction.
pub(super) fn from_f16(bits: u16) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal: so many times the least of them, 2^-24.
        0 => fraction as f32 / 16_777_216.0,
        // Infinite or not a number.
        0x1f => f32::from_bits(0x7f80_0000 | fraction << 13),
        // The exponents count from -15, and from -127.
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | u32::from(bits & 0x8000) << 16)
}

/// The upper half of a float of 32 bits (bfloat16).
pub(super) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a binary16 by its definition.
    fn defined(bits: u16) -> f64 {
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
        let magnitude = match exponent {
            0 => fraction * 2.0_f64.powi(-14),
            0x1f if fraction == 0.0 => f64::INFINITY,
            0x1f => f64::NAN,
            _ => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
        };
        if bits & 0x8000 == 0 { magnitude } else { -magnitude }
    }

    #[test]
    fn each_of_the_65536_has_its_value() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (f64::from(from_f16(bits)), defined(bits));
            let same = found == expected && found.is_sign_negative() == expected.is_sign_negative();
            assert!(same || found.is_nan() && expected.is_nan(), "{bits:#x}: {found} is not {expected}");
        }
    }

    #[test]
    fn the_upper_half_of_a_float_is_that_float_but_for_what_is_cut() {
        for value in [0.0, -0.0, 1.0, -2.5, 3.0e38, f32::INFINITY] {
            let bits = u16::try_from(f32::to_bits(value) >> 16).unwrap();
            let found = from_bf16(bits);
            assert!(found == value || (found - value).abs() <= value.abs() / 128.0, "{value}: {found}");
        }
        assert!(from_bf16(0x7fc0).is_nan());
    }
}
