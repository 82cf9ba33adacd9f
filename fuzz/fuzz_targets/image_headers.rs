//! The header of a picture file, which decides whether it is decoded; and, where it is small, what the decoder makes of it.

#![no_main]

use natureddit_image::{ImageLimits, decode, inspect};

/// Small, so that a run looks at many files.
const LIMITS: ImageLimits = ImageLimits { bytes_max: 1 << 20, pixels_max: 1 << 16 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match (inspect(bytes, &LIMITS), decode(bytes, &LIMITS)) {
        (Ok(info), Ok(photo)) => {
            assert_eq!((info.width, info.height), (photo.width, photo.height));
            assert!(u64::from(photo.width) * u64::from(photo.height) <= LIMITS.pixels_max);
            assert_eq!(photo.rgb.len(), photo.width as usize * photo.height as usize * 3);
        }
        (Err(header), decoded) => assert_eq!(decoded.err(), Some(header)),
        // The rest of the file may be broken.
        (Ok(_), Err(_)) => {}
    }
});
