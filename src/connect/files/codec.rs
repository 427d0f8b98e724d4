//! The codecs of Avro object container files (Avro 1.12 specification, "Required Codecs" and "Optional Codecs").
//!
//! Whatever the stored bytes say, no more than [`ENTRY_BYTES_MAX`] bytes come out.

use std::io::Read;

use crate::limits::{ENTRY_BYTES_MAX, XZ_MEMORY_BYTES_MAX};

/// How the blocks of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Null,
    /// Raw deflate (RFC 1951).
    Deflate,
    /// Snappy's block format, then the big-endian CRC-32 of the uncompressed bytes.
    Snappy,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstandard,
}

/// All codecs under their names in `avro.codec`.
const NAMES: [(&str, Codec); 6] = [
    ("null", Codec::Null),
    ("deflate", Codec::Deflate),
    ("snappy", Codec::Snappy),
    ("bzip2", Codec::Bzip2),
    ("xz", Codec::Xz),
    ("zstandard", Codec::Zstandard),
];

impl Codec {
    /// The codec of this name; the error names those there are.
    pub fn named(name: &[u8]) -> Result<Self, String> {
        let found = NAMES.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, codec)| *codec).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            let shown: String = String::from_utf8_lossy(name).chars().take(40).collect();
            format!("the codec is {shown:?}, known are {}", known.join(", "))
        })
    }

    /// Unpacks one block; the error says what is wrong with it.
    pub fn unpack(self, stored: Vec<u8>) -> Result<Vec<u8>, String> {
        let packed = stored.as_slice();
        match self {
            Codec::Null => within_bound(stored.len()).map(|()| stored),
            Codec::Deflate => unpack_deflate(packed),
            Codec::Snappy => unpack_snappy(packed),
            Codec::Bzip2 => whole_stream(bzip2::bufread::BzDecoder::new(packed), |d| d.into_inner()),
            Codec::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES_MAX, 0)
                    .map_err(|cause| format!("xz cannot start: {cause}"))?;
                whole_stream(liblzma::bufread::XzDecoder::new_stream(packed, stream), |d| d.into_inner())
            }
            Codec::Zstandard => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed)
                    .map_err(|cause| format!("zstandard cannot start: {cause}"))?;
                bounded(decoder)
            }
        }
    }
}

/// All bytes of a reader; more than an entry may have is an error.
fn bounded(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(ENTRY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|cause| cause.to_string())?;
    within_bound(bytes.len())?;
    Ok(bytes)
}

/// The same for a decoder that stops by itself: what it leaves unread is an error too.
fn whole_stream<'a, D: Read>(mut decoder: D, rest: impl Fn(D) -> &'a [u8]) -> Result<Vec<u8>, String> {
    let bytes = bounded(&mut decoder)?;
    match rest(decoder).len() {
        0 => Ok(bytes),
        left => Err(trailing(left as u64)),
    }
}

fn trailing(left: u64) -> String {
    format!("{left} bytes follow the compressed data")
}

fn within_bound(len: usize) -> Result<(), String> {
    if len > ENTRY_BYTES_MAX {
        return Err(format!("it unpacks to more than {ENTRY_BYTES_MAX} bytes; write smaller blocks"));
    }
    Ok(())
}

/// flate2's own reader takes the end of its input for the end of the data; here that must be said by the data.
fn unpack_deflate(stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut inflate = flate2::Decompress::new(false);
    let mut bytes = Vec::with_capacity(stored.len().saturating_mul(4).clamp(64, ENTRY_BYTES_MAX));
    loop {
        let before = (inflate.total_in(), bytes.len());
        let rest = &stored[before.0 as usize..];
        let status = inflate.decompress_vec(rest, &mut bytes, flate2::FlushDecompress::None);
        let status = status.map_err(|cause| cause.to_string())?;
        within_bound(bytes.len())?;
        let read = inflate.total_in();
        match (status, stored.len() as u64 - read) {
            (flate2::Status::StreamEnd, 0) => return Ok(bytes),
            (flate2::Status::StreamEnd, left) => return Err(trailing(left)),
            _ if bytes.len() == bytes.capacity() => bytes.reserve(bytes.len()),
            _ if before == (read, bytes.len()) => return Err("its compressed data is cut off".to_owned()),
            _ => {}
        }
    }
}

fn unpack_snappy(stored: &[u8]) -> Result<Vec<u8>, String> {
    let Some((packed, checksum)) = stored.split_last_chunk::<4>() else {
        return Err(format!("{} bytes do not even hold snappy's checksum", stored.len()));
    };
    within_bound(snap::raw::decompress_len(packed).map_err(|cause| cause.to_string())?)?;
    let bytes = snap::raw::Decoder::new().decompress_vec(packed).map_err(|cause| cause.to_string())?;
    if crc32fast::hash(&bytes) != u32::from_be_bytes(*checksum) {
        return Err("snappy's checksum does not match".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
