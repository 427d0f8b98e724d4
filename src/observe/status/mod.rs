//! A process as it is now, for programs: what `/api/v1/status` answers, what the metrics say in numbers and `minuet why` in words.

mod now;
mod open;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::histogram::Times;
use crate::dataflow::edges::{CommitStep, Stopped, What};
use crate::snapshot::{Counters, OpenMinute, Position, Totals};
use crate::time::{Epoch, Millis, Minute};

pub use now::{AskEdges, Board};
pub use open::{as_minute, minute, span};

/// How far a process has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It opens its source.
    #[default]
    Opening,
    /// It meets the other processes.
    Meeting,
    /// It takes up the state of the newest manifest, and makes its sink ready.
    Resuming,
    /// It reads.
    Running,
    /// It ends.
    Ending,
}

/// What stays as it is while a process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The program's version.
    pub version: String,
    /// The pipeline.
    pub pipeline: String,
    /// The number of this process.
    pub process: usize,
    /// Processes of the run.
    pub processes: usize,
    /// Worker threads of each.
    pub workers: usize,
    /// Key groups of the pipeline.
    pub key_groups: u32,
    /// Lanes of the pipeline.
    pub lanes: u32,
    /// How long a partition's minutes are waited for.
    pub out_of_order_ms: Millis,
    /// When the process started.
    pub started_at: Millis,
}

/// What only the edges know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    /// The sink.
    pub sink: SinkNow,
    /// The store of the state.
    pub store: StoreNow,
    /// The connection of each partition of a topic.
    pub connections: BTreeMap<u32, Connection>,
}

/// What a sink has met in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkNow {
    /// Tries that followed one that failed.
    pub retries: u64,
    /// Inserts whose answer was lost.
    pub ambiguous: u64,
    /// Blocks that were stored again.
    pub healed: u64,
    /// Rows of earlier attempts that were removed.
    pub removed: u64,
    /// Why it fails, while it does.
    pub trouble: Option<String>,
}

/// What the store of the state has met in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreNow {
    /// Tries that failed and were begun again.
    pub retries: u64,
    /// Why it is away, while it is.
    pub trouble: Option<String>,
}

/// The connection of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Whether it is subscribed.
    pub connected: bool,
    /// Connections that ended, by their cause.
    pub reconnects: BTreeMap<String, u64>,
    /// Messages received, repeats among them.
    pub messages: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Entries received, repeats among them.
    #[serde(default)]
    pub entries: u64,
    /// Entries that came again.
    #[serde(default)]
    pub repeats: u64,
    /// Bytes reserved for what is on the way and what waits to be read.
    pub bytes_held: u64,
    /// Permits given and not used; negative where a dispatch brought more.
    #[serde(default)]
    pub permits: i64,
    /// The next entry to be handed to the slot; none before the first.
    #[serde(default)]
    pub next: Option<Position>,
    /// The last entry that the broker has named; older than the newest by some seconds.
    #[serde(default)]
    pub last: Option<Position>,
    /// The last entry whose acknowledgement was answered.
    #[serde(default)]
    pub acknowledged: Option<Position>,
}

/// A process as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What stays as it is.
    pub about: About,
    /// The clock of the process.
    pub now: Millis,
    /// How far it has come.
    pub stage: Stage,
    /// Its resident memory, where the system tells.
    pub memory_bytes: Option<u64>,
    /// The processor time that it has used, where the system tells.
    pub cpu_ms: Option<u64>,
    /// What its edges have met.
    pub edges: Edges,
    /// The run; none before it has resumed.
    pub run: Option<Run>,
}

/// A run as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub attempt: u64,
    /// Events that this process has read in it.
    pub events_read: u64,
    /// Commits that this process has made in it; only process 0 makes any.
    pub commits: u64,
    /// The newest commit that this process knows of.
    pub newest: Newest,
    /// The rows of this run.
    pub rows: Totals,
    /// The commit that is under way, in process 0.
    pub committing: Option<Committing>,
    /// What was handed to the sink and the store and is not acknowledged.
    pub working: Vec<Working>,
    /// The slots of this process that have a partition.
    pub slots: Vec<Slot>,
    /// All partitions.
    pub partitions: Vec<Partition>,
    /// The oldest minute that is not complete, as far as the slots of this process go; none where they have read all there is.
    pub oldest_open: Option<OldestOpen>,
    /// How long the rows of a slot took to be written.
    pub flush: Times,
    /// How long the part of a slot took to be stored.
    pub store: Times,
    /// How long a commit took once all was there.
    pub commit: Times,
}

/// The newest commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Its epoch: all minutes up to it are closed. None before the first commit.
    pub epoch: Option<Epoch>,
    /// The same as time; none where the epoch is no minute.
    pub minute: Option<String>,
    /// The number of its manifest.
    pub sequence: u64,
    /// When that was written.
    pub written_at: Millis,
    /// The next commit epochs.
    pub next: Vec<Epoch>,
    /// Parts of its state.
    pub parts: u64,
    /// Bytes of its state.
    pub state_bytes: u64,
    /// Events of minutes that were open at it, by minute and lane; none where the manifest does not say.
    pub open: Option<Vec<OpenMinute>>,
}

/// The commit that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committing {
    /// Its epoch; none where nothing is left to commit.
    pub epoch: Option<Epoch>,
    /// How far it has come.
    pub step: CommitStep,
    /// For how long it has been there.
    pub for_ms: Millis,
    /// The epoch that the slowest slot of all processes has come to; none where all have read all there is.
    #[serde(default)]
    pub slowest: Option<Epoch>,
}

/// Work that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// What it is.
    pub what: What,
    /// The slot whose it is.
    pub slot: usize,
    /// The commit epoch that it is for.
    pub commit: Epoch,
    /// For how long it has been under way.
    pub for_ms: Millis,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its number.
    pub slot: usize,
    /// Its epoch.
    pub epoch: Epoch,
    /// Bytes that it has sent and that are not folded.
    pub bytes_in_flight: u64,
    /// Why it reads nothing, if so.
    pub stopped: Option<Stopped>,
}

/// What a partition is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It is read, or nobody knows whether there is more.
    Reading,
    /// It has been read to its end.
    CaughtUp,
    /// It has been quiet at its end for so long that it no longer holds minutes open.
    Idle,
    /// Nothing more will come.
    Ended,
    /// Another process reads it, or its slot has not told yet: what is said is as of the newest commit known here.
    Unknown,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number.
    pub partition: u32,
    /// Its name.
    pub name: String,
    /// The slot that reads it.
    pub slot: usize,
    /// What it is doing.
    pub doing: Doing,
    /// Whether it is not read because it is too far ahead of the slowest.
    pub paused: bool,
    /// The largest event time read, minus what events may be out of order.
    pub watermark: Option<Millis>,
    /// How far that is behind the clock.
    pub lag_ms: Option<Millis>,
    /// What became of its events, in the life of the pipeline.
    pub counters: Counters,
    /// The same in this run.
    pub in_this_run: Counters,
    /// How often the clock declared it idle.
    pub idle_decisions: u64,
    /// Gaps that the operator agreed to.
    pub gaps: u64,
}

/// The oldest minute that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldestOpen {
    /// The minute; none while it cannot be known.
    pub minute: Option<Minute>,
    /// The same as time.
    pub begins: Option<String>,
    /// The number of the partition that holds it open; none where it is the clock or cannot be known.
    pub held_by: Option<u32>,
    /// Why it is open.
    pub why: String,
}
