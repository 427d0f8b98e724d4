//! What stands before an entry's messages, and before each message of a batch: the few fields that reading needs.

use super::fields::{Fields, Garbled};

/// Bytes of a schema version that are kept in place. Brokers give eight.
const VERSION_BYTES: usize = 16;

/// The version of a topic's schema, as the broker gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaVersion {
    bytes: [u8; VERSION_BYTES],
    length: u8,
}

impl SchemaVersion {
    /// A version of up to 16 bytes.
    pub fn new(version: &[u8]) -> Option<Self> {
        let mut bytes = [0; VERSION_BYTES];
        bytes.get_mut(..version.len())?.copy_from_slice(version);
        Some(SchemaVersion { bytes, length: u8::try_from(version.len()).ok()? })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The metadata of an entry (`MessageMetadata`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Milliseconds since 1970 by the producer's clock.
    pub publish_time: u64,
    /// The codec's number; 0 is none.
    pub compression: i32,
    /// Bytes of the body once decompressed; 0 where the producer did not say.
    pub uncompressed_size: u32,
    /// Messages in the batch; absent where the entry is one message without batch framing. One message in batch framing is 1, and
    /// that is not the same.
    pub batch: Option<i32>,
    /// Whether the body is encrypted.
    pub encrypted: bool,
    /// The version of the schema that the messages were written with; empty where the producer had none.
    pub schema_version: &'a [u8],
    /// Whether it is the broker's own and no message at all.
    pub marker: bool,
    /// Whether the one message has no payload.
    pub null_value: bool,
    /// Entries over which one message is spread; 0 or 1 where it is in one.
    pub chunks: i32,
}

impl<'a> Metadata<'a> {
    /// Reads a `MessageMetadata`.
    pub fn read(message: &'a [u8]) -> Result<Self, Garbled> {
        let mut found = Metadata::default();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                3 => found.publish_time = value.number()?,
                8 => found.compression = value.int32()?,
                9 => found.uncompressed_size = value.int32()?.cast_unsigned(),
                11 => found.batch = Some(value.int32()?),
                13 => found.encrypted = value.message().map(|_| true)?,
                16 => found.schema_version = value.message()?,
                20 => found.marker = value.number().map(|_| true)?,
                25 => found.null_value = value.number()? != 0,
                27 => found.chunks = value.int32()?,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The metadata of one message in a batch (`SingleMessageMetadata`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Single {
    /// Bytes of its payload.
    pub payload_size: i32,
    /// Whether compaction removed it.
    pub compacted_out: bool,
    /// Whether it has no payload.
    pub null_value: bool,
}

impl Single {
    /// Reads a `SingleMessageMetadata`.
    #[inline]
    pub fn read(message: &[u8]) -> Result<Self, Garbled> {
        let mut found = Single::default();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                3 => found.payload_size = value.int32()?,
                4 => found.compacted_out = value.number()? != 0,
                9 => found.null_value = value.number()? != 0,
                _ => {}
            }
        }
        Ok(found)
    }
}
