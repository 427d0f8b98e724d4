//! libFuzzer's way into the target `schema`.
#![no_main]

#[path = "../targets/schema.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::schema(bytes);
});
