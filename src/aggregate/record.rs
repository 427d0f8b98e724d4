//! The layout of records: self-delimiting runs of 8-byte words, plain data without pointers, the same on the wire as in memory.
//!
//! ```text
//!  word 0   length of the record in words (low 32 bits) | length of the source in bytes (high 32 bits)
//!  word 1   hash of the source
//!  word 2   minute
//!  event:   word 3 event time (ms, two's complement), word 4 order (partition << 48 | place in the partition),
//!           word 5 presence mask, then the input words of the layout; a text is `offset << 32 | length` in the tail
//!  partial: word 3 ... the state words of the layout
//!  tail:    the source's bytes, then texts, then whatever the layout adds; padded with zeros to a whole word
//! ```
//! Offsets of texts count from the start of the tail. Two kinds never mix in one batch.

/// Words before an event's input words.
pub const EVENT_HEADER_WORDS: usize = 6;

/// Words before a partial's state words.
pub const PARTIAL_HEADER_WORDS: usize = 3;

/// The place of an event in the order that `first` and `last` go by, after its time.
pub fn order(partition: u32, place: u64) -> u64 {
    (u64::from(partition) << 48) | (place & ((1 << 48) - 1))
}

/// The records of a batch, one after another. Stops at a record whose length is 0 or runs past the end (never panics).
pub fn records(words: &[u64]) -> Records<'_> {
    Records { words }
}

/// See [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    words: &'a [u64],
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u64];

    fn next(&mut self) -> Option<&'a [u64]> {
        let len = (self.words.first()? & 0xffff_ffff) as usize;
        if len < PARTIAL_HEADER_WORDS || len > self.words.len() {
            return None;
        }
        let (record, rest) = self.words.split_at(len);
        self.words = rest;
        Some(record)
    }
}

/// The hash of a record's source.
pub fn hash(record: &[u64]) -> u64 {
    record[1]
}

/// The minute of a record.
pub fn minute(record: &[u64]) -> u64 {
    record[2]
}

/// The bytes of a record's tail, padding included.
pub fn tail(record: &[u64], fixed_words: usize) -> &[u8] {
    bytemuck::cast_slice(&record[fixed_words..])
}

/// The length of a record's source in bytes.
pub fn source_len(record: &[u64]) -> usize {
    (record[0] >> 32) as usize
}
