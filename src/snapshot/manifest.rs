//! The manifest: one small JSON object that names everything a pipeline needs to go on.

use serde::{Deserialize, Serialize};

use super::{Counters, PartitionCut};
use crate::error::Result;
use crate::time::Epoch;

/// One stored part: the open partials of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRef {
    /// Its name in the store.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Partials in it.
    pub partials: u64,
}

/// What all rows written so far come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// The sum of their counts.
    pub counted: u64,
    /// Sums in them that did not fit.
    pub overflows: u64,
}

impl Totals {
    /// Adds what a slot wrote.
    pub fn add(&mut self, other: &Totals) {
        self.rows += other.rows;
        self.counted += other.counted;
        self.overflows += other.overflows;
    }
}

/// A manifest. The first of a pipeline, and the first of every run, is a *claim*: it changes nothing but attempt and owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The pipeline.
    pub pipeline: String,
    /// Its own number: manifests are numbered from 1 without gaps.
    pub sequence: u64,
    /// The number of the run that wrote it.
    pub attempt: u64,
    /// A random name of that run.
    pub owner: String,
    /// The plan's fingerprint.
    pub plan: String,
    /// Key groups, fixed for the life of the pipeline.
    pub key_groups: u32,
    /// Lanes, fixed likewise.
    pub lanes: u32,
    /// The newest commit epoch; `None` before the genesis.
    pub commit: Option<Epoch>,
    /// The next commit epochs, ascending: one at the start (the genesis), two while there is input, none after the last epoch.
    pub next: Vec<Epoch>,
    /// When it was written, in milliseconds since the Unix epoch.
    pub written_at: i64,
    /// The cut at `commit`.
    pub cut: Vec<PartitionCut>,
    /// The parts of the state at `commit`.
    pub parts: Vec<PartRef>,
    /// The rows up to `commit`.
    pub totals: Totals,
}

impl Manifest {
    /// The sum over all partitions.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for partition in &self.cut {
            sum.add(&partition.counters);
        }
        sum
    }

    /// The stored bytes: a line of JSON, then a line with its SHA-256.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads stored bytes of any version; the error says what is damaged.
    pub fn decode(_bytes: &[u8]) -> Result<Self> {
        todo!()
    }
}

impl PartRef { pub fn of(_name: &str, _bytes: &[u8], _partials: u64) -> Self { todo!() } }
