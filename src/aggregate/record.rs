//! The layout of records: self-delimiting runs of 8-byte words, plain data without pointers, the same on the wire as in memory.
//!
//! ```text
//!  word 0   length of the record in words (low 32 bits) | length of the source in bytes (high 32 bits)
//!  word 1   hash of the source
//!  word 2   minute
//!  event:   word 3 event time (ms, two's complement), word 4 order (partition << 48 | place in the partition),
//!           word 5 presence mask, then the input words of the layout; a text is `offset << 32 | length` in the tail
//!  partial: word 3 ... the state words of the layout
//!  tail:    the source's bytes, then texts, then whatever the layout adds; each padded with zeros to a whole word
//! ```
//! Offsets of texts count from the start of the tail. Events and partials never mix in one batch.

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

/// The length of a record's source in bytes.
pub fn source_len(record: &[u64]) -> usize {
    (record[0] >> 32) as usize
}

/// The bytes of the tail that begins after `fixed_words`, padding included; empty where the record is shorter.
pub fn tail(record: &[u64], fixed_words: usize) -> &[u8] {
    bytemuck::cast_slice(record.get(fixed_words..).unwrap_or(&[]))
}

/// A run of bytes in a tail, as `offset << 32 | length` says; empty where it would run past the end.
pub fn text(tail: &[u8], span: u64) -> &[u8] {
    let (start, len) = ((span >> 32) as usize, (span & 0xffff_ffff) as usize);
    tail.get(start..start + len).unwrap_or(&[])
}

/// The word that says where a text is.
pub fn span(start: usize, len: usize) -> u64 {
    ((start as u64) << 32) | len as u64
}

/// The source of a record whose tail begins after `fixed_words`.
pub fn source(record: &[u64], fixed_words: usize) -> &[u8] {
    text(tail(record, fixed_words), span(0, source_len(record)))
}

/// The source's bytes of an integer: big-endian with the sign bit flipped, so that bytes sort as numbers do.
pub fn integer_source(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

/// The integer of such bytes.
pub fn source_integer(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?) ^ i64::MIN)
}

/// The header of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventHead {
    /// Hash of the source.
    pub hash: u64,
    /// Its minute.
    pub minute: u64,
    /// Its event time in milliseconds.
    pub time: i64,
    /// [`order`] of its partition and place.
    pub order: u64,
    /// Which input fields are there.
    pub present: u64,
}

/// Appends an event: its input words, with those named by `texts` replaced by where their bytes come to lie in the tail.
pub fn write_event<'a>(
    out: &mut Vec<u64>,
    head: &EventHead,
    inputs: &[u64],
    source: &[u8],
    texts: impl Iterator<Item = (usize, &'a [u8])>,
) {
    let start = out.len();
    out.reserve(EVENT_HEADER_WORDS + inputs.len() + words_of(source.len()));
    out.extend_from_slice(&[0, head.hash, head.minute, head.time.cast_unsigned(), head.order, head.present]);
    out.extend_from_slice(inputs);
    let mut tail = Tail::begin(out, start, source);
    for (word, text) in texts {
        let span = tail.push(text);
        tail.out[start + EVENT_HEADER_WORDS + word] = span;
    }
    tail.end();
}

/// Words that so many bytes take.
fn words_of(len: usize) -> usize {
    len.div_ceil(8)
}

/// The tail of the record that is being written at the end of `out`.
pub(super) struct Tail<'a> {
    pub out: &'a mut Vec<u64>,
    start: usize,
    fixed: usize,
    source: usize,
}

impl<'a> Tail<'a> {
    /// Begins the tail of the record that starts at word `start`, with its source.
    #[inline]
    pub fn begin(out: &'a mut Vec<u64>, start: usize, source: &[u8]) -> Self {
        let fixed = out.len();
        let mut tail = Tail { out, start, fixed, source: source.len() };
        tail.push(source);
        tail
    }

    /// Appends bytes and says where they are.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> u64 {
        let at = (self.out.len() - self.fixed) * 8;
        // Word by word: texts are short, and a call to copy one takes longer than to move it.
        for eight in bytes.as_chunks::<8>().0 {
            self.out.push(u64::from_ne_bytes(*eight));
        }
        let rest = bytes.len() % 8;
        if rest > 0 {
            let word = match bytes.last_chunk::<8>() {
                // The bytes that stand in the word before are shifted out.
                Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest),
                None => short_word(bytes),
            };
            self.out.push(word.to_le());
        }
        span(at, bytes.len())
    }

    /// Writes the record's first word.
    #[inline]
    pub fn end(self) {
        self.out[self.start] = (self.out.len() - self.start) as u64 | ((self.source as u64) << 32);
    }
}

/// One to seven bytes as the low bytes of a word.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where the two overlap they have the same bytes at the same places.
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Bytes as words, padded with zeros; `None` where they take more than `N`.
pub(super) fn short_name<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = [0; N];
    bytemuck::cast_slice_mut::<u64, u8>(&mut words).get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(words)
}

/// Whether two runs of bytes are the same: as `==`, without the call that takes longer than to compare texts as short as these.
#[inline]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last_a), Some(last_b)) => {
            let eights = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
            last_a == last_b && eights.into_iter().all(|(a, b)| a == b)
        }
        _ => short_word(a) == short_word(b),
    }
}
