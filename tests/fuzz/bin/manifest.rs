//! libFuzzer's way into the target `manifest`.
#![no_main]

#[path = "../targets/manifest.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::manifest(bytes);
});
