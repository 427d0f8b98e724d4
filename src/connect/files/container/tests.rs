use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use apache_avro::types::Value;
use apache_avro::{Codec as AvroCodec, Schema};
use proptest::prelude::*;

use super::*;
use crate::error::Fault;

const SCHEMA: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"key","type":"string"},{"name":"n","type":"long"}]}"#;

fn record(n: i64) -> Value {
    Value::Record(vec![("key".into(), Value::String(format!("source-{}", n % 7))), ("n".into(), Value::Long(n))])
}

/// A file of `blocks` blocks of ten records, by the independent writer.
fn written(codec: AvroCodec, blocks: i64) -> Vec<u8> {
    let schema = Schema::parse_str(SCHEMA).expect("it is a schema");
    let mut writer = apache_avro::Writer::with_codec(&schema, Vec::new(), codec).expect("it has a header");
    for block in 0..blocks {
        for n in 0..10 {
            writer.append_value(record(block * 10 + n)).expect("it fits the schema");
        }
        writer.flush().expect("memory takes all");
    }
    writer.into_inner().expect("memory takes all")
}

fn codecs() -> Vec<AvroCodec> {
    vec![
        AvroCodec::Null,
        AvroCodec::Deflate(Default::default()),
        AvroCodec::Snappy,
        AvroCodec::Bzip2(Default::default()),
        AvroCodec::Xz(Default::default()),
        AvroCodec::Zstandard(Default::default()),
    ]
}

fn read(bytes: &[u8], from: Option<Position>) -> Result<Vec<Entry>> {
    let input = Input::new(Cursor::new(bytes), "x.avro", bytes.len() as u64);
    let mut reader = ContainerReader::open(input, from)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry(Vec::new())? {
        entries.push(entry);
    }
    Ok(entries)
}

fn schema_of(entry: &Entry) -> &str {
    match &entry.writer {
        Writer::Schema(json) => json,
        other => panic!("a file has a schema, this entry {other:?}"),
    }
}

/// The records of entries, decoded by the independent reader; every byte must be used.
fn values(entries: &[Entry]) -> Vec<Value> {
    let mut values = Vec::new();
    for entry in entries {
        let schema = Schema::parse_str(schema_of(entry)).expect("a valid one");
        let mut bytes = entry.bytes.as_slice();
        for _ in 0..entry.framing.events() {
            let datum = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("it resolves");
            values.push(datum.read_value(&mut bytes).expect("the block holds its events"));
        }
        assert!(bytes.is_empty());
    }
    values
}

fn same(a: &Entry, b: &Entry) -> bool {
    (a.position, a.next, &a.bytes, &a.framing, &a.writer) == (b.position, b.next, &b.bytes, &b.framing, &b.writer)
}

#[test]
fn every_codec_of_the_independent_writer_is_read() {
    for codec in codecs() {
        let entries = read(&written(codec, 3), None).expect("the file is whole");
        assert_eq!(entries.len(), 3);
        assert!(entries.iter().all(|entry| entry.framing == Framing::Run(10)));
        assert_eq!(values(&entries), (0..30).map(record).collect::<Vec<_>>(), "{codec:?}");
    }
}

#[test]
fn reading_goes_on_at_every_position() {
    let bytes = written(AvroCodec::Snappy, 5);
    let all = read(&bytes, None).expect("the file is whole");
    assert_eq!(all.windows(2).filter(|pair| pair[0].next != pair[1].position).count(), 0);
    for (index, entry) in all.iter().enumerate() {
        let from_here = read(&bytes, Some(entry.position)).expect("a position of an entry");
        assert!(from_here.iter().zip(&all[index..]).all(|(a, b)| same(a, b)));
        assert_eq!(from_here.len(), all.len() - index);
        let after = read(&bytes, Some(entry.next)).expect("the next position");
        assert_eq!(after.len(), all.len() - index - 1);
    }
}

#[test]
fn a_position_that_is_none_is_refused() {
    let bytes = written(AvroCodec::Null, 2);
    let all = read(&bytes, None).expect("the file is whole");
    let good: Vec<u64> = all.iter().flat_map(|entry| [entry.position.0, entry.next.0]).collect();
    for offset in (0..bytes.len() as u64 + 20).filter(|offset| !good.contains(offset)).chain([u64::MAX]) {
        let error = read(&bytes, Some(Position(offset, 1))).expect_err("no block begins here");
        assert_eq!(error.fault, Fault::Data);
    }
    assert!(read(&bytes, Some(Position(good[0], 1))).is_err(), "the first block has number 0");
    assert!(read(&bytes, Some(Position(good[1], 0))).is_err(), "the second has not");
}

#[test]
fn a_file_cut_anywhere_is_refused_unless_between_blocks() {
    for codec in codecs() {
        let bytes = written(codec, 3);
        let all = read(&bytes, None).expect("the file is whole");
        let whole: Vec<usize> = all.iter().flat_map(|e| [e.position.0 as usize, e.next.0 as usize]).collect();
        for len in 0..bytes.len() {
            match read(&bytes[..len], None) {
                Ok(entries) => assert!(whole.contains(&len) && entries.len() < 3, "cut to {len}"),
                Err(error) => {
                    assert!(!whole.contains(&len), "cut to {len}: {error}");
                    assert_eq!(error.fault, Fault::Data);
                    let message = error.to_string();
                    assert!(message.contains("x.avro is damaged at byte "), "{message}");
                }
            }
        }
    }
}

#[test]
fn a_bit_flipped_in_a_marker_or_packed_block_is_found() {
    let bytes = written(AvroCodec::Snappy, 2);
    let all = read(&bytes, None).expect("the file is whole");
    let first = all[0].position.0 as usize;
    for index in first + 3..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        let found = read(&damaged, None);
        let differs = found.as_ref().is_ok_and(|entries| !same(&entries[0], &all[0]) || !same(&entries[1], &all[1]));
        // Only the count of the second block is guarded by nothing but the decoder.
        let second_count = all[1].position.0 as usize;
        assert!(found.is_err() || (differs && index == second_count), "byte {index}");
    }
}

#[test]
fn bad_headers_are_told_apart() {
    let problem = |bytes: &[u8]| read(bytes, None).expect_err("the header is bad").to_string();
    assert!(problem(b"PAR1").contains("begins with"), "{}", problem(b"PAR1"));
    let sync = [9; 16];
    let head = |map: &[u8]| [&MAGIC[..], map, &sync].concat();
    assert!(problem(&head(&[0])).contains("no avro.schema"));
    assert!(problem(&head(b"\x02\x16avro.schema\x02\xff\x00")).contains("not UTF-8"));
    assert!(problem(&head(b"\x02\x14avro.codec\x06lz4\x00")).contains("known are null"));
    assert!(problem(&head(b"\x02\x01")).contains("-1 bytes of metadata"));
    assert!(problem(&head(&[0xff; 12])).contains("more than 64 bits"));
    assert!(problem(&head(&[0xff, 0xff, 0xff, 0xff, 0x7f])).contains("metadata entries"));
}

#[test]
fn a_metadata_map_in_sized_blocks_is_read() {
    // Count -1, then the block's size: the other form the specification allows.
    let map = b"\x01\x26\x16avro.schema\x0a\"int\"\x01\x20\x14avro.codec\x08null\x00";
    let sync = [9; 16];
    let block = b"\x04\x04\x02\x06";
    let bytes = [&MAGIC[..], map, &sync, block, &sync].concat();
    let entries = read(&bytes, None).expect("the file is whole");
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].framing.clone(), entries[0].bytes.clone()), (Framing::Run(2), vec![2, 6]));
    assert_eq!(schema_of(&entries[0]), "\"int\"");
}

#[test]
fn impossible_blocks_are_refused() {
    let sync = [9; 16];
    let head = [&MAGIC[..], b"\x02\x16avro.schema\x0a\"int\"\x00", &sync].concat();
    let problem = |block: &[u8]| {
        let bytes = [&head[..], block, &sync].concat();
        read(&bytes, None).expect_err("the block is bad").to_string()
    };
    assert!(problem(b"\x01\x00").contains("-1 events"));
    assert!(problem(b"\x02\x01").contains("-1 bytes"));
    assert!(problem(b"\x00\x02x").contains("no events, yet holds 1 bytes"));
    assert!(problem(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00").contains("9223372036854775807 events"));
    assert!(problem(b"\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01").contains("9223372036854775807 bytes"));
    assert!(
        problem(b"\x02\x80\x80\x40").contains("should follow, but the file ends"),
        "{}",
        problem(b"\x02\x80\x80\x40")
    );
}

#[test]
fn real_files_of_another_encoder_are_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flights");
    let mut events = 0;
    for part in 0..4 {
        let path = folder.join(format!("part-{part}.avro"));
        let file = File::open(&path).expect("the file is part of the tests");
        let len = file.metadata().expect("it has a length").len();
        let mut reader = ContainerReader::open(Input::new(file, "part", len), None).expect("the header is whole");
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry(Vec::new()).expect("the file is whole") {
            entries.push(entry);
        }
        assert!(entries.len() > 10, "blocks are small");
        let file = File::open(&path).expect("the file is part of the tests");
        let oracle = apache_avro::Reader::new(std::io::BufReader::new(file)).expect("the header is whole");
        let wanted: Vec<Value> = oracle.map(|value| value.expect("the file is whole")).collect();
        assert_eq!(values(&entries), wanted);
        events += wanted.len();
    }
    assert_eq!(events, 27_004);
}

proptest! {
    #[test]
    fn damage_never_panics_or_hangs(codec in 0_usize..6, flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
        let mut bytes = written(codecs()[codec], 3);
        for (at, with) in flips {
            let index = usize::from(at) % bytes.len();
            bytes[index] ^= with;
        }
        if let Err(error) = read(&bytes, None) {
            prop_assert_eq!(error.fault, Fault::Data);
        }
    }
}
