//! Counts that the slots raise and that everyone else reads.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::combining::Combining;
use super::told::Told;
use crate::dataflow::edges::{Combined, CommitReport, LedgerLine, MinuteLine, Observer, SlotReport, What, Work};
use crate::limits::SLOT_REPORT_MS;
use crate::snapshot::Manifest;
use crate::time::{Clock, Epoch, Millis};

/// The progress of one process.
pub struct Progress {
    clock: Clock,
    claim: Manifest,
    told: Told,
    events: AtomicU64,
    commits: AtomicU64,
    newest: Mutex<Manifest>,
    combining: Mutex<Combining>,
}

impl Progress {
    /// A run that begins with this manifest, and these slots of it.
    pub fn new(claim: Manifest, slots: Range<usize>, clock: Clock) -> Self {
        Progress {
            clock,
            claim: claim.clone(),
            told: Told::new(slots),
            events: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            newest: Mutex::new(claim),
            combining: Mutex::default(),
        }
    }

    /// The manifest that the run began with.
    pub fn claim(&self) -> &Manifest {
        &self.claim
    }

    /// What the slots have told.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Events read by this run.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Commits made by this run.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The newest manifest.
    pub fn newest(&self) -> Manifest {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the newest manifest that is stored, where it is of this run: a run that is stopped may not have heard of its last commit.
    pub fn catch_up(&self, stored: Manifest) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.owner == newest.owner && stored.sequence > newest.sequence {
            self.commits.fetch_add(stored.sequence - newest.sequence, Ordering::Relaxed);
            *newest = stored;
        }
    }

    /// What folding before the exchange has come to, in the slots of this process.
    pub fn combining(&self) -> Combining {
        self.combining.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long ago the newest manifest was written.
    pub fn commit_age(&self, now: Millis) -> Millis {
        now - self.newest.lock().unwrap_or_else(PoisonError::into_inner).written_at
    }
}

impl Observer for Progress {
    fn read(&self, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
    }

    fn committed(&self, manifest: &Manifest) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let counters = manifest.counters();
        tracing::info!(
            epoch = manifest.commit,
            sequence = manifest.sequence,
            rows = manifest.totals.rows,
            read = counters.read,
            folded = counters.folded,
            malformed = counters.malformed,
            late = counters.late,
            too_far_ahead = counters.too_far_ahead,
            parts = manifest.parts.len(),
            "committed"
        );
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        self.told.committed(manifest, newest.commit, (self.clock)());
        *newest = manifest.clone();
    }

    fn every(&self) -> Option<Millis> {
        Some(SLOT_REPORT_MS)
    }

    fn slot(&self, report: SlotReport) {
        self.told.slot(report);
    }

    fn turned(&self, slot: usize) {
        self.told.turned(slot);
    }

    fn began(&self, work: Work, at: Millis) {
        self.told.began(work, at);
    }

    fn ended(&self, work: Work, at: Millis) {
        let Work { what, slot, commit } = work;
        let millis = self.told.ended(work, at);
        let done = match what {
            What::Flush => "flushed",
            What::Store => "stored",
        };
        tracing::debug!(epoch = commit, slot, millis, "{done}");
    }

    fn committing(&self, report: CommitReport) {
        self.told.step(report);
    }

    fn ledger(&self, commit: Epoch, lines: &[LedgerLine], minutes: &[MinuteLine]) {
        self.told.coming(commit, lines, minutes);
    }

    fn combined(&self, combined: &Combined) {
        if self.combining.lock().unwrap_or_else(PoisonError::into_inner).add(combined) {
            let Combined { slot, events, partials, goes_on } = *combined;
            tracing::info!(slot, events, partials, goes_on, "folding before the exchange");
        }
    }
}
