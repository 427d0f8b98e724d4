//! Capture files (`.events`): payloads as they came from a topic, good or bad.
//!
//! The format is `[u32 length, little-endian][payload]`, again and again, and nothing else. An entry is
//! [`CAPTURE_ENTRY_EVENTS`] payloads, or fewer where the next would not fit into [`ENTRY_BYTES_MAX`]: a function of the
//! bytes alone, counted from the file's start, so every reader finds the same entries.

use std::io::{Read, Seek};

use super::input::Input;
use crate::dataflow::edges::{Entry, Framing, Writer};
use crate::error::{Error, Result};
use crate::event::Span;
use crate::limits::{CAPTURE_ENTRY_EVENTS, ENTRY_BYTES_MAX, FILE_BUFFER_BYTES};
use crate::snapshot::Position;

/// Bytes of the length before each payload.
const LENGTH_BYTES: usize = 4;

/// Bytes to read at least where an entry turns out longer than the one before: a call for every payload would cost more.
const READ_MIN: usize = 16 << 10;

/// Reads the entries of one file in order. An entry's bytes are those of the file, lengths and all: they are read right into
/// its buffer and copied nowhere.
pub struct CaptureReader<R> {
    input: Input<R>,
    number: u64,
    /// Bytes that were read past the last entry; the next one begins with them.
    tail: Vec<u8>,
    /// Bytes of the last entry: about as long is the next.
    expected: usize,
}

/// The bytes of an entry while it is read.
struct Filling<'a, R> {
    input: &'a mut Input<R>,
    expected: usize,
    /// What is past `have` is left from an earlier use of the buffer.
    bytes: Vec<u8>,
    have: usize,
}

impl<R: Read + Seek> CaptureReader<R> {
    /// Goes to `from`: (byte offset of the entry, its number). Every error names the file and the offset.
    pub fn open(mut input: Input<R>, from: Option<Position>) -> Result<Self> {
        let Position(offset, number) = from.unwrap_or_default();
        if (offset == 0) != (number == 0) {
            return Err(input.damaged(offset, format!("reading should go on here at entry {number}, which cannot be")));
        }
        input.seek(offset)?;
        Ok(CaptureReader { input, number, tail: Vec::new(), expected: FILE_BUFFER_BYTES })
    }

    /// The next entry, in the buffer `room` whatever it held; `None` at the end of the file.
    pub fn next_entry(&mut self, mut room: Vec<u8>) -> Result<Option<Entry>> {
        let position = self.position();
        let have = self.tail.len();
        room.resize(room.len().max(have), 0);
        room[..have].copy_from_slice(&self.tail);
        let mut filling = Filling { input: &mut self.input, expected: self.expected, bytes: room, have };
        let mut spans = Vec::with_capacity(CAPTURE_ENTRY_EVENTS);
        let (mut at, mut payloads) = (0, 0);
        while spans.len() < CAPTURE_ENTRY_EVENTS {
            let Some(len) = filling.length(at)? else { break };
            if payloads + len > ENTRY_BYTES_MAX {
                break;
            }
            let start = at + LENGTH_BYTES;
            at = start + len;
            payloads += len;
            filling.require(start, at)?;
            spans.push(Span { start: start as u32, len: len as u32 });
        }
        let Filling { mut bytes, have, .. } = filling;
        if spans.is_empty() {
            return Ok(None);
        }
        self.tail.clear();
        self.tail.extend_from_slice(&bytes[at..have]);
        bytes.truncate(at);
        self.expected = at;
        self.number += 1;
        Ok(Some(Entry {
            position,
            next: self.position(),
            bytes,
            framing: Framing::Payloads(spans),
            writer: Writer::Own,
            publish_time: None,
        }))
    }

    fn position(&self) -> Position {
        Position(self.input.offset() - self.tail.len() as u64, self.number)
    }
}

impl<R: Read + Seek> Filling<'_, R> {
    /// The length of the payload that stands at `at`; `None` at the end of the file.
    fn length(&mut self, at: usize) -> Result<Option<usize>> {
        if at == self.have && self.input.left() == 0 {
            return Ok(None);
        }
        self.require(at, at + LENGTH_BYTES)?;
        let mut length = [0; LENGTH_BYTES];
        length.copy_from_slice(&self.bytes[at..at + LENGTH_BYTES]);
        let len = u32::from_le_bytes(length) as usize;
        if len > ENTRY_BYTES_MAX {
            let problem = format!("a payload of {len} bytes is announced, {ENTRY_BYTES_MAX} can be");
            return Err(self.input.damaged(self.offset(at), problem));
        }
        Ok(Some(len))
    }

    /// Reads on until there are `end` bytes; the error says what is missing of those from `start` on.
    fn require(&mut self, start: usize, end: usize) -> Result<()> {
        let Some(missing) = end.checked_sub(self.have).filter(|missing| *missing > 0) else { return Ok(()) };
        if self.input.left() < missing as u64 {
            let here = (self.have - start.min(self.have)) as u64 + self.input.left();
            let problem = format!("{} bytes should follow, but the file ends after {here}", end - start);
            return Err(self.input.damaged(self.offset(start), problem));
        }
        let wanted = missing.max(self.expected.saturating_sub(self.have)).max(READ_MIN);
        let count = usize::try_from(self.input.left()).unwrap_or(usize::MAX).min(wanted);
        if self.bytes.len() < self.have + count {
            self.bytes.resize(self.have + count, 0);
        }
        self.input.fill(&mut self.bytes[self.have..self.have + count])?;
        self.have += count;
        Ok(())
    }

    /// Where in the file a byte of the entry lies.
    fn offset(&self, at: usize) -> u64 {
        self.input.offset() - self.have as u64 + at as u64
    }
}

/// Appends one payload as a capture file has it; one of more than [`ENTRY_BYTES_MAX`] bytes is an error.
pub fn frame(payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let len = u32::try_from(payload.len()).ok().filter(|len| *len as usize <= ENTRY_BYTES_MAX);
    let Some(len) = len else {
        let len = payload.len();
        return Err(Error::configuration(format!("a payload has {len} bytes, {ENTRY_BYTES_MAX} can be")));
    };
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

const _: () = assert!(
    ENTRY_BYTES_MAX + (CAPTURE_ENTRY_EVENTS + 1) * LENGTH_BYTES <= u32::MAX as usize,
    "places in an entry are 32 bits"
);

#[cfg(test)]
mod tests;
