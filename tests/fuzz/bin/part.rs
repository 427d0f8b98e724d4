//! libFuzzer's way into the target `part`.
#![no_main]

#[path = "../targets/part.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::part(bytes);
});
