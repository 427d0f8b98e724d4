//! Where a process's status is put together: what its run told, what its edges know, and what the system says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::open::{as_minute, oldest};
use super::{About, Committing, Doing, Edges, Newest, Partition, Run, Slot, Stage, Status, Working};
use crate::dataflow::edges::{PartitionReport, SlotReport};
use crate::observe::process::{cpu_ms, memory_bytes};
use crate::observe::{CommitLedger, Progress};
use crate::snapshot::{Counters, Manifest, PartitionCut, Totals, slot_of};
use crate::time::{Activity, Clock, Millis};

/// Asks the edges what they have met; must not block.
pub type AskEdges = Arc<dyn Fn() -> Edges + Send + Sync>;

/// What a process shows of itself, from its start to its end, whatever number of runs it has.
pub struct Board {
    about: About,
    clock: Clock,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    stage: Stage,
    progress: Option<Arc<Progress>>,
    edges: Option<AskEdges>,
}

impl Board {
    /// A process that has just started.
    pub fn new(about: About, clock: Clock) -> Self {
        Board { about, clock, shown: Mutex::default() }
    }

    /// The process has come so far.
    pub fn stage(&self, stage: Stage) {
        self.change(|shown| shown.stage = stage);
    }

    /// A run goes on, over these edges.
    pub fn running(&self, progress: Arc<Progress>, edges: AskEdges) {
        self.change(|shown| *shown = Shown { stage: Stage::Running, progress: Some(progress), edges: Some(edges) });
    }

    /// The run, once it has resumed.
    pub fn progress(&self) -> Option<Arc<Progress>> {
        self.change(|shown| shown.progress.clone())
    }

    /// The ledger of the newest commits, the newest first.
    pub fn ledger(&self) -> Vec<Arc<CommitLedger>> {
        self.progress().map_or(Vec::new(), |progress| progress.told().ledger())
    }

    /// The process as it is now.
    pub fn status(&self) -> Status {
        let (stage, progress, edges) = self.change(|shown| (shown.stage, shown.progress.clone(), shown.edges.clone()));
        let (now, edges) = ((self.clock)(), edges.map_or_else(Edges::default, |ask| ask()));
        Status {
            about: self.about.clone(),
            now,
            stage,
            memory_bytes: memory_bytes(),
            cpu_ms: cpu_ms(),
            run: progress.map(|progress| run(&progress, &self.about, &edges, now)),
            edges,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shown) -> T) -> T {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn run(progress: &Progress, about: &About, edges: &Edges, now: Millis) -> Run {
    let (newest, told) = (progress.newest(), progress.told());
    let reports = told.slots();
    let slots: Vec<Slot> = reports.iter().map(slot).collect();
    let partitions = partitions(progress.claim(), &newest, &reports, about, now);
    let took = told.took();
    let committing = told.committing().map(|commit| Committing {
        epoch: commit.epoch,
        step: commit.step,
        for_ms: (now - commit.at).max(0),
        slowest: commit.slowest,
    });
    let working = told.working().into_iter().map(|(work, since)| Working {
        what: work.what,
        slot: work.slot,
        commit: work.commit,
        for_ms: (now - since).max(0),
    });
    Run {
        attempt: newest.attempt,
        events_read: progress.events(),
        commits: progress.commits(),
        rows: since(&newest.totals, &progress.claim().totals),
        newest: newest_of(newest),
        committing,
        working: working.collect(),
        oldest_open: oldest(&slots, &partitions, edges, about.out_of_order_ms),
        slots,
        partitions,
        flush: took.flush,
        store: took.store,
        commit: took.commit,
    }
}

fn since(now: &Totals, before: &Totals) -> Totals {
    Totals {
        rows: now.rows.saturating_sub(before.rows),
        counted: now.counted.saturating_sub(before.counted),
        overflows: now.overflows.saturating_sub(before.overflows),
    }
}

fn newest_of(manifest: Manifest) -> Newest {
    Newest {
        epoch: manifest.commit,
        minute: manifest.commit.and_then(as_minute),
        sequence: manifest.sequence,
        written_at: manifest.written_at,
        parts: manifest.parts.len() as u64,
        state_bytes: manifest.parts.iter().map(|part| part.bytes).sum(),
        next: manifest.next,
        open: manifest.open,
    }
}

fn slot(report: &SlotReport) -> Slot {
    Slot {
        slot: report.slot,
        epoch: report.epoch,
        bytes_in_flight: report.words_in_flight.saturating_mul(8),
        stopped: report.stopped,
    }
}

/// All partitions that this process knows of: its own as its slots told, the others as of the newest commit.
fn partitions(
    claim: &Manifest,
    newest: &Manifest,
    reports: &[SlotReport],
    about: &About,
    now: Millis,
) -> Vec<Partition> {
    let begun: BTreeMap<u32, Counters> = claim.cut.iter().map(|cut| (cut.partition, cut.counters)).collect();
    let slots = about.processes * about.workers;
    let mut all = BTreeMap::new();
    let mut add = |cut: &PartitionCut, doing, paused| {
        let watermark = cut.max_time.map(|time| time.saturating_sub(about.out_of_order_ms));
        let partition = Partition {
            partition: cut.partition,
            name: cut.name.clone(),
            slot: slot_of(cut.partition, slots),
            doing,
            paused,
            watermark,
            lag_ms: watermark.map(|watermark| now.saturating_sub(watermark)),
            counters: cut.counters,
            in_this_run: cut.counters.since(&begun.get(&cut.partition).copied().unwrap_or_default()),
            idle_decisions: cut.idle_decisions,
            gaps: cut.gaps,
        };
        all.insert(cut.partition, partition);
    };
    newest.cut.iter().for_each(|cut| add(cut, if cut.ended { Doing::Ended } else { Doing::Unknown }, false));
    for PartitionReport { cut, activity, paused, .. } in reports.iter().flat_map(|report| &report.partitions) {
        let doing = match activity {
            Activity::Active => Doing::Reading,
            Activity::CaughtUpSince(_) => Doing::CaughtUp,
            Activity::Idle => Doing::Idle,
            Activity::Ended => Doing::Ended,
        };
        add(cut, doing, *paused);
    }
    all.into_values().collect()
}
