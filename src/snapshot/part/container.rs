//! The file around the partials (Avro 1.12 specification, "Object Container Files"): codec null, one block per few records.

use sha2::{Digest, Sha256};

use super::datum::{self, SCHEMA};
use super::wire::{Taken, put_bytes, put_len};
use crate::aggregate::partial::Partial;
use crate::error::{Error, Result};
use crate::limits::{OBJECT_BYTES_MAX, PART_BLOCK_PARTIALS};

const MAGIC: &[u8] = b"Obj\x01";
const VERSION_KEY: &str = "minuet.part";
const VERSION: &str = "1";

/// The file of these partials, in this order.
pub(super) fn write(mut partials: impl Iterator<Item = Partial>) -> Vec<u8> {
    let mut blocks: Vec<(usize, Vec<u8>)> = Vec::new();
    loop {
        let (mut count, mut block) = (0, Vec::with_capacity(blocks.last().map_or(0, |(_, last)| last.len())));
        for partial in partials.by_ref().take(PART_BLOCK_PARTIALS) {
            datum::put(&mut block, &partial);
            count += 1;
        }
        if count == 0 {
            break;
        }
        blocks.push((count, block));
    }
    let mut digest = Sha256::new();
    blocks.iter().for_each(|(_, block)| digest.update(block));
    let marker = &digest.finalize()[..16];

    let mut out = MAGIC.to_vec();
    put_len(&mut out, 3);
    for (key, value) in [("avro.codec", "null"), ("avro.schema", SCHEMA), (VERSION_KEY, VERSION)] {
        put_bytes(&mut out, key.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    put_len(&mut out, 0);
    out.extend_from_slice(marker);
    for (count, block) in blocks {
        put_len(&mut out, count);
        put_bytes(&mut out, &block);
        out.extend_from_slice(marker);
    }
    out
}

/// The partials of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Partial>> {
    if bytes.len() > OBJECT_BYTES_MAX {
        let len = bytes.len();
        return Err(Error::data(format!("it has {len} bytes, allowed are {OBJECT_BYTES_MAX}")));
    }
    let mut bytes = Taken(bytes);
    let marker = read_header(&mut bytes).map_err(|error| error.while_doing("in its header"))?;
    let mut partials = Vec::new();
    let mut block = 0;
    while !bytes.0.is_empty() {
        read_block(&mut bytes, &marker, &mut partials)
            .map_err(|error| error.while_doing(format!("in block {block}")))?;
        block += 1;
    }
    Ok(partials)
}

fn read_header(bytes: &mut Taken) -> Result<[u8; 16]> {
    if bytes.slice(MAGIC.len()).ok() != Some(MAGIC) {
        return Err(Error::data("it does not begin as an Avro object container file does"));
    }
    let entries = bytes.items(|bytes| Ok((bytes.bytes()?, bytes.bytes()?)))?;
    let get = |key: &str| entries.iter().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| *value);
    match get(VERSION_KEY) {
        Some(version) if version == VERSION.as_bytes() => {}
        found => {
            let found = found.map_or("nothing".into(), String::from_utf8_lossy);
            return Err(Error::data(format!(
                "{VERSION_KEY} is {found}, this minuet reads {VERSION}: run the version of minuet that wrote it, or a newer one"
            )));
        }
    }
    if get("avro.schema") != Some(SCHEMA.as_bytes()) {
        return Err(Error::data(format!("its schema is not the one of version {VERSION}")));
    }
    match get("avro.codec") {
        None | Some(b"null") => bytes.array(),
        Some(codec) => {
            let codec = String::from_utf8_lossy(codec);
            Err(Error::data(format!("its codec is {codec}, allowed is null")))
        }
    }
}

fn read_block(bytes: &mut Taken, marker: &[u8; 16], partials: &mut Vec<Partial>) -> Result<()> {
    let count = bytes.len()?;
    let mut block = Taken(bytes.bytes()?);
    if bytes.array()? != *marker {
        return Err(Error::data("it does not end with the file's sync marker"));
    }
    for _ in 0..count {
        partials.push(datum::take(&mut block)?);
    }
    if !block.0.is_empty() {
        return Err(Error::data(format!("{} bytes are left after its {count} partials", block.0.len())));
    }
    Ok(())
}
