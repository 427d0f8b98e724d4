//! Entries of a Pulsar topic.

use minuet::connect::pulsar::wire::entry::{Broken, open, peek};

/// Opens an entry as it is, and once more with its checksum put right, so that what lies behind that is reached too.
pub fn entry(bytes: &[u8]) -> bool {
    let accepted = opened(bytes);
    if bytes.starts_with(&[0x0e, 0x01]) && bytes.len() > 6 {
        let mut right = bytes.to_vec();
        right[2..6].copy_from_slice(&sum(&bytes[6..]).to_be_bytes());
        opened(&right);
    }
    accepted
}

/// What is opened is what the metadata promised, and its messages lie in it, one behind the other.
fn opened(bytes: &[u8]) -> bool {
    let (mut room, mut spans) = (vec![1; 99], Vec::new());
    let head = peek(bytes);
    match open(bytes, &mut room, &mut spans) {
        Ok(_) => {
            let head = head.expect("what can be opened can be looked at");
            assert_eq!(room.len(), head.uncompressed_size);
            assert!(spans.len() <= head.messages);
            let mut end = 0;
            for span in &spans {
                assert!(span.start >= end);
                end = span.start + span.len;
            }
            assert!(end as usize <= room.len());
            true
        }
        Err(broken) => {
            // Looking sees nothing that opening does not; only damage is seen later.
            assert!(head.is_ok() || head == Err(broken.clone()) || broken == Broken::Checksum, "{head:?}, {broken}");
            false
        }
    }
}

/// CRC32C, a bit at a time.
fn sum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}
