//! The seeds, as the program's own writers and apache-avro make them. They are kept as files; this writes them anew where a format
//! has changed: `cargo test --test it fuzz::seeds -- --ignored`.

use std::fs;

use apache_avro::types::Value;
use apache_avro::{Codec, Schema, Writer};
use minuet::aggregate::exact_sum::ExactSum;
use minuet::aggregate::partial::{FieldState, Partial, Picked, Sum, When};
use minuet::aggregate::record::{EventHead, write_event};
use minuet::cluster::handshake::{Hello, Identity, Kind};
use minuet::connect::files::capture::frame;
use minuet::dataflow::{Batch, Records};
use minuet::snapshot::{Manifest, PartRef, PartitionCut, part};
use pulsar_double::proto::{CommandError, CommandMessage, CommandPing, MessageIdData};
use pulsar_double::{Codec as Packed, Message, Shape, Type, command, frame as framed};
use sha2::{Digest, Sha256};
use timely::dataflow::channels::ContainerBytes;

use super::corpus;
use crate::harness::project;

#[test]
#[ignore = "writes tests/fuzz/corpus anew"]
fn the_seeds_are_written() {
    capture();
    container();
    decode();
    entry();
    frames();
    handshake();
    manifest();
    parts();
    schema();
    wire();
}

fn seed(target: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(corpus(target)).unwrap();
    fs::write(corpus(target).join(name), bytes).unwrap();
}

/// The bytes with one of them changed.
fn with(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

fn capture() {
    let framed = |payloads: &[&[u8]]| {
        let mut file = Vec::new();
        payloads.iter().for_each(|payload| frame(payload, &mut file).unwrap());
        file
    };
    seed("capture", "good-empty", b"");
    seed("capture", "good-three", &framed(&[b"one", b"", b"three"]));
    let many = framed(&[b"x".as_slice(); 700]);
    seed("capture", "good-many", &many);
    seed("capture", "good-many-empty", &framed(&[b"".as_slice(); 1_010]));
    seed("capture", "bad-cut-payload", &many[..many.len() - 1]);
    seed("capture", "bad-cut-length", &[many.as_slice(), &[1, 0]].concat());
    seed("capture", "bad-too-long", &[5, 0, 0, 1, b'x']);
}

fn entry() {
    let messages = ["one", "", "three"].map(Message::of);
    let packed = [
        ("none", Packed::None),
        ("lz4", Packed::Lz4),
        ("zlib", Packed::Zlib),
        ("zstd", Packed::Zstd),
        ("snappy", Packed::Snappy),
    ];
    for (name, codec) in packed {
        seed("entry", &format!("good-{name}"), &Shape { codec, ..Shape::default() }.entry(&messages));
    }
    let version = Some(vec![0, 0, 0, 0, 0, 0, 0, 7]);
    let alone = Shape { schema_version: version, ..Shape::single() };
    let good = alone.entry(&messages);
    seed("entry", "good-alone", &good);
    seed("entry", "good-with-broker-metadata", &[&[0x0e, 0x02, 0, 0, 0, 2, 8, 1], good.as_slice()].concat());
    seed("entry", "good-tombstone", &Shape { tombstone: true, ..Shape::single() }.entry(&messages));
    seed("entry", "bad-checksum", &with(&good, 3, good[3] ^ 1));
    seed("entry", "bad-cut", &good[..good.len() - 1]);
    seed("entry", "bad-chunk", &Shape { chunks: Some(3), ..Shape::single() }.entry(&messages));
    seed("entry", "bad-encrypted", &Shape { encrypted: true, ..Shape::single() }.entry(&messages));
    seed("entry", "bad-count", &Shape { count: Some(4), ..Shape::default() }.entry(&messages));
    seed("entry", "bad-first-size", &Shape { first_size: Some(-1), ..Shape::default() }.entry(&messages));
    let size = Shape { codec: Packed::Lz4, uncompressed_size: Some(u32::MAX), ..Shape::default() };
    seed("entry", "bad-size", &size.entry(&messages));
    seed("entry", "bad-codec", &Shape { codec: Packed::Unknown(9), ..Shape::default() }.entry(&messages));
}

fn frames() {
    let place = MessageIdData { ledger_id: 7, entry_id: u64::MAX, ..MessageIdData::default() };
    let message = CommandMessage { consumer_id: 1, message_id: place, redelivery_count: Some(2), ..Default::default() };
    let message = command(Type::Message, |made| made.message = Some(message));
    let entry = framed(&message, &Shape::default().entry(&[Message::of("one")]));
    let ping = framed(&command(Type::Ping, |made| made.ping = Some(CommandPing {})), &[]);
    let error = CommandError { request_id: 3, error: 11, message: "no topic".to_owned() };
    let error = framed(&command(Type::Error, |made| made.error = Some(error)), &[]);
    let all = [ping.as_slice(), &entry, &error, &entry].concat();
    seed("frames", "good-none", b"");
    seed("frames", "good-four", &all);
    seed("frames", "bad-cut", &all[..all.len() - 1]);
    seed("frames", "bad-length", &with(&all, 0, 0x7f));
    seed("frames", "bad-command-length", &with(&all, 5, 1));
    seed("frames", "bad-command", &[0, 0, 0, 6, 0, 0, 0, 2, 0xff, 0xff]);
    seed("frames", "bad-message-without-place", &[0, 0, 0, 8, 0, 0, 0, 4, 8, 9, 0x4a, 0]);
}

fn container() {
    let json = r#"{"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"}, {"name": "n", "type": "long"}]}"#;
    let schema = Schema::parse_str(json).unwrap();
    let file = |codec| {
        let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
        for block in 0..3 {
            for n in 0..4 {
                let id = Value::String(format!("source {block}"));
                writer.append_value(Value::Record(vec![("id".into(), id), ("n".into(), Value::Long(n))])).unwrap();
            }
            writer.flush().unwrap();
        }
        writer.into_inner().unwrap()
    };
    let plain = file(Codec::Null);
    seed("container", "good-null", &plain);
    seed("container", "good-deflate", &file(Codec::Deflate(Default::default())));
    seed("container", "good-snappy", &file(Codec::Snappy));
    seed("container", "good-zstandard", &file(Codec::Zstandard(Default::default())));
    seed("container", "good-bzip2", &file(Codec::Bzip2(Default::default())));
    seed("container", "good-xz", &file(Codec::Xz(Default::default())));
    let header = plain.len() - file_blocks(&plain);
    seed("container", "good-no-block", &plain[..header]);
    seed("container", "bad-cut", &plain[..plain.len() - 1]);
    seed("container", "bad-marker", &with(&plain, plain.len() - 1, plain[plain.len() - 1] ^ 1));
    seed("container", "bad-magic", &with(&plain, 3, 2));
    let empty_block = [&plain[..header], &[0, 2, 7], &plain[header - 16..header]].concat();
    seed("container", "bad-bytes-of-no-events", &empty_block);
    seed("container", "bad-negative-count", &[&plain[..header], &[1, 2, 7], &plain[header - 16..header]].concat());
}

/// Bytes of the blocks, each of which ends with the marker that the file ends with, as the header does.
fn file_blocks(file: &[u8]) -> usize {
    let marker = &file[file.len() - 16..];
    let header = file.windows(16).position(|window| window == marker).unwrap() + 16;
    file.len() - header
}

fn decode() {
    // The source "s", then a time of 2023.
    let event = |case: u8, fields: &[u8]| [&[case, 2, b's', 0x80, 0xd0, 0x95, 0xff, 0xf9, 0x62], fields].concat();
    let double = 1.5_f64.to_le_bytes();
    let float = 1.5_f32.to_le_bytes();
    let flat = event(0, &[double.as_slice(), &f64::NAN.to_le_bytes(), &[7]].concat());
    seed("decode", "good-flat", &flat);
    seed("decode", "good-nulls", &event(1, &[0, 0, 1]));
    let unions = event(1, &[[2].as_slice(), &double, &[2, 4, b'h', b'i', 0]].concat());
    seed("decode", "good-unions", &unions);
    let map = [[2, 2, b'k'].as_slice(), &float, &[0]].concat();
    seed(
        "decode",
        "good-collections",
        &event(2, &[[8, 6, 0, 2, 2, b'x', 4, 6, 0].as_slice(), &map, &[2, b'd']].concat()),
    );
    seed("decode", "good-sized-blocks", &event(2, &[8, 3, 8, 0, 2, 2, b'x', 0, 0, 2, b'd']));
    seed("decode", "good-enum-decimal", &event(3, &[[4, 6, 0xff, 0x85, 0x00].as_slice(), &[9; 12], &float].concat()));
    seed("decode", "good-nested", &event(4, &[10, 2, 12, 2, 14, 0, 6, 0]));
    seed("decode", "good-older-writer", &event(5, &[2, 2, b'k', 2, 4, 1, 2, 0, 0, 10, 2, 6]));
    seed("decode", "good-unknown-symbol", &event(6, &[[2].as_slice(), &float].concat()));
    seed("decode", "bad-empty", &[0]);
    seed("decode", "bad-cut", &flat[..flat.len() - 1]);
    seed("decode", "bad-more", &[flat.as_slice(), &[0]].concat());
    seed("decode", "bad-branch", &event(1, &[4, 0, 1]));
    seed("decode", "bad-boolean", &event(1, &[0, 0, 2]));
    seed("decode", "bad-utf8", &event(1, &[0, 2, 2, 0xff, 0]));
    seed("decode", "bad-length", &event(2, &[8, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]));
    seed("decode", "bad-endless-nulls", &event(4, &[10, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]));
    seed("decode", "bad-varint", &[&[0, 2, b's'], [0xff; 11].as_slice()].concat());
}

fn manifest() {
    for version in 1..=3 {
        let golden = fs::read(project().join(format!("tests/data/snapshot/manifest-v{version}.json"))).unwrap();
        seed("manifest", &format!("good-golden-{version}"), &golden);
    }
    let mut cut = PartitionCut::beginning(0, "part-0", "12 bytes");
    cut.max_time = Some(60_000);
    let claim = Manifest { pipeline: "p".into(), sequence: 1, next: vec![0], ..Manifest::default() };
    seed("manifest", "good-claim", &claim.encode());
    let parts = vec![PartRef::of("p/parts/1.avro", b"bytes", 3)];
    let commit = Manifest { sequence: 2, commit: Some(5), next: vec![6, 9], cut: vec![cut], parts, ..claim.clone() };
    let commit = commit.encode();
    seed("manifest", "good-commit", &commit);
    seed("manifest", "bad-checksum", &with(&commit, commit.len() - 2, b'x'));
    seed("manifest", "bad-no-checksum", &commit[..commit.len() - 73]);
    let line = std::str::from_utf8(&commit).unwrap().lines().next().unwrap();
    // Of a format that no minuet has, with the right checksum: the format is what is refused.
    let newer = line.replacen("\"format\":", "\"format\":9", 1);
    let checksum: String = Sha256::digest(&newer).iter().map(|byte| format!("{byte:02x}")).collect();
    seed("manifest", "bad-newer", format!("{newer}\nsha256:{checksum}\n").as_bytes());
    seed("manifest", "bad-schedule", &Manifest { commit: Some(9), next: vec![9], ..claim }.encode());
    seed("manifest", "bad-utf8", &with(&commit, 20, 0xff));
}

fn parts() {
    let when = When { time: -1, order: 7 };
    let states = |value: Picked, sum: Option<Sum>| FieldState {
        count: u64::from(sum.is_some()) * 3,
        nonzero: sum.as_ref().map(|_| 2),
        min: sum.as_ref().map(|_| value.clone()),
        max: sum.as_ref().map(|_| value.clone()),
        sum,
        first: Some((when, value.clone())),
        last: Some((when, value)),
    };
    let exact = ExactSum::from_parts(&[1e300, 1.0, 1e-300]).unwrap();
    let fields = vec![
        states(Picked::Float(-0.5), Some(Sum::Float(exact))),
        states(Picked::Integer(i64::MIN), Some(Sum::Integer { value: -9, carry: 0 })),
        states(Picked::Decimal(i128::MAX), Some(Sum::Integer { value: 5, carry: -1 })),
        states(Picked::Text(b"text".to_vec()), None),
    ];
    let partial = |source: &str, minute, fields: &[FieldState]| Partial {
        source: source.as_bytes().to_vec(),
        minute,
        count: 3,
        fields: fields.to_vec(),
    };
    let whole = part::write(vec![partial("a", 9, &fields), partial("b", 9, &fields), partial("a", 8, &fields)]);
    seed("part", "good-all-kinds", &whole);
    seed("part", "good-float", &part::write(vec![partial("", 0, &fields[..1])]));
    seed("part", "good-no-fields", &part::write(vec![partial("x", u64::MAX, &[]), partial("x", u64::MAX, &[])]));
    seed("part", "good-empty", &part::write(Vec::new()));
    // A block alone is no file, but the target puts it behind a header.
    seed("part", "bad-block", &[&[3], block(&whole)].concat());
    for (place, name) in ["float", "integer", "decimal", "text"].into_iter().enumerate() {
        let file = part::write(vec![partial("source", 1, &fields[place..=place])]);
        seed("part", &format!("bad-block-{name}"), &[&[1], block(&file)].concat());
    }
    seed("part", "bad-cut", &whole[..whole.len() - 1]);
    seed("part", "bad-marker", &with(&whole, whole.len() - 1, whole[whole.len() - 1] ^ 1));
    seed("part", "bad-magic", &with(&whole, 0, b'o'));
}

/// The only block of a part: behind the header, its count and its size.
fn block(file: &[u8]) -> &[u8] {
    let block = &file[part::write(Vec::new()).len() + 1..file.len() - 16];
    let size = block.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    &block[size..]
}

fn schema() {
    let record = |fields: &str| format!(r#"{{"type": "record", "name": "W", "fields": [{fields}]}}"#);
    let (id, at) = (r#"{"name": "id", "type": "string"}"#, r#"{"name": "at", "type": "long"}"#);
    let recursive = r#"{"name": "next", "type": ["null", "W"]}"#;
    let wide = r#"{"name": "a", "type": ["null", "int", "double"]}, {"name": "r", "type": {"type": "record", "name": "R",
        "fields": [{"name": "y", "type": {"type": "map", "values": "R"}}, {"name": "x", "type": "int"}]}}"#;
    seed("schema", "good-least", record(&format!("{id}, {at}")).as_bytes());
    seed("schema", "good-recursive", record(&format!("{recursive}, {id}, {at}")).as_bytes());
    seed("schema", "good-wide", record(&format!("{id}, {wide}, {at}")).as_bytes());
    seed("schema", "bad-no-id", record(at).as_bytes());
    let endless = r#"{"name": "v", "type": {"type": "record", "name": "V", "fields": [{"name": "v", "type": "V"}]}}"#;
    seed("schema", "good-endless", record(&format!("{endless}, {id}, {at}")).as_bytes());
    // No event of it ever ends, which is found when one is read.
    seed("schema", "good-itself", record(&format!(r#"{id}, {at}, {{"name": "w", "type": "W"}}"#)).as_bytes());
    seed("schema", "bad-unknown-type", record(&format!(r#"{id}, {at}, {{"name": "w", "type": "V"}}"#)).as_bytes());
    seed("schema", "bad-cut", &record(id).as_bytes()[..40]);
    let deep = format!("{}\"int\"{}", r#"{"type": "array", "items": "#.repeat(60), "}".repeat(60));
    seed("schema", "bad-deep", record(&format!(r#"{id}, {at}, {{"name": "d", "type": {deep}}}"#)).as_bytes());
    seed("schema", "bad-no-record", b"\"string\"");
}

fn handshake() {
    let identity = Identity::of("build", "plan");
    let hello = Hello { kind: Kind::Control, from: 1, to: 0, processes: 2, workers: 1, run: 7, identity };
    let bytes = hello.encode();
    seed("handshake", "good-hello", &bytes);
    seed("handshake", "good-data", &Hello { kind: Kind::Data, ..hello }.encode());
    seed("handshake", "good-hello-nonce-proof", &[bytes.as_slice(), &[7; 64]].concat());
    seed("handshake", "bad-version", &with(&bytes, 7, 9));
    seed("handshake", "bad-kind", &with(&bytes, 15, 9));
    seed("handshake", "bad-cut", &bytes[..bytes.len() - 1]);
    seed("handshake", "bad-challenge", &[5; 72]);
    seed("handshake", "bad-http", b"GET / HTTP/1.1\r\nHost: minuet\r\n\r\n");
}

fn wire() {
    let bytes = |batch: &Batch| {
        let mut bytes = Vec::new();
        batch.into_bytes(&mut bytes);
        bytes
    };
    let mut batch = Batch::new(2, Records::Events);
    for place in 0..3 {
        let head = EventHead { hash: 7, minute: 1, time: 60_000, order: place, present: 1 };
        write_event(&mut batch.words, &head, &[9], b"source", std::iter::empty());
        batch.records += 1;
    }
    let long = Batch { from: 1, kind: Records::Partials, records: 1, words: (0..300).collect(), damaged: None };
    let whole = bytes(&batch);
    seed("wire", "good-empty", &bytes(&Batch::default()));
    seed("wire", "good-events", &whole);
    seed("wire", "good-chunks", &bytes(&long));
    seed("wire", "bad-build", &with(&whole, 0, whole[0] ^ 1));
    seed("wire", "bad-sender", &with(&whole, 8, 3));
    seed("wire", "bad-record", &with(&whole, 40, whole[40] ^ 1));
    seed("wire", "bad-cut", &whole[..whole.len() - 8]);
    seed("wire", "bad-odd", &whole[..whole.len() - 3]);
}
