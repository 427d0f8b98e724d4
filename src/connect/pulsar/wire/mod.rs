//! The bytes of the protocol, and nothing that waits.
//!
//! ```text
//!  socket ──▶ frame (Inbox: whole frames from one buffer) ──▶ command (a MESSAGE's id without prost)
//!                                                         └──▶ entry (checksum, codec, batch) ──▶ spans
//! ```
//! Frames: <https://pulsar.apache.org/docs/developing-binary-protocol>. Nothing here panics on any bytes.

pub mod codec;
pub mod command;
pub mod entry;
mod fields;
pub mod frame;
pub mod metadata;
pub mod send;

#[cfg(test)]
mod tests;
