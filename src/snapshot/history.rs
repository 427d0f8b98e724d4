//! The manifests of one pipeline in a store: resume, claim, commit, clean up.

mod claim;
mod prune;
mod summary;
mod verify;

use std::sync::Arc;

use super::manifest::sha256_hex;
use super::{Manifest, PartRef, Store, part};
use crate::aggregate::Layout;
use crate::error::{Error, Fault, Result};

pub use claim::From;
pub use summary::{Shown, ShownPart, Summary};
pub use verify::Finding;

/// The history of one pipeline.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn Store>,
    pipeline: String,
}

impl History {
    /// The history of `pipeline` in `store`.
    pub fn new(store: Arc<dyn Store>, pipeline: &str) -> Self {
        History { store, pipeline: pipeline.to_owned() }
    }

    /// All sequence numbers stored, ascending.
    pub fn sequences(&self) -> Result<Vec<u64>> {
        let prefix = self.manifests_prefix();
        let names = self.store.list(&prefix)?;
        let number = |name: &String| name.strip_prefix(&prefix)?.strip_suffix(".json")?.parse().ok();
        let mut sequences: Vec<u64> = names.iter().filter_map(number).collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// The manifest of one sequence number; a damaged one is an error that names it and the way out (`--from SEQUENCE`).
    pub fn manifest(&self, sequence: u64) -> Result<Option<Manifest>> {
        let Some(bytes) = self.store.get(&self.manifest_name(sequence))? else { return Ok(None) };
        self.decode_manifest(sequence, &bytes).map(Some).map_err(|error| self.with_way_out(error, sequence))
    }

    /// The newest manifest, or `None` where the pipeline is new.
    pub fn newest(&self) -> Result<Option<Manifest>> {
        // One that was listed and is gone was cleaned up by a run that has stored newer ones.
        let mut gone = None;
        loop {
            let newest = self.sequences()?.last().copied();
            let Some(sequence) = newest else { return Ok(None) };
            if let Some(manifest) = self.manifest(sequence)? {
                return Ok(Some(manifest));
            }
            if gone >= newest {
                return Err(Error::data(format!(
                    "manifest {sequence} of {} is listed but cannot be read: wait until the store agrees with itself",
                    self.named()
                )));
            }
            gone = newest;
        }
    }

    /// The partials of all parts of a manifest, as records; sizes and checksums are tested first, a damaged part is named.
    pub fn partials(&self, manifest: &Manifest, layout: &Layout) -> Result<Vec<u64>> {
        let mut records = Vec::new();
        for part in &manifest.parts {
            self.part_bytes(part)
                .and_then(|bytes| {
                    part::decode(layout, &bytes, &mut records).map_err(|error| self.damaged_part(part, error))
                })
                .map_err(|error| self.with_way_out(error, manifest.sequence))?;
        }
        Ok(records)
    }

    /// Stores a part's bytes.
    pub fn put_part(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.store.put(name, bytes)
    }

    /// The bytes of a part, of the size and checksum that its manifest says.
    fn part_bytes(&self, part: &PartRef) -> Result<Vec<u8>> {
        let Some(bytes) = self.store.get(&part.name)? else {
            return Err(self.damaged_part(part, Error::data("it is missing")));
        };
        if bytes.len() as u64 != part.bytes {
            let cause = format!("it has {} bytes, its manifest says {}", bytes.len(), part.bytes);
            return Err(self.damaged_part(part, Error::data(cause)));
        }
        let sha256 = sha256_hex(&bytes);
        if sha256 != part.sha256 {
            let cause = format!("its sha256 is {sha256}, its manifest says {}", part.sha256);
            return Err(self.damaged_part(part, Error::data(cause)));
        }
        Ok(bytes)
    }

    /// Decodes a manifest and makes sure that it is the one its name says.
    fn decode_manifest(&self, sequence: u64, bytes: &[u8]) -> Result<Manifest> {
        let manifest = Manifest::decode(bytes).and_then(|manifest| {
            if manifest.sequence == sequence && manifest.pipeline == self.pipeline {
                return Ok(manifest);
            }
            let Manifest { pipeline, sequence, .. } = manifest;
            Err(Error::data(format!("its content is that of manifest {sequence} of pipeline '{pipeline}'")))
        });
        manifest.map_err(|error| {
            let name = self.manifest_name(sequence);
            error.while_doing(format!("manifest {sequence} of {} ({name}) cannot be used", self.named()))
        })
    }

    fn damaged_part(&self, part: &PartRef, cause: Error) -> Error {
        cause.while_doing(format!("part {} of {} cannot be used", part.name, self.named()))
    }

    /// Adds what an operator can do about a damaged manifest or part: the newest older manifest that is whole with its parts.
    fn with_way_out(&self, error: Error, damaged: u64) -> Error {
        if error.fault != Fault::Data {
            return error;
        }
        let older = self.sequences().unwrap_or_default().into_iter().rev().filter(|&sequence| sequence != damaged);
        let way_out = match older.into_iter().find(|&sequence| self.whole(sequence)) {
            Some(whole) => format!(
                "manifest {whole} is the newest one that is whole: `--from {whole}` goes on from there and writes the rows after it again"
            ),
            None => "no other manifest is whole, so `--from SEQUENCE` has nothing to go on from: put the object back from a copy, \
                     or begin anew with `--fresh`"
                .to_owned(),
        };
        Error::data(format!("{error}; {way_out}"))
    }

    /// Whether a manifest and all its parts can be read.
    fn whole(&self, sequence: u64) -> bool {
        let bytes = self.store.get(&self.manifest_name(sequence)).ok().flatten();
        let manifest = bytes.and_then(|bytes| self.decode_manifest(sequence, &bytes).ok());
        manifest.is_some_and(|manifest| {
            manifest.parts.iter().all(|part| self.part_bytes(part).is_ok_and(|bytes| part::read(&bytes).is_ok()))
        })
    }

    fn named(&self) -> String {
        format!("pipeline '{}' in {}", self.pipeline, self.store.place())
    }

    fn manifests_prefix(&self) -> String {
        format!("{}/manifests/", self.pipeline)
    }

    fn parts_prefix(&self) -> String {
        format!("{}/parts/", self.pipeline)
    }

    fn manifest_name(&self, sequence: u64) -> String {
        format!("{}{sequence:020}.json", self.manifests_prefix())
    }
}

#[cfg(test)]
mod tests;
