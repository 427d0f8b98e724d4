//! What a producer sends: messages laid one after another into a body, the body compressed into its frame.

use std::io;

use super::codec::Codec;
use super::entry::MAGIC;

/// What every entry of a producer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letterhead {
    /// The producer's number on its connection.
    pub producer: u64,
    /// Its name, as the broker gave it.
    pub name: String,
    /// The version of the schema that it registered; empty where it has none.
    pub schema_version: Vec<u8>,
    /// The compression of its entries.
    pub codec: Codec,
}

/// The messages of an entry that is being filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    bytes: Vec<u8>,
    messages: u32,
    /// Whether messages have batch framing.
    batched: bool,
}

impl Body {
    /// An empty body: for a batch, or for one message without batch framing.
    pub fn new(batched: bool) -> Self {
        Body { batched, ..Body::default() }
    }

    /// Adds a message. A body without batch framing takes one.
    pub fn add(&mut self, payload: &[u8]) {
        if self.batched {
            let size = payload.len() as u64;
            let length = 1 + varint_length(size);
            self.bytes.extend_from_slice(&[0, 0, 0, length, PAYLOAD_SIZE]);
            varint(size, &mut self.bytes);
        }
        self.bytes.extend_from_slice(payload);
        self.messages += 1;
    }

    /// Messages in it.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Their bytes, with what batch framing adds.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes it empty.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.messages = 0;
    }

    /// Writes the frame that sends it, in place of what was in `out`. The publish time is in milliseconds since 1970.
    pub fn frame(&self, head: &Letterhead, sequence: u64, published: u64, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.extend_from_slice(&[0; 8]);
        let command = out.len();
        self.command(head, sequence, out);
        let command_length = out.len() - command;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 8]);
        let metadata = out.len();
        self.metadata(head, sequence, published, out);
        let metadata_length = out.len() - metadata;
        head.codec.compress(&self.bytes, out)?;
        let length = word(out.len() - 4)?;
        out[..4].copy_from_slice(&length);
        out[4..8].copy_from_slice(&word(command_length)?);
        out[metadata - 4..metadata].copy_from_slice(&word(metadata_length)?);
        let checksum = crc32c::crc32c(&out[metadata - 4..]).to_be_bytes();
        out[metadata - 8..metadata - 4].copy_from_slice(&checksum);
        Ok(())
    }

    /// A `BaseCommand` with a `CommandSend`.
    fn command(&self, head: &Letterhead, sequence: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x08, 6, 0x32, 0]);
        let begin = out.len();
        number(1, head.producer, out);
        number(2, sequence, out);
        if self.batched {
            number(3, self.messages.into(), out);
        }
        // Three numbers of at most ten bytes: the length is one byte.
        out[begin - 1] = u8::try_from(out.len() - begin).unwrap_or(u8::MAX);
    }

    /// A `MessageMetadata`.
    fn metadata(&self, head: &Letterhead, sequence: u64, published: u64, out: &mut Vec<u8>) {
        text(1, head.name.as_bytes(), out);
        number(2, sequence, out);
        number(3, published, out);
        if head.codec != Codec::None {
            number(8, u64::from(head.codec.number().unsigned_abs()), out);
        }
        number(9, self.bytes.len() as u64, out);
        if self.batched {
            number(11, self.messages.into(), out);
        }
        if !head.schema_version.is_empty() {
            text(16, &head.schema_version, out);
        }
    }
}

/// The key of `payload_size` in a `SingleMessageMetadata`.
const PAYLOAD_SIZE: u8 = 3 << 3;

fn word(length: usize) -> io::Result<[u8; 4]> {
    u32::try_from(length).map(u32::to_be_bytes).map_err(io::Error::other)
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn text(field: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_length(value: u64) -> u8 {
    let bits = 64 - (value | 1).leading_zeros();
    u8::try_from(bits.div_ceil(7)).unwrap_or(10)
}
