//! Real photos, where the steering repository lies beside this one.

use std::io::Write as _;
use std::path::Path;

use natureddit_core::fs;
use natureddit_image::{decode, examine, inspect};

use crate::{LIMITS, outcome};

#[test]
fn all_shared_photos_decode_and_their_halves_do_not() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/photos"));
    if !folder.exists() {
        // Past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there", folder.display());
        return;
    }
    let files = ["fauna", "flora", "landscape"].map(|class| fs::walk(&folder.join(class)).unwrap()).concat();
    assert_eq!(files.len(), 897);
    for (index, path) in files.iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        let info = inspect(&bytes, &LIMITS).unwrap();
        let photo = decode(&bytes, &LIMITS).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!((photo.width, photo.height), (info.width, info.height));
        let (examined, hash) = examine(&bytes, &LIMITS).unwrap();
        assert_eq!(examined, info);
        let distance = hash.distance(photo.perceptual_hash());
        assert!(distance <= 4, "{}: {distance} bits differ", path.display());
        // A part of the files is enough for the cuts.
        if index % 9 == 0 {
            for percent in [50, 95, 99] {
                let code = outcome(&bytes[..bytes.len() * percent / 100]);
                assert!(["truncated", "corrupt"].contains(&code), "{} cut at {percent} %: {code}", path.display());
            }
        }
    }
}
