//! A block: the lines of one insert as bytes, without bookkeeping, and the hash that names them.
//!
//! The bytes are kept until the insert is acknowledged, so that a second try sends the very same. Bookkeeping is put after each line
//! only on the way out: it has the hash of all of them.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::tables::Table;
use crate::error::Result;
use crate::limits::CLICKHOUSE_CHUNK_BYTES;

/// Lines of one insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where each line ends in them.
    ends: Vec<usize>,
    /// XXH3-64 of the bytes.
    pub hash: u64,
}

impl Block {
    /// The block of these lines; `write` appends the bytes of one.
    pub(super) fn of<L>(
        lines: impl IntoIterator<Item = L>,
        mut write: impl FnMut(L, &mut Vec<u8>) -> Result<()>,
    ) -> Result<Self> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for line in lines {
            write(line, &mut bytes)?;
            ends.push(bytes.len());
        }
        bytes.shrink_to_fit();
        let hash = xxh3_64(&bytes);
        Ok(Block { bytes, ends, hash })
    }

    /// Lines in it.
    pub(super) fn lines(&self) -> u64 {
        self.ends.len() as u64
    }

    /// What is sent, piece by piece: the header, then each line with `bookkeeping` after it.
    pub(super) fn pieces<'a>(&'a self, header: &'a [u8], bookkeeping: &'a [u8]) -> impl Iterator<Item = Bytes> + 'a {
        let mut next = 0;
        let mut begun = false;
        std::iter::from_fn(move || {
            let mut piece = Vec::with_capacity(CLICKHOUSE_CHUNK_BYTES);
            if !begun {
                piece.extend_from_slice(header);
                begun = true;
            }
            while next < self.ends.len() && piece.len() < CLICKHOUSE_CHUNK_BYTES {
                let start = next.checked_sub(1).map_or(0, |before| self.ends[before]);
                piece.extend_from_slice(&self.bytes[start..self.ends[next]]);
                piece.extend_from_slice(bookkeeping);
                next += 1;
            }
            (!piece.is_empty()).then(|| Bytes::from(piece))
        })
    }
}

/// What comes before the lines of a table: how many columns, their names, their types.
pub(super) fn header(table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    length(table.given().count(), &mut out);
    table.given().for_each(|(name, _)| text(name.as_bytes(), &mut out));
    table.given().for_each(|(_, type_name)| text(type_name.as_bytes(), &mut out));
    out
}

/// A length: seven bits a byte, the lowest first.
pub(super) fn length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    out.push(length as u8);
}

/// A text: its length and its bytes.
pub(super) fn text(bytes: &[u8], out: &mut Vec<u8>) {
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// A number of a table.
pub(super) fn number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_seven_bits_a_byte() {
        let written = |number| {
            let mut out = Vec::new();
            length(number, &mut out);
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(127), [127]);
        assert_eq!(written(128), [0x80, 1]);
        assert_eq!(written(16_384), [0x80, 0x80, 1]);
    }

    #[test]
    fn pieces_are_the_lines_with_bookkeeping_and_the_hash_is_of_them_without() {
        let line = |fill: u8, out: &mut Vec<u8>| {
            out.extend(std::iter::repeat_n(fill, CLICKHOUSE_CHUNK_BYTES / 2));
            Ok(())
        };
        let block = Block::of([1, 2, 3, 4, 5], line).expect("it can be written");
        let pieces: Vec<Bytes> = block.pieces(b"head", b"tail").collect();
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() < 2 * CLICKHOUSE_CHUNK_BYTES));
        let all = pieces.concat();
        let mut expected = b"head".to_vec();
        for fill in 1..=5_u8 {
            expected.extend(vec![fill; CLICKHOUSE_CHUNK_BYTES / 2]);
            expected.extend(b"tail");
        }
        assert!(all == expected);
        assert_eq!(block.hash, xxh3_64(&block.bytes));
        assert_eq!(block.lines(), 5);
    }
}
