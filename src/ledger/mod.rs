//! The ledger, checked: that every event that was read is in one row, once, or was counted with the reason why it is in none.
//!
//! A commit leaves two kinds of line, and the rows and rejects they speak of.
//!
//! | of a partition | what it means |
//! |---|---|
//! | `commit` | the commit epoch; a minute number, the last one it closed |
//! | `attempt` | the number of the run that committed it |
//! | `partition` | its name |
//! | `from`, `to` | its next unread entry at the commit before, and at this one |
//! | `read` | events between the two; `folded + malformed + late + too_far_ahead` |
//! | `folded` | events that were given away to be folded |
//! | `malformed`, `late`, `too_far_ahead` | events that count in no row, by reason |
//! | `nulls`, `non_finite` | values of folded events that were left out |
//! | `idle_decisions`, `gaps` | since the beginning: how often the clock declared it idle, and how often entries that are gone were accepted |
//!
//! | of a minute and lane | what it means |
//! |---|---|
//! | `commit`, `attempt` | as above; a minute is closed by one commit |
//! | `window_start`, `lane` | which |
//! | `events` | events given away to be folded into it, counted where they are read |
//! | `rows` | its rows |
//! | `counted` | the sum of their counts: `events`, where nothing was lost or doubled in between |
//! | `hash` | the sum modulo 2^64 of the XXH3 of each row's bytes ([`crate::aggregate::row_binary`]): it changes with every value of every row |
//!
//! Pure: a [`LedgerSource`] reads, line by line, so that memory is bounded by the partitions and by the minutes of one commit.

mod chain;
mod check;
mod minutes;
mod rejects;
mod report;

use serde::Serialize;

use crate::error::Result;
use crate::snapshot::{Counters, Position};
use crate::time::{Epoch, Minute};

pub use check::check;
pub use report::{Agreed, Finding, Report};

/// Minutes from the first up to, and not including, the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: Minute,
    /// The first that is not in it.
    pub to: Minute,
}

impl Range {
    /// All there are.
    pub const ALL: Range = Range { from: 0, to: Minute::MAX };

    /// Whether a minute, or a commit epoch, is in it.
    pub fn contains(&self, minute: Minute) -> bool {
        (self.from..self.to).contains(&minute)
    }
}

/// Where what is surely there begins, where a sink keeps its lines for a limited time; none where all that was written is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Horizon {
    /// The oldest commit whose lines of partitions and rejects are all there.
    pub commits: Option<Epoch>,
    /// The oldest minute whose lines and rows are all there.
    pub minutes: Option<Minute>,
}

impl Horizon {
    /// What of a range of commits, and of one of minutes, is there.
    pub(crate) fn within(&self, range: Range) -> (Range, Range) {
        let after = |oldest: Option<u64>| Range { from: range.from.max(oldest.unwrap_or_default()), ..range };
        (after(self.commits), after(self.minutes))
    }
}

/// What a commit says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLine {
    /// The commit.
    pub commit: Epoch,
    /// The run that made it.
    pub attempt: u64,
    /// The partition's name.
    pub partition: String,
    /// Its next unread entry at the commit before; `None` where none had been read.
    pub from: Option<Position>,
    /// Its next unread entry.
    pub to: Option<Position>,
    /// What was read between the two.
    pub counters: Counters,
    /// How often, from the beginning up to `to`, entries that are gone were done without.
    pub gaps: u64,
}

/// A minute and lane of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The commit.
    pub commit: Epoch,
    /// The minute.
    pub minute: Minute,
    /// The lane.
    pub lane: u32,
}

/// What some rows come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// How many there are.
    pub rows: u64,
    /// The sum of their counts.
    pub counted: u64,
    /// The sum of their hashes, modulo 2^64.
    pub hash: u64,
}

impl Content {
    /// Adds one row.
    pub fn add(&mut self, counted: u64, hash: u64) {
        self.rows += 1;
        self.counted = self.counted.saturating_add(counted);
        self.hash = self.hash.wrapping_add(hash);
    }
}

/// What a commit says of a minute and lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub place: Place,
    /// Events given away to be folded into it.
    pub events: u64,
    /// What its rows came to.
    pub content: Content,
}

/// The rows of a minute and lane that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub place: Place,
    /// What they come to.
    pub content: Content,
}

/// The rejects of a partition that a commit kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The commit.
    pub commit: Epoch,
    /// The partition's name.
    pub partition: String,
    /// Malformed ones.
    pub malformed: u64,
    /// Late ones.
    pub late: u64,
    /// Those too far ahead.
    pub too_far_ahead: u64,
}

/// Something that is stored more often than once, where the newest of it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// What.
    pub what: String,
    /// How often it is there.
    pub times: u64,
    /// The runs that wrote it, where that is known.
    pub by: Option<Runs>,
}

/// The runs that wrote something more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// How often the newest of them did: once where the others are merely not merged away yet.
    pub newest: u64,
    /// Their revisions, as text.
    pub revisions: String,
    /// The statement that removes what the newest has replaced.
    pub mend: String,
}

/// What comes out of a source, one by one.
pub type Lines<'a, T> = Box<dyn Iterator<Item = Result<T>> + 'a>;

/// A sink as the check reads it. Lines of partitions and rejects belong to a range by their commit, minutes and rows by their minute.
pub trait LedgerSource {
    /// What has gone for its age.
    fn horizon(&self) -> Result<Horizon> {
        Ok(Horizon::default())
    }

    /// The lines of partitions, ascending by commit.
    fn partitions(&self, range: Range) -> Result<Lines<'_, PartitionLine>>;

    /// The lines of minutes, ascending by place.
    fn minutes(&self, range: Range) -> Result<Lines<'_, Told>>;

    /// The rows that are there, by place, ascending; their hashes are made from their values.
    fn rows(&self, range: Range) -> Result<Lines<'_, Found>>;

    /// The rejects that are there, ascending by commit; each commit and partition once.
    fn rejects(&self, range: Range) -> Result<Lines<'_, Kept>>;

    /// What is stored more often than once without being read more often: none where each time is read.
    fn repeated(&self, _range: Range) -> Result<Lines<'_, Repeated>> {
        Ok(Box::new(std::iter::empty()))
    }
}

#[cfg(test)]
mod tests;
