//! libFuzzer's way into the target `wire`.
#![no_main]

#[path = "../targets/wire.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::wire(bytes);
});
