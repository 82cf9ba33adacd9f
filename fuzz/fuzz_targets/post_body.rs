//! The body of a request: a form in parts, a form, or JSON of several protocols.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| natureddit_serve::fuzzing::post_body(bytes));
