//! What the graph tells of itself while it runs, for whoever looks at it from outside. Nothing in the graph depends on any of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::build::Job;
use super::edges::Observer;
use crate::snapshot::PartitionCut;
use crate::time::{Activity, Clock, Epoch, Millis, Minute};

/// Why a slot reads nothing although there may be something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// Too many epochs are not committed.
    Commits,
    /// Too much of what it sent is not folded.
    Credits,
}

/// One slot as it stood after a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReport {
    /// The slot.
    pub slot: usize,
    /// When.
    pub at: Millis,
    /// Its epoch: every minute before it is complete, as far as this slot's partitions go.
    pub epoch: Epoch,
    /// Words that it has sent and that are not folded.
    pub words_in_flight: u64,
    /// Why it reads nothing, if so.
    pub stopped: Option<Stopped>,
    /// Its partitions.
    pub partitions: Vec<PartitionReport>,
}

/// One partition as it stood after a turn of its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    /// What a cut taken then would say.
    pub cut: PartitionCut,
    /// The minute of its watermark; none before its first event.
    pub minute: Option<Minute>,
    /// Whether it has a say in the epoch.
    pub activity: Activity,
    /// Whether it is not read because it is too far ahead of the slowest.
    pub paused: bool,
}

/// What a slot has done elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its rows and rejects of a commit epoch are written to the sink.
    Flush,
    /// Its part of a commit epoch is stored.
    Store,
}

/// Work of a slot for a commit epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// What it is.
    pub what: What,
    /// The slot.
    pub slot: usize,
    /// The commit epoch.
    pub commit: Epoch,
}

/// How far the next commit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitStep {
    /// It waits for minutes to be complete, and for their rows and parts.
    Gathering,
    /// Its ledger is being written.
    Ledger,
    /// Its manifest is being stored.
    Manifest,
}

/// The commit that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitReport {
    /// Its epoch; none where there is nothing left to commit.
    pub epoch: Option<Epoch>,
    /// How far it has come.
    pub step: CommitStep,
    /// Since when.
    pub at: Millis,
    /// The epoch that the slowest slot of all processes has come to; none where all have read all there is.
    pub slowest: Option<Epoch>,
}

/// Tells of one slot's work elsewhere.
pub(super) struct Teller {
    slot: usize,
    what: What,
    observer: Arc<dyn Observer>,
    clock: Clock,
}

impl Teller {
    pub fn new(job: &Job, slot: usize, what: What) -> Self {
        Teller { slot, what, observer: Arc::clone(&job.observer), clock: Arc::clone(&job.clock) }
    }

    /// It has been handed over.
    pub fn began(&self, commit: Epoch) {
        self.observer.began(self.work(commit), (self.clock)());
    }

    /// It is acknowledged.
    pub fn ended(&self, commit: Epoch) {
        self.observer.ended(self.work(commit), (self.clock)());
    }

    fn work(&self, commit: Epoch) -> Work {
        Work { what: self.what, slot: self.slot, commit }
    }
}
