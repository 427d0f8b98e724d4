//! What `minuet snapshot list` and `show` print.

use serde::Serialize;

use super::History;
use crate::error::Result;
use crate::snapshot::{Counters, Manifest};
use crate::time::Epoch;

/// One stored manifest in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its number.
    pub sequence: u64,
    /// Why it cannot be read; everything below is empty then.
    pub damaged: Option<String>,
    /// The run that wrote it.
    pub attempt: u64,
    /// The name of that run.
    pub owner: String,
    /// The commit epoch; `None` before the genesis.
    pub commit: Option<Epoch>,
    /// When it was written, in milliseconds since the Unix epoch.
    pub written_at: i64,
    /// Partitions in its cut.
    pub partitions: usize,
    /// Parts.
    pub parts: usize,
    /// Open partials in them.
    pub partials: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows written up to it.
    pub rows: u64,
    /// What became of all events up to it.
    pub counters: Counters,
}

/// One part of a shown manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownPart {
    /// Its name.
    pub name: String,
    /// Why it cannot be used; `None` where size and checksum are right.
    pub damaged: Option<String>,
}

/// One stored manifest with all it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The manifest.
    pub manifest: Manifest,
    /// What became of all events up to it.
    pub counters: Counters,
    /// Whether every one of them is accounted for.
    pub balanced: bool,
    /// Its parts.
    pub parts: Vec<ShownPart>,
}

impl History {
    /// All stored manifests, ascending; damaged ones among them.
    pub fn summaries(&self) -> Result<Vec<Summary>> {
        self.sequences()?.into_iter().filter_map(|sequence| self.summary(sequence).transpose()).collect()
    }

    /// The manifest of one sequence number with all it says; `None` where there is none.
    pub fn show(&self, sequence: u64) -> Result<Option<Shown>> {
        let Some(manifest) = self.manifest(sequence)? else { return Ok(None) };
        let parts = manifest.parts.iter().map(|part| ShownPart {
            name: part.name.clone(),
            damaged: self.part_bytes(part).err().map(|error| error.to_string()),
        });
        let (parts, counters) = (parts.collect(), manifest.counters());
        Ok(Some(Shown { balanced: counters.balanced(), counters, parts, manifest }))
    }

    fn summary(&self, sequence: u64) -> Result<Option<Summary>> {
        let Some(bytes) = self.store.get(&self.manifest_name(sequence))? else { return Ok(None) };
        let empty = Summary {
            sequence,
            damaged: None,
            attempt: 0,
            owner: String::new(),
            commit: None,
            written_at: 0,
            partitions: 0,
            parts: 0,
            partials: 0,
            bytes: 0,
            rows: 0,
            counters: Counters::default(),
        };
        Ok(Some(match self.decode_manifest(sequence, &bytes) {
            Err(error) => Summary { damaged: Some(error.to_string()), ..empty },
            Ok(manifest) => Summary {
                attempt: manifest.attempt,
                counters: manifest.counters(),
                owner: manifest.owner,
                commit: manifest.commit,
                written_at: manifest.written_at,
                partitions: manifest.cut.len(),
                parts: manifest.parts.len(),
                partials: manifest.parts.iter().fold(0, |sum, part| sum.saturating_add(part.partials)),
                bytes: manifest.parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes)),
                rows: manifest.totals.rows,
                ..empty
            },
        }))
    }
}
