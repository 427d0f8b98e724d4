//! The wire form of batches between processes of one build: abomonation, kept to plain data.
//!
//! ```text
//!  word 0  build fingerprint: format number, record words, byte order
//!  word 1  slot that sent it (low 32 bits) | records in it (high 32 bits)
//!  word 2  words of the records
//!  word 3  XXH3 of the records' bytes
//!  then    the records, as abomonation writes `[u64]` without owned memory: the bytes themselves
//! ```
//!
//! Abomonation is sound only for types without pointers and padding, read from an aligned buffer (RUSTSEC-2021-0120).
//! So it is given nothing but [`Chunk`] and `u64`, everything is checked before it is called, and what it reads lies in a
//! `Vec<u64>`. Its form for a `Vec` was rejected: that writes the heap address and relies on `Vec`'s unspecified layout.

use std::io::{self, Write};

use abomonation::Abomonation;
use xxhash_rust::xxh3::xxh3_64;

/// Words of a chunk: 1 KiB, so that writing costs one call per KiB.
const CHUNK_WORDS: usize = 128;

/// Words before the records.
const HEADER_WORDS: usize = 4;

/// Changes with anything that changes the meaning of the bytes; the last part differs between byte orders.
const BUILD: u64 = 0x6d69_6e75_6574_0002 ^ ((CHUNK_WORDS as u64) << 16);

/// A run of words as abomonation sees it.
#[repr(C)]
struct Chunk([u64; CHUNK_WORDS]);

// The default methods of the trait are those for data without owned memory, which this is.
impl Abomonation for Chunk {}

/// What a message holds: who sent it, how many records, and their words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// The slot that sent it.
    pub from: u32,
    /// Records in `words`.
    pub records: u32,
    /// The records.
    pub words: Vec<u64>,
}

/// The length of a message in bytes, always a multiple of 8: timely keeps messages aligned only then.
pub(super) fn encoded_len(words: &[u64]) -> usize {
    (HEADER_WORDS + words.len()) * 8
}

/// Writes a message.
#[allow(unsafe_code)]
pub(super) fn encode<W: Write>(from: u32, records: u32, words: &[u64], out: &mut W) -> io::Result<()> {
    let header =
        [BUILD, u64::from(from) | (u64::from(records) << 32), words.len() as u64, xxh3_64(bytemuck::cast_slice(words))];
    for word in header {
        out.write_all(&word.to_ne_bytes())?;
    }
    let (chunks, rest) = words.as_chunks::<CHUNK_WORDS>();
    for chunk in chunks {
        // SAFETY: `Chunk` is `repr(C)` around an array of plain words, so the reference may be seen as one of it; it owns no
        // memory, so `encode` writes its bytes and nothing else.
        unsafe { abomonation::encode(&*std::ptr::from_ref(chunk).cast::<Chunk>(), out)? };
    }
    for word in rest {
        // SAFETY: a `u64` is plain data.
        unsafe { abomonation::encode(word, out)? };
    }
    Ok(())
}

/// Reads a message; the error says what does not fit. Never trusts a length it has not compared with the bytes there are.
#[allow(unsafe_code)]
pub(super) fn decode(bytes: &[u8]) -> Result<Parcel, &'static str> {
    if !bytes.len().is_multiple_of(8) || bytes.len() < HEADER_WORDS * 8 {
        return Err("its length is not that of a batch");
    }
    let header: Vec<u64> = bytes[..HEADER_WORDS * 8].chunks_exact(8).map(read_word).collect();
    if header[0] != BUILD {
        return Err("it comes from another build");
    }
    let body = &bytes[HEADER_WORDS * 8..];
    if header[2] != (body.len() / 8) as u64 {
        return Err("it is not as long as it says");
    }
    if header[3] != xxh3_64(body) {
        return Err("its checksum does not fit");
    }
    let mut words = vec![0_u64; body.len() / 8];
    bytemuck::cast_slice_mut::<u64, u8>(&mut words).copy_from_slice(body);
    let mut left: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    while !left.is_empty() {
        // SAFETY: `left` begins on a multiple of 8 bytes inside a `Vec<u64>`, is at least as long as what is read (decode
        // itself checks that too), and any bytes are a valid `Chunk` and a valid `u64`.
        let rest = unsafe {
            if left.len() >= size_of::<Chunk>() {
                abomonation::decode::<Chunk>(left).map(|(_, rest)| rest)
            } else {
                abomonation::decode::<u64>(left).map(|(_, rest)| rest)
            }
        };
        left = rest.ok_or("its records are cut off")?;
    }
    Ok(Parcel { from: header[1] as u32, records: (header[1] >> 32) as u32, words })
}

fn read_word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(from: u32, records: u32, words: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(from, records, words, &mut bytes).expect("a Vec takes every write");
        assert_eq!(bytes.len(), encoded_len(words));
        bytes
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(from: u32, records: u32, words in prop::collection::vec(any::<u64>(), 0..600)) {
            let parcel = decode(&encoded(from, records, &words)).expect("it was just written");
            prop_assert_eq!(parcel, Parcel { from, records, words });
        }

        #[test]
        fn a_changed_byte_of_the_records_is_noticed(
            words in prop::collection::vec(any::<u64>(), 1..300), at: prop::sample::Index, flip in 1_u8..=255,
        ) {
            let mut bytes = encoded(1, 2, &words);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            // The sender and the count are not covered: they are compared with what the records hold by whoever reads them.
            prop_assert!(decode(&bytes).is_err() || (8..16).contains(&at));
        }

        #[test]
        fn any_bytes_are_an_error_or_a_parcel(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn an_unaligned_message_is_read() {
        let words: Vec<u64> = (0..300).collect();
        let mut bytes = vec![0];
        bytes.extend(encoded(0, 3, &words));
        assert_eq!(decode(&bytes[1..]).expect("the bytes are whole").words, words);
    }

    #[test]
    fn a_cut_message_is_refused() {
        let bytes = encoded(0, 1, &[7; 200]);
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err());
        }
    }
}
