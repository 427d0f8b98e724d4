//! Whole frames out of the bytes of a socket: a length, the length of a command, the command, and what follows it.

use std::ops::Range;

use crate::limits::{PULSAR_INBOX_BYTES, PULSAR_INBOX_KEPT_BYTES};

/// The two lengths in front of a command.
pub(super) const LENGTHS: usize = 8;

/// Bytes that have come and are not yet read as frames, in one buffer that is used again and again.
///
/// A frame is handed out as a range of the buffer, good until bytes are asked for again.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// What is not yet read as a frame.
    begin: usize,
    end: usize,
    /// The longest frame that is believed, without its own length.
    longest: usize,
}

/// A frame's command and what follows it, as ranges of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The command.
    pub command: Range<usize>,
    /// A message's payload; mostly empty.
    pub payload: Range<usize>,
}

impl Inbox {
    /// An empty buffer for frames of up to this many bytes.
    pub fn new(longest: usize) -> Self {
        Inbox { bytes: Vec::new(), begin: 0, end: 0, longest }
    }

    /// From now on frames of up to this many bytes are believed.
    pub fn believe(&mut self, longest: usize) {
        self.longest = longest;
    }

    /// The longest frame that is believed.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Room for more bytes, never empty. What is there of a frame is moved to the front where the rest would not fit behind it.
    pub fn room(&mut self) -> &mut [u8] {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
            if self.bytes.len() > PULSAR_INBOX_KEPT_BYTES {
                self.bytes = Vec::new();
            }
        }
        let wanted = self.wanted().max(self.waiting() + PULSAR_INBOX_BYTES / 4);
        if self.begin + wanted > self.bytes.len() {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            if wanted > self.bytes.len() {
                self.bytes.resize(wanted.max(PULSAR_INBOX_BYTES), 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes of the room have been filled.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Bytes that have come and are not yet read.
    pub fn waiting(&self) -> usize {
        self.end - self.begin
    }

    /// Bytes that the frame at the front will have, with its own length; 0 where that is not yet known.
    fn wanted(&self) -> usize {
        let length = self.bytes[self.begin..self.end].first_chunk();
        length.map_or(0, |length| (u32::from_be_bytes(*length) as usize).min(self.longest) + 4)
    }

    /// The next whole frame, if it has come; the error says how it is none.
    pub fn take(&mut self) -> Result<Option<Parts>, String> {
        let waiting = &self.bytes[self.begin..self.end];
        let Some((length, rest)) = waiting.split_first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(4..=self.longest).contains(&length) {
            return Err(format!("a frame of {length} bytes; allowed are 4 to {}", self.longest));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let command = rest.first_chunk().map_or(usize::MAX, |length| u32::from_be_bytes(*length) as usize);
        if command > length - 4 {
            return Err(format!("a command of {command} bytes in a frame of {length}"));
        }
        let begin = self.begin + LENGTHS;
        self.begin += 4 + length;
        Ok(Some(Parts { command: begin..begin + command, payload: begin + command..self.begin }))
    }

    /// The bytes of a range that [`Inbox::take`] gave.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}
