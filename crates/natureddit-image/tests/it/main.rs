//! Files of every format, whole and broken, through the public interface.

mod broken;
mod colours;
mod files;
mod formats;
mod normalise;
mod shared_photos;

use natureddit_image::ImageLimits;

/// Roomy limits, for tests that are not about them.
const LIMITS: ImageLimits = ImageLimits { bytes_max: 20_000_000, pixels_max: 50_000_000 };

/// The reason for which a file is refused, or `ok`.
fn outcome(bytes: &[u8]) -> &'static str {
    let code = natureddit_image::decode(bytes, &LIMITS).map_or_else(|e| e.code(), |_| "ok");
    let examined = natureddit_image::examine(bytes, &LIMITS).map_or_else(|e| e.code(), |_| "ok");
    assert_eq!(examined, code, "who only looks at a file refuses what cannot be decoded, and nothing else");
    let shrunk = natureddit_image::normalise(bytes, &LIMITS, 3, 90).map_or_else(|e| e.code(), |_| "ok");
    assert_eq!(shrunk, code, "who shrinks a file refuses what cannot be decoded, and nothing else");
    code
}

/// The largest difference of any value.
fn difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}
