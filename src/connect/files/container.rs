//! Avro object container files (Avro 1.12 specification, "Object Container Files"): a block is an entry.
//!
//! ```text
//!  header: "Obj" 1, metadata map (avro.schema, avro.codec), 16 bytes of sync marker
//!  block:  long count, long size, `size` bytes packed by the codec, the sync marker again
//! ```

use std::io::{Read, Seek};
use std::sync::Arc;

use super::codec::Codec;
use super::input::Input;
use crate::dataflow::edges::{Entry, Framing, Writer};
use crate::error::Result;
use crate::limits::{CONTAINER_BLOCK_BYTES_MAX, CONTAINER_BLOCK_EVENTS_MAX, CONTAINER_HEADER_BYTES_MAX};
use crate::snapshot::Position;

/// The first bytes of every such file.
pub const MAGIC: [u8; 4] = *b"Obj\x01";

const SYNC_BYTES: u64 = 16;

/// Reads the blocks of one file in order.
pub struct ContainerReader<R> {
    input: Input<R>,
    schema: Arc<str>,
    codec: Codec,
    sync: [u8; SYNC_BYTES as usize],
    number: u64,
}

impl<R: Read + Seek> ContainerReader<R> {
    /// Reads the header and goes to `from`, which must lie right behind a sync marker. Positions are (byte offset, number
    /// of the block). Every error names the file and the offset.
    pub fn open(mut input: Input<R>, from: Option<Position>) -> Result<Self> {
        let header = read_header(&mut input)?;
        let first = input.offset();
        let mut reader =
            ContainerReader { input, schema: header.schema, codec: header.codec, sync: header.sync, number: 0 };
        if let Some(Position(offset, number)) = from {
            reader.go_to(first, offset, number)?;
        }
        Ok(reader)
    }

    fn go_to(&mut self, first: u64, offset: u64, number: u64) -> Result<()> {
        if offset < first || (offset == first) != (number == 0) {
            let problem = format!("reading should go on at block {number}, but block 0 begins at byte {first}");
            return Err(self.input.damaged(offset, problem));
        }
        self.input.seek(offset)?;
        self.input.seek(offset - SYNC_BYTES)?;
        if self.input.array()? != self.sync {
            return Err(self.input.damaged(offset, "reading should go on here, but no sync marker stands before it"));
        }
        self.number = number;
        Ok(())
    }

    /// The next block; `None` at the end of the file. As it is stored it lies in `room`, whatever that held.
    pub fn next_entry(&mut self, mut room: Vec<u8>) -> Result<Option<Entry>> {
        let at = self.input.offset();
        if self.input.left() == 0 {
            return Ok(None);
        }
        let (count, size) = self.block_head(at)?;
        room.clear();
        self.input.append(size, &mut room)?;
        let sync_at = self.input.offset();
        if self.input.array()? != self.sync {
            return Err(self.input.damaged(sync_at, format!("the sync marker of block {} is wrong", self.number)));
        }
        let bytes = self.codec.unpack(room).map_err(|problem| {
            self.input.damaged(at, format!("block {} cannot be unpacked: {problem}", self.number))
        })?;
        if count == 0 && !bytes.is_empty() {
            let problem = format!("block {} says it has no events, yet holds {} bytes", self.number, bytes.len());
            return Err(self.input.damaged(at, problem));
        }
        let position = Position(at, self.number);
        self.number += 1;
        Ok(Some(Entry {
            position,
            next: Position(self.input.offset(), self.number),
            bytes,
            framing: Framing::Run(count),
            writer: Writer::Schema(Arc::clone(&self.schema)),
            publish_time: None,
        }))
    }

    /// Count and stored size of the block at `at`, within their bounds.
    fn block_head(&mut self, at: u64) -> Result<(u32, usize)> {
        let count = self.input.long()?;
        let size = self.input.long()?;
        let count_fits = u64::try_from(count).ok().filter(|count| *count <= CONTAINER_BLOCK_EVENTS_MAX);
        let Some(count_fits) = count_fits.and_then(|count| u32::try_from(count).ok()) else {
            let problem = format!("block {} has {count} events, 0 to {CONTAINER_BLOCK_EVENTS_MAX} can be", self.number);
            return Err(self.input.damaged(at, problem));
        };
        let Some(size_fits) = usize::try_from(size).ok().filter(|size| *size <= CONTAINER_BLOCK_BYTES_MAX) else {
            let problem = format!("block {} has {size} bytes, 0 to {CONTAINER_BLOCK_BYTES_MAX} can be", self.number);
            return Err(self.input.damaged(at, problem));
        };
        Ok((count_fits, size_fits))
    }
}

/// What the header says.
struct Header {
    schema: Arc<str>,
    codec: Codec,
    sync: [u8; SYNC_BYTES as usize],
}

fn read_header<R: Read + Seek>(input: &mut Input<R>) -> Result<Header> {
    let magic = input.array()?;
    if magic != MAGIC {
        return Err(input.damaged(0, "an Avro object container file begins with \"Obj\" and a byte of 1"));
    }
    let mut schema = None;
    let mut codec = Codec::Null;
    while let Some(entries) = metadata_block(input)? {
        for _ in 0..entries {
            let key = metadata_bytes(input)?;
            let at = input.offset();
            let value = metadata_bytes(input)?;
            match key.as_slice() {
                b"avro.schema" => {
                    let text = String::from_utf8(value).map_err(|_| input.damaged(at, "the schema is not UTF-8"))?;
                    schema = Some(Arc::from(text));
                }
                b"avro.codec" => codec = Codec::named(&value).map_err(|problem| input.damaged(at, problem))?,
                _ => {}
            }
        }
    }
    let Some(schema) = schema else {
        return Err(input.damaged(input.offset(), "the header has no avro.schema"));
    };
    Ok(Header { schema, codec, sync: input.array()? })
}

/// How many entries the next block of the metadata map has; `None` after the last. A negative count is followed by the
/// block's size in bytes.
fn metadata_block<R: Read + Seek>(input: &mut Input<R>) -> Result<Option<u64>> {
    let at = input.offset();
    let count = input.long()?;
    if count < 0 {
        input.long()?;
    }
    let count = count.unsigned_abs();
    if count > CONTAINER_HEADER_BYTES_MAX as u64 {
        return Err(input.damaged(at, format!("the header claims {count} metadata entries")));
    }
    Ok((count > 0).then_some(count))
}

/// A key or value of the metadata; keys are held in check by the bound on the whole header.
fn metadata_bytes<R: Read + Seek>(input: &mut Input<R>) -> Result<Vec<u8>> {
    let at = input.offset();
    let len = input.long()?;
    let room = (CONTAINER_HEADER_BYTES_MAX as u64).saturating_sub(at);
    let Some(fits) = usize::try_from(len).ok().filter(|len| (*len as u64) < room) else {
        let problem =
            format!("the header has {len} bytes of metadata here, {CONTAINER_HEADER_BYTES_MAX} in all can be");
        return Err(input.damaged(at, problem));
    };
    let mut bytes = Vec::new();
    input.append(fits, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
