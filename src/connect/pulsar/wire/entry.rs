//! An entry's body: checked, decompressed, split into its messages in place.

use std::fmt;

use super::codec::Codec;
pub use super::metadata::SchemaVersion;
use super::metadata::{Metadata, Single};
use crate::event::Span;
use crate::limits::ENTRY_BYTES_MAX;

/// In front of what the broker adds, where it was asked to.
const BROKER_MAGIC: [u8; 2] = [0x0e, 0x02];

/// In front of the checksum.
pub(super) const MAGIC: [u8; 2] = [0x0e, 0x01];

/// The fewest bytes that a message takes in a batch: the length of its metadata, and in that the size of its payload.
const BATCHED_BYTES_MIN: usize = 4 + 2;

/// What an entry asks of the reader before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the body once decompressed, at most [`ENTRY_BYTES_MAX`].
    pub uncompressed_size: usize,
    /// Messages in it.
    pub messages: usize,
}

/// An entry whose messages lie in the room that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When it was published, in milliseconds since 1970, by the producer's clock.
    pub publish_time: i64,
    /// The version of its schema; none where the producer had none.
    pub schema_version: Option<SchemaVersion>,
}

/// Why an entry cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is not what the producer sent: reading it again may help.
    Checksum,
    /// It is a part of a message that is spread over this many entries.
    Chunked(u32),
    /// It is encrypted.
    Encrypted,
    /// It is what the producer sent and makes no sense.
    Undecodable(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Checksum => f.write_str("the entry's checksum is wrong"),
            Broken::Chunked(chunks) => write!(
                f,
                "the message is spread over {chunks} entries; chunked messages cannot be read: switch chunking off in the producer"
            ),
            Broken::Encrypted => f.write_str("the entry is encrypted; encrypted messages cannot be read"),
            Broken::Undecodable(why) => write!(f, "the entry cannot be decoded: {why}"),
        }
    }
}

impl Broken {
    fn undecodable(why: impl Into<String>) -> Self {
        Broken::Undecodable(why.into())
    }
}

/// The parts of a payload.
struct Parts<'a> {
    checksum: u32,
    /// What the checksum is of: all that follows it.
    checked: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits a payload; one without a checksum where one belongs is damaged.
    fn of(payload: &'a [u8]) -> Result<Self, Broken> {
        let mut rest = payload;
        if let Some(after) = rest.strip_prefix(&BROKER_MAGIC) {
            let (size, after) = after.split_first_chunk().ok_or(Broken::Checksum)?;
            rest = after.get(u32::from_be_bytes(*size) as usize..).ok_or(Broken::Checksum)?;
        }
        let rest = rest.strip_prefix(&MAGIC).ok_or(Broken::Checksum)?;
        let (checksum, checked) = rest.split_first_chunk().ok_or(Broken::Checksum)?;
        Ok(Parts { checksum: u32::from_be_bytes(*checksum), checked })
    }

    fn is_whole(&self) -> bool {
        crc32c::crc32c(self.checked) == self.checksum
    }

    /// The metadata and the body.
    fn metadata(&self) -> Result<(Metadata<'a>, &'a [u8]), Broken> {
        let garbled = || Broken::undecodable("its metadata is no message");
        let (size, rest) = self.checked.split_first_chunk().ok_or_else(garbled)?;
        let (metadata, body) = rest.split_at_checked(u32::from_be_bytes(*size) as usize).ok_or_else(garbled)?;
        Ok((Metadata::read(metadata).map_err(|_| garbled())?, body))
    }
}

/// Reads the metadata only; the checksum is looked at where something is wrong.
pub fn peek(payload: &[u8]) -> Result<Head, Broken> {
    let parts = Parts::of(payload)?;
    let head = parts.metadata().and_then(|(metadata, body)| head(&metadata, body));
    // What is wrong in damaged bytes is the damage.
    head.map_err(|broken| if parts.is_whole() { broken } else { Broken::Checksum })
}

fn head(metadata: &Metadata, body: &[u8]) -> Result<Head, Broken> {
    if metadata.chunks > 1 {
        return Err(Broken::Chunked(metadata.chunks.unsigned_abs()));
    }
    if metadata.encrypted {
        return Err(Broken::Encrypted);
    }
    let uncompressed_size = if metadata.compression == 0 { body.len() } else { metadata.uncompressed_size as usize };
    if uncompressed_size > ENTRY_BYTES_MAX {
        return Err(Broken::undecodable(format!(
            "it is {uncompressed_size} bytes long when decompressed; allowed are {ENTRY_BYTES_MAX}"
        )));
    }
    let messages = match metadata.batch {
        _ if metadata.marker => 0,
        None => 1,
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|count| *count <= uncompressed_size / BATCHED_BYTES_MIN)
            .ok_or_else(|| Broken::undecodable(format!("{count} messages cannot be in {uncompressed_size} bytes")))?,
    };
    Ok(Head { uncompressed_size, messages })
}

/// Checks, decompresses and splits an entry: `spans` says where each message's payload is in `room`; those that compaction removed are
/// left out. What was in either is overwritten; give the room as it was, its length saves the filling.
pub fn open(payload: &[u8], room: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<Opened, Broken> {
    let parts = Parts::of(payload)?;
    if !parts.is_whole() {
        return Err(Broken::Checksum);
    }
    let (metadata, body) = parts.metadata()?;
    let head = head(&metadata, body)?;
    let codec = Codec::numbered(metadata.compression).ok_or_else(|| {
        Broken::undecodable(format!("codec {} is unknown; known are LZ4, ZLIB, ZSTD and Snappy", metadata.compression))
    })?;
    room.resize(head.uncompressed_size, 0);
    // Nothing at all may be left uncompressed.
    if !(room.is_empty() && body.is_empty()) {
        codec.decompress(body, room).map_err(Broken::Undecodable)?;
    }
    spans.clear();
    match metadata.batch {
        _ if metadata.marker => {}
        Some(_) => batched(room, head.messages, spans)?,
        None => spans.push(Span { start: 0, len: if metadata.null_value { 0 } else { span_length(room.len()) } }),
    }
    let schema_version = match metadata.schema_version {
        [] => None,
        version => Some(SchemaVersion::new(version).ok_or_else(|| {
            Broken::undecodable(format!("its schema version has {} bytes; allowed are 16", version.len()))
        })?),
    };
    Ok(Opened { publish_time: i64::try_from(metadata.publish_time).unwrap_or(i64::MAX), schema_version })
}

/// A length in an entry, which is at most [`ENTRY_BYTES_MAX`].
fn span_length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The payloads of a batch: each after the length of its metadata and its metadata.
fn batched(room: &[u8], messages: usize, spans: &mut Vec<Span>) -> Result<(), Broken> {
    spans.reserve(messages);
    let mut rest = room;
    for index in 0..messages {
        let garbled = || Broken::undecodable(format!("message {index} of {messages} in the batch does not fit it"));
        let (size, after) = rest.split_first_chunk().ok_or_else(garbled)?;
        let (metadata, after) = after.split_at_checked(u32::from_be_bytes(*size) as usize).ok_or_else(garbled)?;
        let single = Single::read(metadata).map_err(|_| garbled())?;
        let size = match usize::try_from(single.payload_size) {
            Ok(size) => size,
            Err(_) if single.null_value => 0,
            Err(_) => return Err(garbled()),
        };
        let start = span_length(room.len() - after.len());
        rest = after.get(size..).ok_or_else(garbled)?;
        if !single.compacted_out {
            spans.push(Span { start, len: if single.null_value { 0 } else { span_length(size) } });
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(Broken::undecodable(format!("{} bytes follow the last of {messages} messages", rest.len())))
}
