//! What the graph needs from outside: where entries come from, where rows go, where snapshots live.
//!
//! Nothing here blocks: a worker thread polls, and is woken through a [`Wake`] when there is something to poll for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::FinishedRow;
use crate::error::Result;
use crate::event::Span;
use crate::snapshot::{Counters, Manifest, PartitionCut, Position};
use crate::time::{Epoch, Millis, Minute};

pub use super::report::{CommitReport, CommitStep, PartitionReport, SlotReport, Stopped, What, Work};

/// Wakes the worker thread that polls; cheap, callable from any thread, as often as one likes.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Where the events of an entry lie in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each event is a payload of its own.
    Payloads(Vec<Span>),
    /// This many events stand one after another without frames (a block of an Avro file).
    Run(u32),
}

impl Framing {
    /// Events in the entry.
    pub fn events(&self) -> usize {
        match self {
            Framing::Payloads(spans) => spans.len(),
            Framing::Run(count) => *count as usize,
        }
    }
}

/// Which schema the events of an entry were written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The dataflow's own.
    Own,
    /// This one, in JSON; shared by all entries of that schema.
    Schema(Arc<str>),
    /// One that cannot be had, or the entry's bytes cannot be made sense of: each of its payloads is a reject, for this reason.
    Unreadable(Arc<str>),
}

/// The unit of reading: always read whole. One without events only moves the cut: so a source says where a partition begins, before its
/// first event comes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where this entry is.
    pub position: Position,
    /// Where the next one is.
    pub next: Position,
    /// Its bytes, decompressed.
    pub bytes: Vec<u8>,
    /// Where the events are in them.
    pub framing: Framing,
    /// The schema of its events.
    pub writer: Writer,
    /// When it was published; `None` in files.
    pub publish_time: Option<Millis>,
}

impl Entry {
    /// The payload at a span; `None` where that is not in the entry.
    pub fn payload(&self, span: Span) -> Option<&[u8]> {
        let start = span.start as usize;
        self.bytes.get(start..start.checked_add(span.len as usize)?)
    }
}

/// Entries that are gone from a partition before they were read, and that the operator has agreed to do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where reading was to go on.
    pub from: Position,
    /// Where it goes on.
    pub to: Position,
    /// How it is known.
    pub why: String,
}

/// What a partition has to give now.
#[derive(Debug)]
pub enum Next {
    /// An entry.
    Entry(Entry),
    /// Some entries are missing before the next one.
    Gap(Gap),
    /// Nothing yet; the wake will be called.
    Waiting,
    /// It is connected and has been read to its end; more may come, then the wake will be called.
    CaughtUp,
    /// Nothing will ever come.
    Ended,
}

/// A partition of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its name, the same in every run.
    pub name: String,
    /// What tells that it is still the same; see [`PartitionCut::identity`].
    pub identity: String,
}

/// Where to begin reading a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its number: its index in [`Source::partitions`].
    pub partition: u32,
    /// Its next unread entry; `None` where none was read yet, and the source has not said where it begins.
    pub from: Option<Position>,
    /// Whether the pipeline has committed before. Then a partition of which nothing was read begins at its first entry, however a
    /// first run would have begun.
    pub begun: bool,
}

/// A partitioned source of entries.
pub trait Source: Send + Sync {
    /// All partitions, in their lasting order.
    fn partitions(&self) -> Result<Vec<Partition>>;

    /// Whether the source is still the one that a manifest's cut speaks of; the error names the partition that is not.
    fn resume(&self, cut: &[PartitionCut]) -> Result<()>;

    /// Whether there are more partitions by now than [`Source::partitions`] gave; asked from time to time, by a thread that may wait.
    fn grown(&self) -> Result<bool> {
        Ok(false)
    }

    /// Opens a reader for the partitions that one slot owns.
    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>>;
}

/// One slot's reader. Reads ahead a bounded number of entries per partition; a partition that is not polled is paused.
pub trait Reader {
    /// The next entry of a partition.
    fn next(&mut self, partition: u32) -> Result<Next>;

    /// Takes back an entry that has been read, for its room; a reader that has no use for it drops it.
    fn recycle(&mut self, _entry: Entry) {}

    /// Everything before `position` is covered by a stored manifest.
    fn acknowledge(&mut self, partition: u32, position: Position);
}

/// An event kept aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// `malformed`, `late` or `too_far_ahead`.
    pub reason: &'static str,
    /// What exactly was wrong.
    pub detail: String,
    /// Its partition's name.
    pub partition: String,
    /// Its entry.
    pub position: Position,
    /// Its index in the entry.
    pub index: u32,
    /// Its payload's beginning, up to [`crate::limits::REJECT_PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
}

/// What became of one partition's events between two commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// The partition at the newer cut.
    pub cut: PartitionCut,
    /// Its position at the older one.
    pub from: Option<Position>,
    /// The difference of the counters.
    pub counters: Counters,
}

/// What became of the events of one minute and lane, told by the commit that closed it. `events` is counted where events are read,
/// the rest is what their rows come to: where nothing was lost or doubled in between, `events` and `counted` are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteLine {
    /// The minute.
    pub minute: Minute,
    /// The lane.
    pub lane: u32,
    /// Events that were given away to be folded into it.
    pub events: u64,
    /// Its rows.
    pub rows: u64,
    /// The sum of their counts.
    pub counted: u64,
    /// The sum, modulo 2^64, of their hashes; see [`crate::aggregate::row_binary::hash`].
    pub hash: u64,
}

/// Something to write to the sink. Writing the same again replaces it: a replay leaves no trace.
#[derive(Clone, Debug)]
pub enum Write {
    /// All rows of one commit epoch and lane, sorted by (minute, source).
    Rows {
        /// The commit epoch.
        commit: Epoch,
        /// The lane.
        lane: u32,
        /// Blocks of at most `rows_per_insert` rows.
        blocks: Vec<Vec<FinishedRow>>,
    },
    /// All rejects of one commit epoch and partition, in the order they were read.
    Rejects {
        /// The commit epoch.
        commit: Epoch,
        /// The partition's number.
        partition: u32,
        /// The rejects.
        rejects: Vec<Reject>,
    },
    /// The ledger of one commit, before its manifest is stored.
    Ledger {
        /// The commit epoch.
        commit: Epoch,
        /// The run that committed it.
        attempt: u64,
        /// One line per partition of which something changed.
        lines: Vec<LedgerLine>,
        /// One line per minute and lane that the commit closed, ascending.
        minutes: Vec<MinuteLine>,
    },
}

impl Write {
    /// The commit epoch that it belongs to.
    pub fn commit(&self) -> Epoch {
        match self {
            Write::Rows { commit, .. } | Write::Rejects { commit, .. } | Write::Ledger { commit, .. } => *commit,
        }
    }
}

/// Something to store.
#[derive(Clone, Debug)]
pub enum Keep {
    /// The bytes of a part, under its name.
    Part {
        /// The commit epoch that it belongs to.
        commit: Epoch,
        /// The name.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A manifest, if its sequence number is free. An error of fault `Superseded` where it is not.
    Manifest(Box<Manifest>),
}

/// Work done elsewhere, for one slot. Answers come in any order, one for each ticket.
pub trait Outlet<J> {
    /// Hands over a job; never blocks.
    fn submit(&mut self, ticket: u64, job: J);

    /// The next answer that has come.
    fn poll(&mut self) -> Option<(u64, Result<()>)>;
}

/// Where rows, rejects and the ledger go.
pub trait Sink: Send + Sync {
    /// Whether a pipeline that would go on from this manifest may write here: one without a commit may not where there are rows
    /// already, and nobody may among the rows of another. Changes nothing: whoever may not run must not disturb the one that does.
    fn check(&self, found: Option<&Manifest>) -> Result<()>;

    /// Makes ready for a run that has claimed the pipeline with this manifest: what was written for later commit epochs is in doubt
    /// and goes away; the run writes it again, if it comes again. From here on no older run can write. `fresh` takes the place of
    /// whatever was there.
    fn prepare(&self, claim: &Manifest, fresh: bool) -> Result<()>;

    /// Takes part, as another process, in the run that has been made ready with this manifest; refused where that was another sink.
    fn join(&self, claim: &Manifest) -> Result<()>;

    /// A writer for one slot.
    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>>;
}

/// Where snapshots go.
pub trait Archive: Send + Sync {
    /// A keeper for one slot.
    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Keep>>>;
}

/// Who is told of progress; must not block.
pub trait Observer: Send + Sync {
    /// How often a slot is to tell of itself, in milliseconds; never where none is said.
    fn every(&self) -> Option<Millis> {
        None
    }

    /// A slot stands so.
    fn slot(&self, report: SlotReport) {
        let _ = report;
    }

    /// The loop of a slot's worker has gone round once more. Called very often.
    fn turned(&self, slot: usize) {
        let _ = slot;
    }

    /// Work for a commit epoch was handed over.
    fn began(&self, work: Work, at: Millis) {
        let _ = (work, at);
    }

    /// It is acknowledged.
    fn ended(&self, work: Work, at: Millis) {
        let _ = (work, at);
    }

    /// The commit that is under way has come one step further; told by slot 0.
    fn committing(&self, report: CommitReport) {
        let _ = report;
    }

    /// The ledger of a commit, before it is written; told by slot 0.
    fn ledger(&self, commit: Epoch, lines: &[LedgerLine], minutes: &[MinuteLine]) {
        let _ = (commit, lines, minutes);
    }

    /// So many events were read.
    fn read(&self, events: u64);

    /// A manifest is stored.
    fn committed(&self, manifest: &Manifest);

    /// A slot folded before the exchange, and its epoch rose.
    fn combined(&self, combined: &Combined) {
        let _ = combined;
    }
}

/// What folding before the exchange came to in one epoch of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Combined {
    /// The slot.
    pub slot: usize,
    /// Events that were folded.
    pub events: u64,
    /// Partials that went out in their place.
    pub partials: u64,
    /// Whether it goes on; otherwise it sends events one by one for a while.
    pub goes_on: bool,
}
