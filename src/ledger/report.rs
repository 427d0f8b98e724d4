//! What a check found.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Horizon;
use crate::limits::{LEDGER_FINDINGS_MAX, MINUTE_MS};
use crate::snapshot::{Counters, Position};
use crate::time::{Epoch, LAST_EPOCH, Minute, utc};

/// Something that does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub place: String,
    /// What.
    pub problem: String,
}

/// Entries that were gone before they were read, and that the operator agreed to do without: no fault of the sink, but no row or reject
/// has their events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// The partition.
    pub partition: String,
    /// The commit that skipped them.
    pub commit: Epoch,
    /// They are past this one, where that commit went on; `None` where that is the beginning.
    pub from: Option<Position>,
    /// And before this one, where it ended.
    pub to: Option<Position>,
    /// How many gaps there are between the two; where the lines before are not looked at, how many there were up to then.
    pub gaps: u64,
    /// Whether all of them are between the two.
    pub within: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// What has gone for its age, and is not looked at.
    pub horizon: Horizon,
    /// Commits that left lines.
    pub commits: u64,
    /// The newest of them.
    pub newest: Option<Epoch>,
    /// Partitions.
    pub partitions: u64,
    /// What was read of them.
    pub counters: Counters,
    /// Minutes that were closed.
    pub minutes: u64,
    /// Events given away to be folded into them.
    pub events: u64,
    /// Folded events whose minutes are not closed; `None` where only a part of the ledger was looked at.
    pub open: Option<u64>,
    /// Rows that are there.
    pub rows: u64,
    /// The sum of their counts.
    pub counted: u64,
    /// Rejects that are there.
    pub rejects: u64,
    /// How often entries that were gone were done without.
    pub gaps: u64,
    /// The first of these, up to [`LEDGER_FINDINGS_MAX`].
    pub agreed: Vec<Agreed>,
    /// Rows of which older revisions are there too: readers of the newest see them once, all others more often.
    pub replaced: u64,
    /// The statements that remove those older ones.
    pub mends: BTreeSet<String>,
    /// How many things do not add up.
    pub problems: u64,
    /// The first of them, up to [`LEDGER_FINDINGS_MAX`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether everything adds up.
    pub fn balances(&self) -> bool {
        self.problems == 0
    }

    /// Entries were done without.
    pub(super) fn agreed(&mut self, agreed: Agreed) {
        self.gaps = self.gaps.saturating_add(agreed.gaps);
        if self.agreed.len() < LEDGER_FINDINGS_MAX {
            self.agreed.push(agreed);
        }
    }

    /// Something is there in older revisions too.
    pub(super) fn replaced(&mut self, mend: String) {
        self.replaced += 1;
        self.mends.insert(mend);
    }

    /// Something does not add up.
    pub(super) fn found(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.problems += 1;
        if self.findings.len() < LEDGER_FINDINGS_MAX {
            self.findings.push(Finding { place: place.into(), problem: problem.into() });
        }
    }

    /// Demands that something holds.
    pub(super) fn demand(&mut self, holds: bool, place: impl FnOnce() -> String, problem: impl FnOnce() -> String) {
        if !holds {
            self.found(place(), problem());
        }
    }
}

/// A commit in words.
pub(super) fn commit(commit: Epoch) -> String {
    if commit == LAST_EPOCH { format!("commit {commit} (the last)") } else { format!("commit {commit}") }
}

/// A minute in words.
pub(super) fn minute(minute: Minute) -> String {
    let start = i64::try_from(minute).ok().and_then(|minute| minute.checked_mul(MINUTE_MS));
    start.map_or_else(|| format!("minute {minute}"), utc)
}
