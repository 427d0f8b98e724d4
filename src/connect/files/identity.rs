//! What tells that a source file is still the same: its length and a checksum, as text in the manifest.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use xxhash_rust::xxh3::Xxh3;

use crate::limits::{FILE_BUFFER_BYTES, IDENTITY_END_BYTES, IDENTITY_WHOLE_BYTES_MAX};

/// `<length> bytes, xxh3 <16 hex digits>`; for a file over [`IDENTITY_WHOLE_BYTES_MAX`] `xxh3 of both ends` instead, so that
/// starting on a terabyte does not read it twice. Part of a stored format.
pub fn identity(file: &mut File, len: u64) -> std::io::Result<String> {
    let mut hash = Xxh3::new();
    let whole = len <= IDENTITY_WHOLE_BYTES_MAX;
    if whole {
        hash_range(file, 0, len, &mut hash)?;
    } else {
        hash_range(file, 0, IDENTITY_END_BYTES, &mut hash)?;
        hash_range(file, len - IDENTITY_END_BYTES, IDENTITY_END_BYTES, &mut hash)?;
    }
    let what = if whole { "xxh3" } else { "xxh3 of both ends" };
    Ok(format!("{len} bytes, {what} {:016x}", hash.digest()))
}

/// The length in an identity; `None` where it is none of ours.
pub fn length(identity: &str) -> Option<u64> {
    identity.split_once(" bytes, ")?.0.parse().ok()
}

fn hash_range(file: &mut File, start: u64, len: u64, hash: &mut Xxh3) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    let mut rest = file.take(len);
    let mut buffer = vec![0; FILE_BUFFER_BYTES];
    loop {
        let read = rest.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(&buffer[..read]);
    }
}
