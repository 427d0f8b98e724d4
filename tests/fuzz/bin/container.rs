//! libFuzzer's way into the target `container`.
#![no_main]

#[path = "../targets/container.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::container(bytes);
});
