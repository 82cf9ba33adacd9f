//! What a cell is: Python's `int` and `float` decide, as in TFDV's reader of CSV.

use std::borrow::Cow;

use crate::statistics::FeatureKind;

/// The narrowest kind a cell that is not empty is of.
pub(super) fn kind_of(cell: &[u8]) -> FeatureKind {
    if as_int(cell).is_some() {
        FeatureKind::Int
    } else if as_float(cell).is_some() && !is_digits(cell) {
        FeatureKind::Float
    } else {
        FeatureKind::String
    }
}

/// A whole number of at most 64 bits.
pub(super) fn as_int(cell: &[u8]) -> Option<i64> {
    // Most texts are told by their first byte.
    if !starts_like_a_number(cell) {
        return None;
    }
    if cell.len() <= 18 && cell.iter().all(u8::is_ascii_digit) {
        return Some(cell.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')));
    }
    str::from_utf8(&plain(cell)?).ok()?.parse().ok()
}

/// A number, as TFDV keeps it: read with 64 bits, then rounded to 32.
pub(super) fn as_float(cell: &[u8]) -> Option<f32> {
    if !starts_like_a_number(cell) {
        return None;
    }
    let value: f64 = str::from_utf8(&plain(cell)?).ok()?.parse().ok()?;
    Some(value as f32)
}

/// Whether it is a whole number, of however many digits.
fn is_digits(cell: &[u8]) -> bool {
    plain(cell).is_some_and(|cell| {
        let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(&cell);
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    })
}

fn starts_like_a_number(cell: &[u8]) -> bool {
    cell.trim_ascii_start().first().is_some_and(|&first| {
        // `inf`, `nan` and their like are numbers.
        first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N')
    })
}

/// Without the white space around it and the single `_` between its digits.
fn plain(cell: &[u8]) -> Option<Cow<'_, [u8]>> {
    let cell = cell.trim_ascii();
    if !cell.contains(&b'_') {
        return Some(Cow::Borrowed(cell));
    }
    let digit = |at: Option<usize>| at.and_then(|at| cell.get(at)).is_some_and(u8::is_ascii_digit);
    let underscores = cell.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    let well_placed = underscores.map(|(at, _)| at).all(|at| digit(at.checked_sub(1)) && digit(Some(at + 1)));
    well_placed.then(|| Cow::Owned(cell.iter().copied().filter(|&byte| byte != b'_').collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3.11 says of each.
    #[test]
    fn a_cell_is_what_python_takes_it_for() {
        let is = |kind, cells: &[&str]| {
            for cell in cells {
                assert_eq!(kind_of(cell.as_bytes()), kind, "{cell:?}");
            }
        };
        is(FeatureKind::Int, &["0", "-7", "+7", " 7 ", "007", "1_000", "9223372036854775807", "-9223372036854775808"]);
        is(
            FeatureKind::Float,
            &["1.5", ".5", "1.", "1e5", "-1E-5", "nan", "NaN", "inf", "-Infinity", "1_0.5", " 1.5\t"],
        );
        is(FeatureKind::String, &["9223372036854775808", "-99999999999999999999", "a", "1,5", "_1", "1__0", "1_", "-"]);
        is(FeatureKind::String, &[" ", "0x10", "true", "1e", "2022-05-01", "inf1", "nano", "i", "é", "1é", "+-1"]);
    }

    #[test]
    fn numbers_are_kept_as_tfdv_keeps_them() {
        assert_eq!((as_int(b"1_000"), as_int(b"1.0"), as_int(b"")), (Some(1000), None, None));
        assert_eq!(as_int(b"999999999999999999"), Some(999_999_999_999_999_999));
        assert_eq!((as_float(b"0.1"), as_float(b"7")), (Some(0.1_f32), Some(7.0)));
        assert_eq!((as_float(b"1e39"), as_float(b"x")), (Some(f32::INFINITY), None));
        assert!(as_float(b"nan").unwrap().is_nan());
    }
}
