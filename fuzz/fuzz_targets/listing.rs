//! An answer of an archive, and the same bytes as an answer of Reddit's own API.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| natureddit_data::source::fuzzing::listing(bytes));
