//! libFuzzer's way into the target `entry`.
#![no_main]

#[path = "../targets/entry.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::entry(bytes);
});
