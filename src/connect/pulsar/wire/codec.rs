//! The compression of entries. The sizes are those that the metadata names: neither more nor less is taken.

use std::cell::RefCell;
use std::fmt;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// A codec of the protocol (`CompressionType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Codec {
    /// No compression.
    None,
    /// A raw LZ4 block.
    #[default]
    Lz4,
    /// A zlib stream.
    Zlib,
    /// A Zstandard frame.
    Zstd,
    /// A raw Snappy block.
    Snappy,
}

thread_local! {
    /// A context of Zstandard takes longer to make than most entries take to decompress.
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

impl Codec {
    /// The codec of a number in the metadata.
    pub fn numbered(number: i32) -> Option<Self> {
        Some(match number {
            0 => Codec::None,
            1 => Codec::Lz4,
            2 => Codec::Zlib,
            3 => Codec::Zstd,
            4 => Codec::Snappy,
            _ => return None,
        })
    }

    /// Its number in the metadata.
    pub fn number(self) -> i32 {
        match self {
            Codec::None => 0,
            Codec::Lz4 => 1,
            Codec::Zlib => 2,
            Codec::Zstd => 3,
            Codec::Snappy => 4,
        }
    }

    /// Decompresses into `room`, which must become exactly full; the error says why it does not.
    pub fn decompress(self, body: &[u8], room: &mut [u8]) -> Result<(), String> {
        let size = room.len();
        let made = match self {
            Codec::None if body.len() == size => {
                room.copy_from_slice(body);
                size
            }
            Codec::None => body.len(),
            Codec::Lz4 => lz4_flex::block::decompress_into(body, room).map_err(|error| self.broken(&error))?,
            Codec::Zlib => inflate(body, room).map_err(|error| self.broken(&error))?,
            Codec::Zstd => ZSTD.with_borrow_mut(|kept| {
                let context = match kept {
                    Some(context) => context,
                    None => kept.insert(zstd::bulk::Decompressor::new().map_err(|error| self.broken(&error))?),
                };
                context.decompress_to_buffer(body, room).map_err(|error| self.broken(&error))
            })?,
            Codec::Snappy => {
                // The block says its own size: one that is larger is not even begun.
                let says = snap::raw::decompress_len(body).map_err(|error| self.broken(&error))?;
                if says == size {
                    snap::raw::Decoder::new().decompress(body, room).map_err(|error| self.broken(&error))?
                } else {
                    says
                }
            }
        };
        if made == size { Ok(()) } else { Err(format!("{self} gives {made} bytes where {size} were named")) }
    }

    fn broken(self, error: &dyn fmt::Display) -> String {
        format!("{self} cannot be decompressed: {error}")
    }

    /// Appends the compressed bytes.
    pub fn compress(self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let begun = out.len();
        match self {
            Codec::None => out.extend_from_slice(bytes),
            Codec::Lz4 => {
                out.resize(begun + lz4_flex::block::get_maximum_output_size(bytes.len()), 0);
                let made = lz4_flex::block::compress_into(bytes, &mut out[begun..]).map_err(io::Error::other)?;
                out.truncate(begun + made);
            }
            Codec::Zlib => {
                // What deflate can grow bytes to, with its header and checksum.
                out.reserve(bytes.len() + (bytes.len() >> 8) + 64);
                let status = Compress::new(Compression::default(), true)
                    .compress_vec(bytes, out, FlushCompress::Finish)
                    .map_err(io::Error::other)?;
                if status != Status::StreamEnd {
                    return Err(io::Error::other("deflate needs more room than it can"));
                }
            }
            Codec::Zstd => out.extend_from_slice(&zstd::bulk::compress(bytes, 3)?),
            Codec::Snappy => {
                out.resize(begun + snap::raw::max_compress_len(bytes.len()), 0);
                let made = snap::raw::Encoder::new().compress(bytes, &mut out[begun..]).map_err(io::Error::other)?;
                out.truncate(begun + made);
            }
        }
        Ok(())
    }
}

/// Inflates a zlib stream, which need not end: Java's client only flushes it. The result is what it gave, or one more than the room
/// where there is more.
fn inflate(body: &[u8], room: &mut [u8]) -> Result<usize, flate2::DecompressError> {
    let mut stream = Decompress::new(true);
    let mut beyond = [0];
    let (mut read, mut made) = (0, 0);
    loop {
        let out = if made < room.len() { &mut room[made..] } else { beyond.as_mut_slice() };
        let status = stream.decompress(&body[read..], out, FlushDecompress::None)?;
        // Totals of streams of at most so many bytes as an address has.
        let (read_now, made_now) = (stream.total_in() as usize, stream.total_out() as usize);
        let stands = (read_now, made_now) == (read, made);
        (read, made) = (read_now, made_now);
        if status == Status::StreamEnd || stands || made > room.len() {
            return Ok(made);
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::None => "no compression",
            Codec::Lz4 => "LZ4",
            Codec::Zlib => "ZLIB",
            Codec::Zstd => "ZSTD",
            Codec::Snappy => "Snappy",
        })
    }
}
