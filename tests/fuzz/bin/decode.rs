//! libFuzzer's way into the target `decode`.
#![no_main]

#[path = "../targets/decode.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::decode(bytes);
});
