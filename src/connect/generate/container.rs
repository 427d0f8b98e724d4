//! The Avro object container file (Avro 1.12 specification, "Object Container Files"), without compression.
//!
//! apache-avro's own writer is not used here: it takes values, not encoded bytes, and its sync marker is random, which would
//! make two files of one seed differ.

use apache_avro::Schema;

use super::batch::Batch;
use super::encode::varint;
use super::random::Random;
use crate::error::{Error, Result};

/// Header and blocks of one container file.
pub(super) struct Container {
    sync: [u8; 16],
}

impl Container {
    /// A container whose sync marker belongs to the seed and the partition.
    pub(super) fn new(seed: u64, partition: u32) -> Self {
        let mut random = Random::of([seed, u64::from(partition), u64::MAX]);
        let mut sync = [0; 16];
        sync[..8].copy_from_slice(&random.bits().to_le_bytes());
        sync[8..].copy_from_slice(&random.bits().to_le_bytes());
        Container { sync }
    }

    /// Appends the file's header.
    pub(super) fn header(&self, schema: &Schema, out: &mut Vec<u8>) -> Result<()> {
        let json = serde_json::to_string(schema).map_err(|error| Error::bug(format!("writing a schema: {error}")))?;
        out.extend_from_slice(b"Obj\x01");
        varint(2, out);
        for (key, value) in [("avro.codec", "null"), ("avro.schema", json.as_str())] {
            for text in [key, value] {
                varint(text.len() as i64, out);
                out.extend_from_slice(text.as_bytes());
            }
        }
        out.push(0);
        out.extend_from_slice(&self.sync);
        Ok(())
    }

    /// Appends a block: one entry.
    pub(super) fn block(&self, batch: &Batch, out: &mut Vec<u8>) {
        varint(batch.spans.len() as i64, out);
        varint(batch.bytes.len() as i64, out);
        out.extend_from_slice(&batch.bytes);
        out.extend_from_slice(&self.sync);
    }
}
