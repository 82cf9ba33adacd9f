//! TorchServe's `config.properties`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| natureddit_serve::fuzzing::config_properties(bytes));
