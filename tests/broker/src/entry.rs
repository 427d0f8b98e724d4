//! Bodies of entries, as producers make them and as no producer should: `0x0e01, CRC32C, metadata length, metadata, body`.

use std::io::Write as _;

use prost::Message as _;
use pulsar::message::proto::{CompressionType, EncryptionKeys, MessageMetadata, SingleMessageMetadata};

/// What stands before the checksum.
pub(crate) const MAGIC: [u8; 2] = [0x0e, 0x01];

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all; the field is absent.
    None,
    /// An LZ4 block.
    Lz4,
    /// A zlib stream.
    Zlib,
    /// A ZSTD frame.
    Zstd,
    /// A raw Snappy block.
    Snappy,
    /// A number that no client knows, over bytes as they are.
    Unknown(i32),
}

/// One message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its key.
    pub key: Option<String>,
    /// Its event time in milliseconds.
    pub event_time: Option<u64>,
}

impl Message {
    /// A message with this payload and nothing else.
    pub fn of(payload: impl Into<Vec<u8>>) -> Message {
        Message { payload: payload.into(), ..Message::default() }
    }
}

/// What an entry says of itself. The last five are lies or things minuet refuses.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Batch framing and `num_messages_in_batch`; without it only the first message is written, bare.
    pub batch: bool,
    /// The codec.
    pub codec: Codec,
    /// In milliseconds.
    pub publish_time: u64,
    /// As [`crate::Double::register_schema`] gave it.
    pub schema_version: Option<Vec<u8>>,
    /// Says that the message has no value; its body is empty.
    pub tombstone: bool,
    /// Says that it is the first of so many chunks.
    pub chunks: Option<i32>,
    /// Says that it is encrypted.
    pub encrypted: bool,
    /// In place of the true uncompressed size.
    pub uncompressed_size: Option<u32>,
    /// In place of the true number of messages.
    pub count: Option<i32>,
    /// In place of the true size of the first message in its own metadata.
    pub first_size: Option<i32>,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            batch: true,
            codec: Codec::None,
            publish_time: 1_700_000_000_000,
            schema_version: None,
            tombstone: false,
            chunks: None,
            encrypted: false,
            uncompressed_size: None,
            count: None,
            first_size: None,
        }
    }
}

impl Shape {
    /// One message without batch framing.
    pub fn single() -> Shape {
        Shape { batch: false, ..Shape::default() }
    }

    /// The entry's bytes from the magic on. Needs at least one message.
    pub fn entry(&self, messages: &[Message]) -> Vec<u8> {
        let body = if self.batch { self.framed(messages) } else { messages[0].payload.clone() };
        let metadata = self.metadata(messages, body.len());
        let packed = self.packed(&body);
        let mut rest = (metadata.encoded_len() as u32).to_be_bytes().to_vec();
        metadata.encode(&mut rest).expect("a Vec grows");
        rest.extend_from_slice(&packed);
        let mut entry = MAGIC.to_vec();
        entry.extend_from_slice(&crc32c::crc32c(&rest).to_be_bytes());
        entry.extend_from_slice(&rest);
        entry
    }

    fn framed(&self, messages: &[Message]) -> Vec<u8> {
        let mut body = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let said = self.first_size.filter(|_| index == 0);
            let single = SingleMessageMetadata {
                partition_key: message.key.clone(),
                payload_size: said.unwrap_or(message.payload.len() as i32),
                event_time: message.event_time,
                sequence_id: Some(index as u64),
                ..SingleMessageMetadata::default()
            };
            body.extend_from_slice(&(single.encoded_len() as u32).to_be_bytes());
            single.encode(&mut body).expect("a Vec grows");
            body.extend_from_slice(&message.payload);
        }
        body
    }

    fn metadata(&self, messages: &[Message], size: usize) -> MessageMetadata {
        let compression = match self.codec {
            Codec::None => None,
            Codec::Lz4 => Some(CompressionType::Lz4 as i32),
            Codec::Zlib => Some(CompressionType::Zlib as i32),
            Codec::Zstd => Some(CompressionType::Zstd as i32),
            Codec::Snappy => Some(CompressionType::Snappy as i32),
            Codec::Unknown(number) => Some(number),
        };
        let key = EncryptionKeys { key: "key".to_owned(), value: vec![1], metadata: Vec::new() };
        MessageMetadata {
            producer_name: "double".to_owned(),
            publish_time: self.publish_time,
            // As the Java client does: the key of the first message, in a batch as well.
            partition_key: messages[0].key.clone(),
            event_time: messages[0].event_time.filter(|_| !self.batch),
            compression,
            uncompressed_size: Some(self.uncompressed_size.unwrap_or(size as u32)),
            num_messages_in_batch: self.batch.then(|| self.count.unwrap_or(messages.len() as i32)),
            schema_version: self.schema_version.clone(),
            null_value: self.tombstone.then_some(true),
            encryption_keys: if self.encrypted { vec![key] } else { Vec::new() },
            encryption_algo: self.encrypted.then(|| "AES/GCM".to_owned()),
            uuid: self.chunks.map(|_| "double-0-0".to_owned()),
            num_chunks_from_msg: self.chunks,
            total_chunk_msg_size: self.chunks.map(|chunks| chunks * size as i32),
            chunk_id: self.chunks.map(|_| 0),
            ..MessageMetadata::default()
        }
    }

    fn packed(&self, body: &[u8]) -> Vec<u8> {
        match self.codec {
            Codec::None | Codec::Unknown(_) => body.to_vec(),
            Codec::Lz4 => lz4_flex::block::compress(body),
            Codec::Zlib => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                out.write_all(body).expect("a Vec grows");
                out.finish().expect("a Vec grows")
            }
            Codec::Zstd => zstd::bulk::compress(body, 0).expect("its bound is known"),
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(body).expect("bodies are small"),
        }
    }
}

/// The metadata of an entry; `None` where there is none to be read.
pub(crate) fn metadata(entry: &[u8]) -> Option<MessageMetadata> {
    let rest = entry.strip_prefix(&MAGIC)?.get(4..)?;
    let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    MessageMetadata::decode(rest.get(4..4usize.checked_add(length)?)?).ok()
}

/// Whether the checksum of an entry is right.
pub(crate) fn sound(entry: &[u8]) -> bool {
    let Some(rest) = entry.strip_prefix(&MAGIC) else { return false };
    rest.len() > 4 && crc32c::crc32c(&rest[4..]).to_be_bytes() == rest[..4]
}
