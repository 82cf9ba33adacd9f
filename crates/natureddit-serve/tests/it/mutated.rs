//! Bodies and files of `fuzz/seeds`, changed in every way. What fuzzing does for hours, this does for seconds and with every run
//! of the tests.

use std::path::Path;

use natureddit_core::fs;
use natureddit_serve::fuzzing::{config_properties, post_body};
use proptest::prelude::*;
use proptest::sample::Index;

/// The seeds of a fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    fs::walk(&folder).unwrap().iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A seed, some places of which are something else: bytes that mean something in these formats, any, or none.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let meaning =
        ["--X", "\r\n\r\n", "\\u", "\\\n", "=", "&", "%", "\"", "{", "}", "[", "]", "null", "1e999", "$$PORT$$"];
    let any_bytes = proptest::collection::vec(any::<u8>(), 0..4);
    let part = prop_oneof![proptest::sample::select(meaning.map(|text| text.as_bytes().to_vec()).to_vec()), any_bytes];
    let changes = proptest::collection::vec((any::<Index>(), 0_usize..6, part), 0..6);
    (proptest::sample::select(seeds(target)), changes).prop_map(|(mut bytes, changes)| {
        for (at, removed, part) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, part);
        }
        bytes
    })
}

#[test]
fn every_seed_is_read() {
    seeds("post_body").iter().for_each(|seed| post_body(seed));
    seeds("config_properties").iter().for_each(|seed| config_properties(seed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_broken_body_is_the_clients_fault(bytes in changed("post_body")) {
        post_body(&bytes);
    }

    #[test]
    fn a_broken_config_properties_is_told_in_lines(bytes in changed("config_properties")) {
        config_properties(&bytes);
    }
}
