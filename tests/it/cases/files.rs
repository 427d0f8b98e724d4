//! A case as files, for the real binary: where its entries can be laid down in files at all.

use std::fs;
use std::path::Path;

use super::written::{Case, Entry, Step};

/// The marker between the blocks of the container files written here; any sixteen bytes do.
const SYNC: [u8; 16] = *b"minuet case file";

/// Writes each partition of a case as a file; whether it can be done. Files have no publish time and are never idle, an entry of a
/// capture file is a thousand payloads long, and a block of an Avro file cannot go on after an event that cannot be read.
pub(super) fn lay_down(case: &Case, folder: &Path) -> bool {
    let fits = case.steps.iter().all(|step| match step {
        Step::Idle(_) => false,
        Step::Crash => true,
        Step::Entry(entry) => entry.publish_time.is_none(),
    });
    let partitions: Vec<Vec<&Entry>> = (0..case.partitions()).map(|number| case.entries(number)).collect();
    let framed = |entries: &[&Entry]| entries.len() <= 1;
    let whole = |entries: &[&Entry]| entries.iter().all(|entry| entry.well_formed);
    if !fits || !partitions.iter().all(|entries| framed(entries) || whole(entries)) {
        return false;
    }
    fs::create_dir_all(folder).unwrap();
    for (number, entries) in partitions.iter().enumerate() {
        if whole(entries) {
            fs::write(folder.join(format!("part-{number:02}.avro")), container(&case.schema_json, entries)).unwrap();
        } else {
            fs::write(folder.join(format!("part-{number:02}.events")), capture(entries)).unwrap();
        }
    }
    true
}

fn capture(entries: &[&Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in entries.iter().flat_map(|entry| &entry.payloads) {
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// An Avro object container file without compression, a block per entry.
fn container(schema: &str, entries: &[&Entry]) -> Vec<u8> {
    let mut bytes = b"Obj\x01".to_vec();
    long(2, &mut bytes);
    for (key, value) in [("avro.schema", schema), ("avro.codec", "null")] {
        for text in [key, value] {
            long(text.len(), &mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    long(0, &mut bytes);
    bytes.extend_from_slice(&SYNC);
    for entry in entries {
        long(entry.payloads.len(), &mut bytes);
        long(entry.payloads.iter().map(Vec::len).sum(), &mut bytes);
        bytes.extend(entry.payloads.iter().flatten());
        bytes.extend_from_slice(&SYNC);
    }
    bytes
}

/// An Avro long that is not negative: doubled, seven bits a byte, low ones first.
fn long(value: usize, out: &mut Vec<u8>) {
    let mut left = value << 1;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
