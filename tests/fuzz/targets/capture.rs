//! Capture files: entries of payloads.

use std::io::Cursor;

use minuet::connect::files::Input;
use minuet::connect::files::capture::{CaptureReader, frame};
use minuet::dataflow::edges::{Entry, Framing};
use minuet::error::Result;
use minuet::snapshot::Position;

/// Reads a file from its beginning, and every entry once more from its own position. What was read frames to the same bytes.
pub fn capture(bytes: &[u8]) -> bool {
    let (entries, whole) = read(bytes);
    let mut framed = Vec::new();
    for entry in &entries {
        let again = open(bytes, Some(entry.position)).and_then(|mut reader| reader.next_entry(Vec::new()));
        let again = again.expect("an entry that was read can be read again").expect("it is there");
        assert_eq!((&again.bytes, &again.framing, again.next), (&entry.bytes, &entry.framing, entry.next));
        let Framing::Payloads(spans) = &entry.framing else { panic!("{:?}", entry.framing) };
        for span in spans {
            frame(&entry.bytes[span.start as usize..][..span.len as usize], &mut framed).expect("it was framed before");
        }
    }
    assert!(bytes.starts_with(&framed));
    assert!(!whole || bytes == framed);
    whole
}

fn open(bytes: &[u8], from: Option<Position>) -> Result<CaptureReader<Cursor<&[u8]>>> {
    CaptureReader::open(Input::new(Cursor::new(bytes), "fuzz", bytes.len() as u64), from)
}

/// The entries up to the end or to what is damaged; whether it was the end.
fn read(bytes: &[u8]) -> (Vec<Entry>, bool) {
    let mut entries = Vec::new();
    let mut reader = open(bytes, None).expect("the beginning of a capture file is always there");
    loop {
        match reader.next_entry(Vec::new()) {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return (entries, true),
            Err(_) => return (entries, false),
        }
    }
}
