//! Batches as they come from another process: as they are, and under a header that fits.

use minuet::dataflow::{Batch, Records};
use timely::bytes::arc::BytesMut;
use timely::dataflow::channels::ContainerBytes;

/// Bytes of the header.
const HEADER: usize = 32;

/// Reads a batch. What was read is written to the same bytes.
pub fn wire(bytes: &[u8]) -> bool {
    sealed(bytes);
    accepts(bytes)
}

/// The bytes as the words of a batch whose header and checksum are right.
fn sealed(bytes: &[u8]) {
    let words: Vec<u64> =
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("8 bytes"))).collect();
    let kind = if words.len().is_multiple_of(2) { Records::Events } else { Records::Partials };
    let batch = Batch { from: 3, kind, records: words.len() as u32, words, damaged: None };
    let written = write(&batch);
    assert!(accepts(&written), "what was written is refused");
    for at in [0, 8, 12, 16, 24] {
        let mut changed = written.clone();
        changed[at] ^= 1;
        assert!(!accepts(&changed), "a changed byte {at} of the header is not noticed");
    }
}

fn write(batch: &Batch) -> Vec<u8> {
    let mut written = Vec::new();
    batch.into_bytes(&mut written);
    assert_eq!(written.len(), batch.length_in_bytes());
    written
}

fn accepts(bytes: &[u8]) -> bool {
    let batch = Batch::from_bytes(BytesMut::from(bytes.to_vec()).freeze());
    if batch.damaged.is_some() {
        assert!(batch.words.is_empty() && batch.records == 0, "a damaged message holds records");
        return false;
    }
    assert_eq!(bytes.len(), HEADER + batch.words.len() * 8);
    assert!(write(&batch) == bytes);
    true
}
