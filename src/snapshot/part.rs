//! A part: open partials as an Avro object container file.
//!
//! Written by hand, byte by byte, in three layers: [`wire`] has Avro's numbers, [`datum`] one partial, [`container`] the file.
//! A general Avro reader was rejected for reading back: it allocates what a length in the file asks for, and a damaged
//! file may ask for anything. Any Avro reader can read these files, though; a test keeps that with apache-avro.

mod container;
mod datum;
mod wire;

use crate::aggregate::Layout;
use crate::aggregate::partial::Partial;
use crate::aggregate::record::{minute, records};
use crate::error::Result;
use crate::time::Epoch;

/// The name of the part of one slot at a commit epoch.
pub fn name(pipeline: &str, attempt: u64, commit: Epoch, slot: usize) -> String {
    format!("{pipeline}/parts/{attempt:010}-{commit:010}-{slot:05}.avro")
}

/// Encodes the partial records of some batches; equal partials give equal bytes, in whatever order they come: they are sorted by (minute, source),
/// and the container's sync marker is derived from them.
pub fn encode<'a>(layout: &Layout, batches: impl IntoIterator<Item = &'a [u64]>) -> Vec<u8> {
    let mut sorted: Vec<&[u64]> = batches.into_iter().flat_map(records).collect();
    sorted.sort_by_key(|record| (minute(record), layout.source_of(record)));
    // One by one: trees of all of them at once would take several times the memory of the records, and the time to clear it.
    container::write(sorted.into_iter().map(|record| layout.unpack(record)))
}

/// Appends the partials of stored bytes to `out` as records.
pub fn decode(layout: &Layout, bytes: &[u8], out: &mut Vec<u64>) -> Result<()> {
    read(bytes)?.iter().try_for_each(|partial| layout.pack(partial, out))
}

/// Encodes partials.
pub fn write(mut partials: Vec<Partial>) -> Vec<u8> {
    partials.sort_by(|a, b| (a.minute, &a.source).cmp(&(b.minute, &b.source)));
    container::write(partials.into_iter())
}

/// The partials of stored bytes, whatever layout they were made for. Damaged bytes are an error, and never take more memory than
/// a small multiple of their length.
pub fn read(bytes: &[u8]) -> Result<Vec<Partial>> {
    container::read(bytes)
}

#[cfg(test)]
mod tests;
