//! What is fuzzed: functions of bytes that must neither panic nor take memory without measure, whatever the bytes are. Each says
//! whether it accepted them, and checks for what it accepted that writing it again gives the same.
//!
//! A new target is a file here with one function, a line in [`ALL`], a folder of seeds in `tests/fuzz/corpus`, and the few lines
//! in `tests/fuzz/bin` and `tests/fuzz/Cargo.toml` that show it to libFuzzer.

mod capture;
mod container;
mod decode;
mod entry;
mod frames;
mod handshake;
mod manifest;
mod part;
mod schema;
mod wire;

/// A target: its name, which is that of its folder of seeds, and its function.
pub(crate) type Target = (&'static str, fn(&[u8]) -> bool);

/// All targets.
pub(crate) const ALL: [Target; 10] = [
    ("capture", capture::capture),
    ("container", container::container),
    ("decode", decode::decode),
    ("entry", entry::entry),
    ("frames", frames::frames),
    ("handshake", handshake::handshake),
    ("manifest", manifest::manifest),
    ("part", part::part),
    ("schema", schema::schema),
    ("wire", wire::wire),
];
