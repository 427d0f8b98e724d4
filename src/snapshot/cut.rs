//! The cut: per partition, how far it was read when an epoch began, and what that gave.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{Millis, Minute};

/// The place of a partition's next unread entry; what the two numbers are is the source's business (file: byte offset and
/// entry number; Pulsar: ledger and entry). Ordered as the partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(pub u64, pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// What became of the events of a partition: `read = folded + malformed + late + too_far_ahead`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Events read.
    pub read: u64,
    /// Events that are in a partial or a row.
    pub folded: u64,
    /// Events that could not be decoded.
    pub malformed: u64,
    /// Events whose minute was closed for their partition.
    pub late: u64,
    /// Events too far past their publish time.
    pub too_far_ahead: u64,
    /// Null values of selected fields, in folded events.
    pub nulls: u64,
    /// NaN and infinite values of selected fields, in folded events.
    pub non_finite: u64,
}

impl Counters {
    /// Whether every event read is accounted for.
    pub fn balanced(&self) -> bool {
        let parts = [self.folded, self.malformed, self.late, self.too_far_ahead];
        u128::from(self.read) == parts.into_iter().map(u128::from).sum()
    }

    /// What was counted since `before`, the same partition's counters at an older cut.
    pub fn since(&self, before: &Counters) -> Counters {
        Counters {
            read: self.read.saturating_sub(before.read),
            folded: self.folded.saturating_sub(before.folded),
            malformed: self.malformed.saturating_sub(before.malformed),
            late: self.late.saturating_sub(before.late),
            too_far_ahead: self.too_far_ahead.saturating_sub(before.too_far_ahead),
            nulls: self.nulls.saturating_sub(before.nulls),
            non_finite: self.non_finite.saturating_sub(before.non_finite),
        }
    }

    /// Adds another partition's counters (stored ones may be anything: they stop at the largest number).
    pub fn add(&mut self, other: &Counters) {
        self.read = self.read.saturating_add(other.read);
        self.folded = self.folded.saturating_add(other.folded);
        self.malformed = self.malformed.saturating_add(other.malformed);
        self.late = self.late.saturating_add(other.late);
        self.too_far_ahead = self.too_far_ahead.saturating_add(other.too_far_ahead);
        self.nulls = self.nulls.saturating_add(other.nulls);
        self.non_finite = self.non_finite.saturating_add(other.non_finite);
    }
}

/// How many rejects of the partition's current minute were kept with their payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectsKept {
    /// The minute of the partition's watermark.
    pub minute: Minute,
    /// Rejects kept in it.
    pub count: u64,
}

/// Events of entries that could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// The day of the partition's watermark, in days since 1970.
    pub day: u64,
    /// Such events in it.
    pub events: u64,
}

/// One partition at a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionCut {
    /// Its number.
    pub partition: u32,
    /// Its name.
    pub name: String,
    /// What tells that it is still the same (a file's length and checksum); empty where the source has nothing to say.
    pub identity: String,
    /// Its next unread entry; `None` before the first was read or the source has said where it begins.
    pub position: Option<Position>,
    /// The largest event time read (too far ahead ones aside); its watermark is this minus `out_of_order`.
    pub max_time: Option<Millis>,
    /// Whether it has been read to an end after which nothing comes.
    pub ended: bool,
    /// What its events came to.
    pub counters: Counters,
    /// The budget of its rejects.
    pub rejects_kept: RejectsKept,
    /// How often the wall clock declared it idle.
    pub idle_decisions: u64,
    /// Gaps that the operator has agreed to go on behind; a manifest of format 1 knows none.
    #[serde(default)]
    pub gaps: u64,
    /// The budget of its unreadable events; none were counted before format 3.
    #[serde(default)]
    pub unreadable: Unreadable,
}

impl PartitionCut {
    /// A partition of which nothing has been read.
    pub fn beginning(partition: u32, name: &str, identity: &str) -> Self {
        PartitionCut {
            partition,
            name: name.to_owned(),
            identity: identity.to_owned(),
            position: None,
            max_time: None,
            ended: false,
            counters: Counters::default(),
            rejects_kept: RejectsKept::default(),
            idle_decisions: 0,
            gaps: 0,
            unreadable: Unreadable::default(),
        }
    }
}
