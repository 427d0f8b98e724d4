//! The bytes of a source file, read in big pieces, with the offset that messages and positions need.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};

use crate::error::{Error, Result};
use crate::limits::FILE_BUFFER_BYTES;

/// A file up to the length it had when it was first looked at: what is appended later is not read.
pub struct Input<R> {
    reader: BufReader<R>,
    name: String,
    offset: u64,
    len: u64,
}

impl<R: Read + Seek> Input<R> {
    /// The first `len` bytes of `reader`; `name` stands in messages.
    pub fn new(reader: R, name: impl Into<String>, len: u64) -> Self {
        // Thousands of small files are open at once: none takes more than it can fill.
        let buffer = usize::try_from(len).unwrap_or(usize::MAX).clamp(1, FILE_BUFFER_BYTES);
        Input { reader: BufReader::with_capacity(buffer, reader), name: name.into(), offset: 0, len }
    }

    /// Where the next byte is.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes to come.
    pub fn left(&self) -> u64 {
        self.len.saturating_sub(self.offset)
    }

    /// Goes to `offset`; one past the end is an error.
    pub fn seek(&mut self, offset: u64) -> Result<()> {
        if offset > self.len {
            let problem = format!("byte {offset} is asked for, but the file ends at byte {}", self.len);
            return Err(self.damaged(self.len, problem));
        }
        self.reader
            .seek(SeekFrom::Start(offset))
            .map_err(|cause| Error::outside(format!("seeking to byte {offset} of {}", self.name), cause))?;
        self.offset = offset;
        Ok(())
    }

    /// Appends the next `count` bytes to `out`; fewer left is an error. Reserves no more than the file holds.
    pub fn append(&mut self, count: usize, out: &mut Vec<u8>) -> Result<()> {
        self.require(count)?;
        out.reserve(count);
        self.pieces(count, |piece| out.extend_from_slice(piece))
    }

    /// Reads the next bytes into all of `room`, without a stop in the buffer where that is empty.
    pub fn fill(&mut self, room: &mut [u8]) -> Result<()> {
        self.require(room.len())?;
        let direct = self.reader.buffer().is_empty();
        let read = if direct { self.reader.get_mut().read_exact(room) } else { self.reader.read_exact(room) };
        read.map_err(|cause| match cause.kind() {
            ErrorKind::UnexpectedEof => self.damaged(self.offset, "the file became shorter while it was read"),
            _ => Error::outside(format!("reading {} at byte {}", self.name, self.offset), cause),
        })?;
        self.offset += room.len() as u64;
        Ok(())
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.require(N)?;
        let mut array = [0; N];
        let mut filled = 0;
        self.pieces(N, |piece| {
            array[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        })?;
        Ok(array)
    }

    fn require(&self, count: usize) -> Result<()> {
        if self.left() < count as u64 {
            let problem = format!("{count} bytes should follow, but the file ends after {}", self.left());
            return Err(self.damaged(self.offset, problem));
        }
        Ok(())
    }

    /// Hands over the next `count` bytes in the pieces they are buffered in.
    fn pieces(&mut self, count: usize, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut missing = count;
        while missing > 0 {
            let piece = match self.reader.fill_buf() {
                Ok([]) => return Err(self.damaged(self.offset, "the file became shorter while it was read")),
                Ok(piece) => &piece[..piece.len().min(missing)],
                Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
                Err(cause) => {
                    return Err(Error::outside(format!("reading {} at byte {}", self.name, self.offset), cause));
                }
            };
            let read = piece.len();
            take(piece);
            self.reader.consume(read);
            self.offset += read as u64;
            missing -= read;
        }
        Ok(())
    }

    /// The next long as Avro writes it: zigzag, seven bits per byte, low ones first; at most ten bytes.
    pub fn long(&mut self) -> Result<i64> {
        let at = self.offset;
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(self.damaged(at, "a number takes more than 64 bits"))
    }

    /// An error in the file's bytes. A file is finite and can be had again, so it is read whole or not at all.
    pub fn damaged(&self, offset: u64, problem: impl fmt::Display) -> Error {
        Error::data(format!(
            "{} is damaged at byte {offset}: {problem}. replace it by an intact copy and start again",
            self.name
        ))
    }
}
