//! Avro object container files, as a source reads them.

use std::io::Cursor;

use minuet::connect::files::Input;
use minuet::connect::files::container::ContainerReader;
use minuet::dataflow::edges::{Entry, Framing};
use minuet::error::Result;
use minuet::limits::ENTRY_BYTES_MAX;
use minuet::snapshot::Position;

/// Blocks looked at: a small file may hold as many as it has bytes, each as large as an entry may be.
const BLOCKS: usize = 8;

/// Reads a file from its beginning, and every block once more from its own position.
pub fn container(bytes: &[u8]) -> bool {
    let Ok(mut reader) = open(bytes, None) else { return false };
    let mut end = None;
    for number in 0..BLOCKS {
        let entry = match reader.next_entry(Vec::new()) {
            Ok(Some(entry)) => entry,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let Position(_, place) = entry.position;
        assert_eq!(place, number as u64);
        assert!(end.is_none_or(|end| end == entry.position), "blocks leave no gap");
        end = Some(entry.next);
        check(bytes, &entry);
    }
    true
}

fn check(bytes: &[u8], entry: &Entry) {
    assert!(entry.bytes.len() <= ENTRY_BYTES_MAX);
    let Framing::Run(events) = entry.framing else { panic!("{:?}", entry.framing) };
    assert!(events > 0 || entry.bytes.is_empty());
    let again = open(bytes, Some(entry.position)).and_then(|mut reader| reader.next_entry(Vec::new()));
    let again = again.expect("a block that was read can be read again").expect("it is there");
    assert_eq!((&again.framing, again.next), (&entry.framing, entry.next));
    assert!(again.bytes == entry.bytes && again.writer == entry.writer);
}

fn open(bytes: &[u8], from: Option<Position>) -> Result<ContainerReader<Cursor<&[u8]>>> {
    ContainerReader::open(Input::new(Cursor::new(bytes), "fuzz", bytes.len() as u64), from)
}
