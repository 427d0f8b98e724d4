//! libFuzzer's way into the target `handshake`.
#![no_main]

#[path = "../targets/handshake.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::handshake(bytes);
});
