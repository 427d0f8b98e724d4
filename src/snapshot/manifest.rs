//! The manifest: one small JSON object that names everything a pipeline needs to go on.
//!
//! ```text
//!  {"format":2,"pipeline":"sensors","sequence":7, ...}   one line of compact JSON
//!  sha256:<64 hex digits>                                of the first line, its newline aside
//! ```
//! These two lines are the same in every format version; a version decides what stands in the first. Fields that a version does
//! not know are refused, not skipped: an older minuet that skipped one would drop it from the next manifest.
//!
//! | format | what it brought |
//! |---|---|
//! | 1 | the first |
//! | 2 | the gaps of each partition; none in format 1 |
//! | 3 | the events of each minute that is open; before, only the parts knew. How many events of a day could not be read |

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Counters, PartitionCut};
use crate::error::{Error, Result};
use crate::limits::OBJECT_BYTES_MAX;
use crate::time::{Epoch, Minute, Schedule};

/// The version that [`Manifest::encode`] writes.
const FORMAT: u64 = 3;

/// One stored part: the open partials of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// The sum of their counts.
    pub counted: u64,
    /// Sums in them that did not fit.
    pub overflows: u64,
}

/// Events that were given away to be folded into one minute and lane that is open at a commit. Counted apart from the partials, so
/// that the ledger shows it when one of these is lost or doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenMinute {
    /// The minute.
    pub minute: Minute,
    /// The lane.
    pub lane: u32,
    /// How many events.
    pub events: u64,
}

impl PartRef {
    /// What a manifest says of a part with these bytes.
    pub fn of(name: &str, bytes: &[u8], partials: u64) -> Self {
        PartRef { name: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256_hex(bytes), partials }
    }
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The pipeline.
    pub pipeline: String,
    /// Its own number: manifests are numbered from 1 without gaps.
    pub sequence: u64,
    /// The number of the run that wrote it.
    pub attempt: u64,
    /// A random name of that run.
    pub owner: String,
    /// The name of the run that began the pipeline empty: its rows belong to this life and to no other.
    pub life: String,
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
    /// What is open at `commit`, ascending; `None` where a manifest of format 1 or 2 said nothing of it.
    #[serde(default)]
    pub open: Option<Vec<OpenMinute>>,
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
        let json = serde_json::to_string(self).expect("it has no maps and no floats, the only things JSON can refuse");
        let line = format!("{{\"format\":{FORMAT},{}", &json[1..]);
        let checksum = sha256_hex(line.as_bytes());
        format!("{line}\nsha256:{checksum}\n").into_bytes()
    }

    /// Reads stored bytes of any version; the error says what is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > OBJECT_BYTES_MAX {
            let len = bytes.len();
            return Err(Error::data(format!("it has {len} bytes, allowed are {OBJECT_BYTES_MAX}")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::data("it is not UTF-8"))?;
        let (line, rest) = text.split_once('\n').ok_or_else(|| Error::data("its line with the checksum is missing"))?;
        let found = rest.strip_prefix("sha256:").and_then(|rest| rest.strip_suffix('\n'));
        let found = found.ok_or_else(|| Error::data("its second line is not sha256:, 64 hex digits and a newline"))?;
        let expected = sha256_hex(line.as_bytes());
        if found != expected {
            return Err(Error::data(format!("its checksum is {found}, its content has {expected}")));
        }
        let manifest = read_line(line)?;
        Schedule::restored(manifest.commit, &manifest.next)?;
        Ok(manifest)
    }
}

fn read_line(line: &str) -> Result<Manifest> {
    let bad = |cause: serde_json::Error| Error::data(format!("it is not a manifest: {cause}"));
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).map_err(bad)?;
    match fields.remove("format").as_ref().and_then(serde_json::Value::as_u64) {
        Some(1..=FORMAT) => serde_json::from_value(fields.into()).map_err(bad),
        Some(newer) if newer > FORMAT => Err(Error::data(format!(
            "it is of format {newer}, this minuet reads up to {FORMAT}: run the version of minuet that wrote it, or a newer one"
        ))),
        _ => Err(Error::data(format!("it does not say its format, a number from 1 to {FORMAT}"))),
    }
}

/// The SHA-256 of bytes, in lowercase hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
