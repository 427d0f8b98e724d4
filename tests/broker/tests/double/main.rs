//! The double itself, asked by a small blocking client: it answers as findings of a real broker say, and fails as it is told.
#![allow(clippy::unwrap_used)]

mod answers;
mod cursors;
mod faults;
mod holders;
mod producing;
mod setting;
