//! The lines of an unpacked dump, in pieces of any size.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| natureddit_data::source::fuzzing::dump_lines(bytes));
