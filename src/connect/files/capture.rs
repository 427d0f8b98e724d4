//! Capture files (`.events`): payloads as they came from a topic, good or bad.
//!
//! The format is `[u32 length, little-endian][payload]`, again and again, and nothing else. An entry is
//! [`CAPTURE_ENTRY_EVENTS`] payloads, or fewer where the next would not fit into [`ENTRY_BYTES_MAX`]: a function of the
//! bytes alone, counted from the file's start, so every reader finds the same entries.

use std::io::{Read, Seek};

use super::input::Input;
use crate::dataflow::edges::{Entry, Framing};
use crate::error::{Error, Result};
use crate::event::Span;
use crate::limits::{CAPTURE_ENTRY_EVENTS, ENTRY_BYTES_MAX};
use crate::snapshot::Position;

/// Reads the entries of one file in order.
pub struct CaptureReader<R> {
    input: Input<R>,
    number: u64,
    /// The length of the next payload, where it has been read already.
    ahead: Option<u32>,
    /// Bytes of the last entry: what the next one's buffer begins with.
    last_bytes: usize,
}

impl<R: Read + Seek> CaptureReader<R> {
    /// Goes to `from`: (byte offset of the entry, its number). Every error names the file and the offset.
    pub fn open(mut input: Input<R>, from: Option<Position>) -> Result<Self> {
        let Position(offset, number) = from.unwrap_or_default();
        if (offset == 0) != (number == 0) {
            return Err(input.damaged(offset, format!("reading should go on here at entry {number}, which cannot be")));
        }
        input.seek(offset)?;
        Ok(CaptureReader { input, number, ahead: None, last_bytes: 0 })
    }

    /// The next entry; `None` at the end of the file.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let position = self.position();
        let mut bytes = Vec::with_capacity(self.last_bytes);
        let mut spans = Vec::with_capacity(CAPTURE_ENTRY_EVENTS);
        while spans.len() < CAPTURE_ENTRY_EVENTS {
            let Some(len) = self.length()? else { break };
            if bytes.len() + len as usize > ENTRY_BYTES_MAX {
                self.ahead = Some(len);
                break;
            }
            let start = bytes.len() as u32;
            self.input.append(len as usize, &mut bytes)?;
            spans.push(Span { start, len });
        }
        if spans.is_empty() {
            return Ok(None);
        }
        self.last_bytes = bytes.len();
        self.number += 1;
        Ok(Some(Entry {
            position,
            next: self.position(),
            bytes,
            framing: Framing::Payloads(spans),
            schema: None,
            publish_time: None,
        }))
    }

    fn position(&self) -> Position {
        let length_bytes = if self.ahead.is_some() { 4 } else { 0 };
        Position(self.input.offset() - length_bytes, self.number)
    }

    /// The length of the next payload; `None` at the end of the file.
    fn length(&mut self) -> Result<Option<u32>> {
        if let Some(len) = self.ahead.take() {
            return Ok(Some(len));
        }
        if self.input.left() == 0 {
            return Ok(None);
        }
        let at = self.input.offset();
        let len = u32::from_le_bytes(self.input.array()?);
        if len as usize > ENTRY_BYTES_MAX {
            let problem = format!("a payload of {len} bytes is announced, {ENTRY_BYTES_MAX} can be");
            return Err(self.input.damaged(at, problem));
        }
        Ok(Some(len))
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

#[cfg(test)]
mod tests;
