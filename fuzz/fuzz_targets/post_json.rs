//! A record of a listing, from any source.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| natureddit_data::source::fuzzing::post_json(bytes));
