//! A part: open partials as an Avro object container file.

use crate::aggregate::Layout;
use crate::error::Result;

/// Encodes partial records; equal partials give equal bytes only up to the container's sync marker, which is derived from them.
pub fn encode(_layout: &Layout, _partials: &[u64]) -> Result<Vec<u8>> {
    todo!()
}

/// Appends the partials of stored bytes to `out` as records.
pub fn decode(_layout: &Layout, _bytes: &[u8], _out: &mut Vec<u64>) -> Result<()> {
    todo!()
}
