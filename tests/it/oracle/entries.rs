//! The entries of a file: the blocks of an Avro object container file, or every 1,000 payloads of a capture file.

use std::fs;
use std::io::Read;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

/// Payloads of one entry of a capture file.
pub(super) const CAPTURE_ENTRY: usize = 1_000;

/// An event as a tree; `None` where its bytes are not one.
pub(super) type Event = Option<Value>;

/// All entries of a file, in order; of a capture file so many payloads are one.
pub(super) fn entries(file: &Path, schema: &Schema, captured_entry: usize) -> Vec<Vec<Event>> {
    let bytes = fs::read(file).unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
    if bytes.starts_with(b"Obj\x01") { blocks(&bytes) } else { captured(&bytes, schema, captured_entry) }
}

fn captured(mut bytes: &[u8], schema: &Schema, entry: usize) -> Vec<Vec<Event>> {
    let reader = GenericDatumReader::builder(schema).build().expect("a shipped schema resolves");
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let (mut payload, rest) = rest.split_at(length);
        let value = reader.read_value(&mut payload).ok();
        events.push(value.filter(|_| payload.is_empty()));
        bytes = rest;
    }
    events.chunks(entry).map(<[Event]>::to_vec).collect()
}

fn blocks(file: &[u8]) -> Vec<Vec<Event>> {
    let mut bytes = &file[4..];
    let (schema, codec) = header(&mut bytes);
    let reader = GenericDatumReader::builder(&schema).build().expect("the writer's schema resolves");
    let (sync, mut bytes) = bytes.split_at(16);
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let count = long(&mut bytes) as usize;
        let size = long(&mut bytes) as usize;
        let (packed, rest) = bytes.split_at(size);
        assert_eq!(&rest[..16], sync, "a block ends with the file's sync marker");
        bytes = &rest[16..];
        let block = unpack(&codec, packed);
        let mut left = &block[..];
        let mut events = Vec::new();
        while events.len() < count {
            // Events of a block have no frames: after a bad one nobody knows where the next begins.
            match reader.read_value(&mut left) {
                Ok(value) => events.push(Some(value)),
                Err(_) => events.resize(count, None),
            }
        }
        all.push(events);
    }
    all
}

/// The writer's schema and the codec, from the header's map.
fn header(bytes: &mut &[u8]) -> (Schema, String) {
    let (mut schema, mut codec) = (None, "null".to_owned());
    loop {
        let mut count = long(bytes);
        if count == 0 {
            break;
        }
        if count < 0 {
            count = -count;
            long(bytes);
        }
        for _ in 0..count {
            let key = text(bytes);
            let value = text(bytes);
            match key.as_str() {
                "avro.schema" => schema = Some(Schema::parse_str(&value).expect("a writer's schema parses")),
                "avro.codec" => codec = value,
                _ => {}
            }
        }
    }
    (schema.expect("a container has a schema"), codec)
}

fn unpack(codec: &str, packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match codec {
        "null" => return packed.to_vec(),
        "deflate" => flate2::read::DeflateDecoder::new(packed).read_to_end(&mut out).map(|_| ()),
        "zstandard" => zstd::stream::copy_decode(packed, &mut out),
        "bzip2" => bzip2::read::BzDecoder::new(packed).read_to_end(&mut out).map(|_| ()),
        "xz" => liblzma::read::XzDecoder::new(packed).read_to_end(&mut out).map(|_| ()),
        // The last four bytes are a checksum.
        "snappy" => {
            return snap::raw::Decoder::new().decompress_vec(&packed[..packed.len() - 4]).expect("a block unpacks");
        }
        other => panic!("codec {other}"),
    }
    .expect("a block unpacks");
    out
}

fn text(bytes: &mut &[u8]) -> String {
    let length = long(bytes) as usize;
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).expect("header texts are UTF-8 here")
}

/// An Avro long: zig-zag, seven bits a byte, low ones first.
fn long(bytes: &mut &[u8]) -> i64 {
    let (mut raw, mut shift) = (0_u64, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        raw |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return (raw >> 1) as i64 ^ -((raw & 1) as i64);
        }
    }
}
