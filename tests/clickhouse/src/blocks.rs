//! Compressed blocks as ClickHouse frames them (`compress=1`, `decompress=1`): sum of what follows, method, lengths, data.

use crate::exception::Exception;

/// Sum (16 bytes), method (1), length with the header but without the sum (4), length of the data (4).
const SUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;
const PLAIN: u8 = 0x02;
/// What one block of an answer holds, as the server cuts them.
const OUTGOING: usize = 1 << 20;
/// The server's own bound for one block.
const LARGEST: usize = 1 << 30;

/// The server writes the halves of the sum in the other order than the hash gives them.
fn sum(bytes: &[u8]) -> u128 {
    cityhash_rs::cityhash_102_128(bytes).rotate_right(64)
}

/// Cuts an answer into LZ4 blocks.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut made = Vec::new();
    for piece in bytes.chunks(OUTGOING) {
        let packed = lz4_flex::block::compress(piece);
        let mut block = vec![LZ4];
        // Both are bounded by what a piece can grow to, about a megabyte.
        block.extend_from_slice(&((packed.len() + HEADER) as u32).to_le_bytes());
        block.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        block.extend_from_slice(&packed);
        made.extend_from_slice(&sum(&block).to_le_bytes());
        made.extend_from_slice(&block);
    }
    made
}

/// Unpacks blocks that come in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Unpacker {
    waiting: Vec<u8>,
}

impl Unpacker {
    /// Takes the next piece; gives what is complete with it.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, Exception> {
        self.waiting.extend_from_slice(piece);
        let (mut at, mut made) = (0, Vec::new());
        while let Some(block) = next_block(&self.waiting[at..])? {
            unpack(block, &mut made)?;
            at += block.len();
        }
        self.waiting.drain(..at);
        Ok(made)
    }

    /// Fails where the input ended within a block.
    pub(crate) fn end(&self) -> Result<(), Exception> {
        match self.waiting.len() {
            0 => Ok(()),
            left => Err(Exception::new(
                33,
                format!("Cannot read all data: the input ends {left} bytes into a compressed block"),
                "CANNOT_READ_ALL_DATA",
            )),
        }
    }
}

fn length(bytes: &[u8], at: usize) -> usize {
    bytes[at..at + 4].iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// The block at the start, with its sum, where all of it is there.
fn next_block(bytes: &[u8]) -> Result<Option<&[u8]>, Exception> {
    if bytes.len() < SUM + HEADER {
        return Ok(None);
    }
    let (packed, plain) = (length(bytes, SUM + 1), length(bytes, SUM + 5));
    if !(HEADER..=LARGEST).contains(&packed) || plain > LARGEST {
        let text = format!("a compressed block claims {packed} bytes for {plain}, which cannot be");
        return Err(Exception::new(271, text, "CANNOT_DECOMPRESS"));
    }
    Ok(bytes.get(..SUM + packed))
}

fn unpack(block: &[u8], made: &mut Vec<u8>) -> Result<(), Exception> {
    let (expected, body) = block.split_at(SUM);
    if sum(body).to_le_bytes() != expected {
        return Err(Exception::new(40, "Checksum doesn't match: corrupted data".to_owned(), "CHECKSUM_DOESNT_MATCH"));
    }
    let (data, plain) = (&body[HEADER..], length(body, 5));
    match body[0] {
        LZ4 => {
            let unpacked = lz4_flex::block::decompress(data, plain).ok().filter(|unpacked| unpacked.len() == plain);
            let broken = || Exception::new(271, "Cannot decompress an LZ4 block".to_owned(), "CANNOT_DECOMPRESS");
            made.extend(unpacked.ok_or_else(broken)?);
        }
        PLAIN if data.len() == plain => made.extend_from_slice(data),
        PLAIN => {
            let text = format!("a block of {plain} bytes that is not compressed has {}", data.len());
            return Err(Exception::new(271, text, "CANNOT_DECOMPRESS"));
        }
        method => return Err(Exception::refused(format!("compression method {method:#04x}; LZ4 and none are spoken"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(method: u8, data: &[u8], plain: usize) -> Vec<u8> {
        let mut block = vec![method];
        block.extend_from_slice(&u32::try_from(data.len() + HEADER).unwrap().to_le_bytes());
        block.extend_from_slice(&u32::try_from(plain).unwrap().to_le_bytes());
        block.extend_from_slice(data);
        [sum(&block).to_le_bytes().to_vec(), block].concat()
    }

    #[test]
    fn blocks_come_back_as_they_were_however_they_are_cut() {
        let text: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251 / 7) as u8).collect();
        let packed = compress(&text);
        for step in [1000, 65_536, packed.len()] {
            let mut unpacker = Unpacker::default();
            let back: Vec<u8> = packed.chunks(step).flat_map(|piece| unpacker.push(piece).unwrap()).collect();
            unpacker.end().unwrap();
            assert!(back == text, "pieces of {step}");
        }
    }

    #[test]
    fn what_is_broken_is_told_by_its_code() {
        let code = |bytes: &[u8]| Unpacker::default().push(bytes).unwrap_err().code();
        let mut flipped = compress(b"hello, hello, hello");
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(code(&flipped), 40);
        assert_eq!(code(&framed(LZ4, &[0xff; 9], 100)), 271);
        assert_eq!(code(&framed(PLAIN, b"abc", 4)), 271);
        assert_eq!(code(&framed(0x90, b"abc", 3)), 48);
        let mut unpacker = Unpacker::default();
        assert_eq!(unpacker.push(&framed(PLAIN, b"abc", 3)).unwrap(), b"abc");
        unpacker.push(&flipped[..30]).unwrap();
        assert_eq!(unpacker.end().unwrap_err().code(), 33);
    }
}
