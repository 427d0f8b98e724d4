//! Partials: what is kept of the events of one (source, minute), how events are folded in, partials merged and rows made.
//!
//! Everything that moves between operators is a sequence of *records* in a `Vec<u64>`: [`record`] has their layout.
//! Whatever the order in which events and partials come, the row is the same: sums are exact ([`exact_sum`]), first and last
//! go by (time, partition, place in the partition).
//!
//! ```text
//!  event record ──▶ OpenTables ──▶ Table per (stamp, minute): a state per source ──▶ partial record ──▶ FinishedRow
//!                     │   fold        Layout says which word is what; Heap holds texts and wide sums    finish
//!                     └── Sources: bytes of a source to a dense id
//! ```

pub mod exact_sum;
mod finish;
mod fold;
mod heap;
mod layout;
mod merge;
mod open_tables;
pub mod partial;
mod prefetch;
pub mod record;
pub mod row_binary;
mod sources;
mod table;

pub use finish::{FinishedRow, Value};
pub use layout::{Column, ColumnType, Kind, Layout, Output, Render, SourceKind, Statistic};
pub use open_tables::OpenTables;

/// The hash of a source's bytes: part of stored formats (key groups, lanes), so its algorithm is fixed: XXH3, 64 bits, seed 0.
pub fn hash_source(source: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(source)
}
