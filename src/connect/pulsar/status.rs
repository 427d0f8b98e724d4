//! What a partition's connection does, in numbers: for the log, the summary, `minuet check` and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::snapshot::Position;

/// One partition as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// Its number.
    pub partition: u32,
    /// Its name.
    pub name: String,
    /// Whether it is subscribed.
    pub connected: bool,
    /// Connections that ended, by their cause.
    pub reconnects: BTreeMap<&'static str, u64>,
    /// Messages received, repeats among them.
    pub messages: u64,
    /// Entries received, repeats among them.
    pub entries: u64,
    /// Bytes of them as they came.
    pub bytes: u64,
    /// Entries that came again: the one before the first is always one.
    pub repeats: u64,
    /// Gaps that the operator agreed to.
    pub gaps: u64,
    /// Permits given and not used; negative where a dispatch brought more.
    pub permits: i64,
    /// Bytes reserved for what is on the way and what waits to be opened.
    pub bytes_held: u64,
    /// The next entry to be handed to the slot; none before the first.
    pub next: Option<Position>,
    /// The last entry that the broker has named; older than the newest by some seconds.
    pub last: Option<Position>,
    /// The last entry whose acknowledgement was answered. A promise of nothing: the cursor may fall back.
    pub acknowledged: Option<Position>,
}

/// The numbers of a partition, written by its task once for each entry or less.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<PartitionStatus>);

impl Counts {
    /// Of one partition.
    pub(super) fn new(partition: u32, name: String) -> Self {
        Counts(Mutex::new(PartitionStatus { partition, name, ..PartitionStatus::default() }))
    }

    /// To read or change them.
    pub(super) fn lock(&self) -> MutexGuard<'_, PartitionStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
