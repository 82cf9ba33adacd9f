//! A model archive, `.mar`: what it says of itself, and whether a bundle comes out of it.

#![no_main]

use natureddit_model::{ArchivedModel, ModelBundle};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("natureddit-fuzz-{}.mar", std::process::id()));
    std::fs::write(&path, bytes).expect("there is a folder for temporary files");
    let archived = ArchivedModel::read(&path);
    let opened = ModelBundle::open(&path);
    std::fs::remove_file(&path).expect("it was written");
    assert!(opened.is_err() || archived.is_ok(), "what is served says its name and version");
});
