//! Coefficients into the whole numbers that are stored.

/// Annex K of ITU-T T.81, row by row.
const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

/// The factors of one kind of values, row by row.
pub(super) struct Quantiser {
    pub(super) factors: [u8; 64],
    /// Twice 2^15 / (8 * factor), rounded: what coefficients are multiplied by.
    reciprocals: [u16; 64],
    /// Half of what is divided by, and one more where the reciprocal is too small.
    halves: [u16; 64],
}

impl Quantiser {
    pub(super) fn luma(quality: u8) -> Self {
        Self::new(&LUMA, quality)
    }

    pub(super) fn chroma(quality: u8) -> Self {
        Self::new(&CHROMA, quality)
    }

    /// As libjpeg scales the factors.
    fn new(table: &[u8; 64], quality: u8) -> Self {
        let quality = u32::from(quality.clamp(1, 100));
        let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let factors = table.map(|factor| ((u32::from(factor) * percent + 50) / 100).clamp(1, 255) as u8);
        // Coefficients come eight times as large.
        let parts = factors.map(|factor| reciprocal(u16::from(factor) * 8));
        Self { factors, reciprocals: parts.map(|(reciprocal, _)| reciprocal), halves: parts.map(|(_, half)| half) }
    }

    /// Divides, and rounds to the nearest. Not part of its caller: by itself it is done eight at a time.
    #[inline(never)]
    pub(super) fn quantise(&self, values: &mut [i16; 64]) {
        for ((value, &half), &reciprocal) in values.iter_mut().zip(&self.halves).zip(&self.reciprocals) {
            let sign = *value >> 15;
            let size = value.unsigned_abs().wrapping_add(half);
            let size = (u32::from(size).wrapping_mul(u32::from(reciprocal)) >> 16) as i16;
            *value = (size ^ sign).wrapping_sub(sign);
        }
    }
}

/// What division by `divisor`, 8 or more, is done with. The rounding is that of `jpeg-encoder`, so that files are the
/// same: close to the middle between two numbers it is not always the nearer one.
fn reciprocal(divisor: u16) -> (u16, u16) {
    const ONE: u16 = 1 << 15;
    let (reciprocal, rest, half) = (ONE / divisor, ONE % divisor, divisor / 2);
    match rest {
        0 => (reciprocal * 2, half),
        rest if rest <= half => (reciprocal * 2, half + 1),
        _ => ((reciprocal + 1) * 2, half),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_division_to_the_nearest_but_close_to_the_middle() {
        for factor in 1..=255_u8 {
            let (reciprocal, half) = reciprocal(u16::from(factor) * 8);
            let quantiser = Quantiser { factors: [factor; 64], reciprocals: [reciprocal; 64], halves: [half; 64] };
            for from in (-8256..8256).step_by(64) {
                let mut values: [i16; 64] = std::array::from_fn(|at| from + at as i16);
                quantiser.quantise(&mut values);
                for (value, quantised) in (from..).zip(values) {
                    let exact = f64::from(value) / (8.0 * f64::from(factor));
                    let apart = (exact - f64::from(quantised)).abs();
                    // The reciprocal is off by a half of 2^-15 at most.
                    let allowed = 0.5 + (exact.abs() + 1.0) * f64::from(factor) / 8192.0;
                    assert!(apart <= allowed, "{value} / (8 * {factor}): {quantised}");
                }
            }
        }
    }

    #[test]
    fn quality_means_what_it_does_elsewhere() {
        assert_eq!(Quantiser::luma(50).factors, LUMA);
        assert_eq!(Quantiser::chroma(50).factors, CHROMA);
        assert_eq!(Quantiser::luma(100).factors, [1; 64]);
        assert_eq!(Quantiser::luma(88).factors[..4], [4, 3, 2, 4]);
        assert_eq!(Quantiser::luma(1).factors, [255; 64]);
        assert_eq!(Quantiser::luma(0).factors, [255; 64]);
    }
}
