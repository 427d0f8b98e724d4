//! What the graph has told of itself last. Written by slots, read by whoever asks; each lock is held for as long as a copy takes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::histogram::{Histogram, Times};
use super::remembered::{CommitLedger, Remembered};
use crate::dataflow::edges::{CommitReport, CommitStep, LedgerLine, MinuteLine, SlotReport, What, Work};
use crate::snapshot::Manifest;
use crate::time::{Epoch, Millis};

/// How often a worker's loop has gone round. On a cache line of its own: it is raised all the time.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Turns(AtomicU64);

/// What the slots of this process have told.
#[derive(Debug)]
pub struct Told {
    first: usize,
    turns: Vec<Turns>,
    slots: Mutex<BTreeMap<usize, SlotReport>>,
    working: Mutex<BTreeMap<Work, Millis>>,
    committing: Mutex<Option<CommitReport>>,
    remembered: Mutex<Remembered>,
    flush: Histogram,
    store: Histogram,
    commit: Histogram,
    /// When the commit under way began to write its ledger.
    gathered_at: AtomicI64,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// To write a slot's rows of a commit.
    pub flush: Times,
    /// To store a slot's part of a commit.
    pub store: Times,
    /// To commit, once all rows and parts were there.
    pub commit: Times,
}

impl Told {
    /// Nothing yet, of these slots.
    pub fn new(slots: Range<usize>) -> Self {
        Told {
            first: slots.start,
            turns: slots.map(|_| Turns::default()).collect(),
            slots: Mutex::default(),
            working: Mutex::default(),
            committing: Mutex::default(),
            remembered: Mutex::default(),
            flush: Histogram::default(),
            store: Histogram::default(),
            commit: Histogram::default(),
            gathered_at: AtomicI64::new(0),
        }
    }

    /// How often the loop of each slot has gone round.
    pub fn turns(&self) -> BTreeMap<usize, u64> {
        (self.first..).zip(&self.turns).map(|(slot, turns)| (slot, turns.0.load(Ordering::Relaxed))).collect()
    }

    /// The newest report of each slot that has a partition.
    pub fn slots(&self) -> Vec<SlotReport> {
        locked(&self.slots).values().cloned().collect()
    }

    /// What is handed over and not acknowledged, with the time when it was.
    pub fn working(&self) -> Vec<(Work, Millis)> {
        locked(&self.working).iter().map(|(work, since)| (*work, *since)).collect()
    }

    /// The commit under way, in the process of slot 0.
    pub fn committing(&self) -> Option<CommitReport> {
        *locked(&self.committing)
    }

    /// The ledger of the newest commits, the newest first.
    pub fn ledger(&self) -> Vec<Arc<CommitLedger>> {
        locked(&self.remembered).commits()
    }

    /// How long things took.
    pub fn took(&self) -> Took {
        Took { flush: self.flush.times(), store: self.store.times(), commit: self.commit.times() }
    }

    pub(super) fn turned(&self, slot: usize) {
        if let Some(turns) = slot.checked_sub(self.first).and_then(|at| self.turns.get(at)) {
            turns.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn slot(&self, report: SlotReport) {
        locked(&self.slots).insert(report.slot, report);
    }

    pub(super) fn began(&self, work: Work, at: Millis) {
        locked(&self.working).insert(work, at);
    }

    /// It took so long, if it was known to have begun.
    pub(super) fn ended(&self, work: Work, at: Millis) -> Option<Millis> {
        let took = at - locked(&self.working).remove(&work)?;
        match work.what {
            What::Flush => self.flush.add(took),
            What::Store => self.store.add(took),
        }
        Some(took)
    }

    pub(super) fn step(&self, report: CommitReport) {
        if report.step == CommitStep::Ledger {
            self.gathered_at.store(report.at, Ordering::Relaxed);
        }
        *locked(&self.committing) = Some(report);
    }

    pub(super) fn coming(&self, commit: Epoch, lines: &[LedgerLine], minutes: &[MinuteLine]) {
        locked(&self.remembered).coming(commit, lines, minutes);
    }

    pub(super) fn committed(&self, manifest: &Manifest, after: Option<Epoch>, at: Millis) {
        self.commit.add(at - self.gathered_at.load(Ordering::Relaxed));
        locked(&self.remembered).committed(manifest, after);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loops_of_its_own_slots_are_counted() {
        let told = Told::new(4..6);
        [4, 5, 5, 3, 6, 0].into_iter().for_each(|slot| told.turned(slot));
        assert_eq!(told.turns(), BTreeMap::from([(4, 1), (5, 2)]));
    }

    #[test]
    fn what_is_under_way_is_known_until_it_is_done() {
        let told = Told::new(0..1);
        let (flush, store) =
            (Work { what: What::Flush, slot: 0, commit: 7 }, Work { what: What::Store, slot: 0, commit: 7 });
        told.began(flush, 1_000);
        told.began(store, 1_001);
        assert_eq!(told.ended(flush, 1_030), Some(30));
        assert_eq!(told.working(), [(store, 1_001)]);
        assert_eq!(told.ended(flush, 1_030), None, "it has ended before");
        let took = told.took();
        assert_eq!((took.flush.count, took.flush.sum_ms, took.store.count), (1, 30, 0));
    }
}
