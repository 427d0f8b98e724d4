//! commit: on slot 0, the one place where an epoch becomes the truth.
//!
//! For commit epoch `c`, in this order, each step only after the one before is acknowledged:
//! rows, rejects and parts of `c` (by flush and store; the frontiers tell), the ledger, the manifest, the word to all slots.
//! The ledger goes before the manifest so that it is replayed like rows: a crash between the two leaves no gap in it.

use std::collections::BTreeMap;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};
use timely::progress::frontier::MutableAntichain;

use super::build::{Job, LateWake};
use super::control::Control;
use super::edges::{CommitReport, CommitStep, Keep, LedgerLine, Outlet, Write};
use super::flush::Flushed;
use super::minutes::{Minutes, up_to};
use super::read::Folded;
use crate::error::Result;
use crate::limits::ROWS_PER_COMMIT_MAX;
use crate::mutation::mutated;
use crate::snapshot::{Manifest, PartRef, PartitionCut, Totals};
use crate::time::{Epoch, FIRST_EPOCH, Millis, Pace, Schedule, minute_of};

/// The order of the inputs.
const CUTS: usize = 0;

/// How far the next commit has come.
enum Step {
    /// Waiting for the frontiers.
    Gathering,
    /// Its ledger is being written.
    Ledger(Box<Manifest>),
    /// Its manifest is being stored.
    Manifest(Box<Manifest>),
}

/// What slot 0 keeps to commit.
pub(super) struct Committer {
    wake: LateWake,
    job: Job,
    writer: Box<dyn Outlet<Write>>,
    keeper: Box<dyn Outlet<Keep>>,
    step: Step,
    ticket: u64,
    schedule: Schedule,
    manifest: Manifest,
    /// What has come for commits ahead, by stamp.
    cuts: BTreeMap<Epoch, Vec<PartitionCut>>,
    totals: BTreeMap<Epoch, Totals>,
    parts: BTreeMap<Epoch, Vec<PartRef>>,
    minutes: Minutes,
    /// What the observer was told last.
    told: Option<CommitReport>,
    committed_at: Millis,
}

/// Builds the operator; only slot 0 has a committer, the others only pass frontiers on.
pub(super) fn commit<'scope>(
    scope: Scope<'scope, Epoch>,
    cuts: StreamVec<'scope, Epoch, PartitionCut>,
    folded: StreamVec<'scope, Epoch, Folded>,
    flushed: StreamVec<'scope, Epoch, Flushed>,
    stored: StreamVec<'scope, Epoch, PartRef>,
    mut state: Option<Committer>,
    job: &Job,
) -> StreamVec<'scope, Epoch, Control> {
    let mut builder = OperatorBuilder::new("commit".into(), scope);
    let (control, stream) = builder.new_output::<Vec<Control>>();
    let mut control = OutputBuilder::<_, CapacityContainerBuilder<Vec<Control>>>::from(control);
    let mut cuts = builder.new_input(cuts, Exchange::new(|_: &PartitionCut| 0));
    let mut folded = builder.new_input(folded, Exchange::new(|_: &Folded| 0));
    let mut flushed = builder.new_input(flushed, Exchange::new(|_: &Flushed| 0));
    let mut stored = builder.new_input(stored, Exchange::new(|_: &PartRef| 0));
    if let Some(state) = &state {
        state.wake.bind(scope, &builder.operator_info());
    }
    let fate = job.fate.clone();

    builder.build(move |mut capabilities| {
        let mut standing = capabilities.pop().filter(|_| state.is_some());
        move |frontiers| {
            let Some(state) = state.as_mut() else { return };
            if fate.is_over() {
                return;
            }
            cuts.for_each(|stamp, batch| {
                if let Some(stamp) = stamp.least() {
                    state.cuts.entry(*stamp).or_default().append(batch);
                }
            });
            folded.for_each(|stamp, batch| {
                if let Some(stamp) = stamp.least() {
                    state.minutes.folded(*stamp, batch);
                }
            });
            flushed.for_each(|stamp, batch| {
                if let Some(stamp) = stamp.least() {
                    for flushed in batch.iter() {
                        state.totals.entry(*stamp).or_default().add(&flushed.totals);
                        state.minutes.written(*stamp, &flushed.minutes);
                    }
                }
            });
            stored.for_each(|stamp, batch| {
                if let Some(stamp) = stamp.least() {
                    state.parts.entry(*stamp).or_default().append(batch);
                }
            });
            match state.advance(frontiers) {
                Ok(words) => {
                    for (commit, word) in words {
                        let last = word.next.is_empty();
                        if let Some(capability) = &standing {
                            control.activate().session(&capability.delayed(&commit)).give(word);
                        }
                        downgrade(&mut standing, commit + 1, last);
                    }
                }
                Err(error) => fate.fail(error),
            }
        }
    });
    stream
}

fn downgrade(standing: &mut Option<Capability<Epoch>>, epoch: Epoch, last: bool) {
    match standing {
        Some(capability) if !last => capability.downgrade(&epoch),
        _ => *standing = None,
    }
}

impl Committer {
    /// Opens the writer of the ledger and the keeper of manifests.
    pub fn open(job: &Job) -> Result<Self> {
        let wake = LateWake::default();
        let manifest = job.resume.manifest.clone();
        Ok(Committer {
            writer: job.sink.open(0, wake.wake())?,
            keeper: job.archive.open(0, wake.wake())?,
            wake,
            step: Step::Gathering,
            ticket: 0,
            schedule: Schedule::restored(manifest.commit, &manifest.next)?,
            manifest,
            cuts: BTreeMap::new(),
            totals: BTreeMap::new(),
            parts: BTreeMap::new(),
            minutes: Minutes::restored(job),
            told: None,
            committed_at: (job.clock)(),
            job: job.clone(),
        })
    }

    /// Goes as many steps as can be gone now; gives the commits that became the truth.
    fn advance(&mut self, frontiers: &[MutableAntichain<Epoch>]) -> Result<Vec<(Epoch, Control)>> {
        let mut words = Vec::new();
        let read = frontiers[CUTS].frontier().first().copied();
        loop {
            match std::mem::replace(&mut self.step, Step::Gathering) {
                Step::Gathering => {
                    let slowest = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
                    let Some(commit) = self.schedule.due(slowest) else {
                        self.tell(self.schedule.next.first().copied(), CommitStep::Gathering, read);
                        break;
                    };
                    let minutes = self.minutes.close(commit);
                    let manifest = self.gather(commit, read);
                    self.ticket += 1;
                    let (attempt, lines) = (manifest.attempt, self.ledger(&manifest));
                    self.job.observer.ledger(commit, &lines, &minutes);
                    self.tell(Some(commit), CommitStep::Ledger, read);
                    self.writer.submit(self.ticket, Write::Ledger { commit, attempt, lines, minutes });
                    self.step = Step::Ledger(Box::new(manifest));
                }
                Step::Ledger(manifest) => match answer(&mut *self.writer, self.ticket)
                    .or_else(|| mutated!(LedgerNotAwaited).then_some(Ok(())))
                {
                    None => {
                        self.step = Step::Ledger(manifest);
                        break;
                    }
                    Some(answer) => {
                        answer?;
                        self.tell(manifest.commit, CommitStep::Manifest, read);
                        self.keeper.submit(self.ticket, Keep::Manifest(manifest.clone()));
                        if mutated!(WordBeforeManifest) {
                            words.push(self.committed(*manifest));
                            continue;
                        }
                        self.step = Step::Manifest(manifest);
                    }
                },
                Step::Manifest(manifest) => match answer(&mut *self.keeper, self.ticket) {
                    None => {
                        self.step = Step::Manifest(manifest);
                        break;
                    }
                    Some(answer) => {
                        answer?;
                        words.push(self.committed(*manifest));
                    }
                },
            }
        }
        Ok(words)
    }

    fn tell(&mut self, epoch: Option<Epoch>, step: CommitStep, slowest: Option<Epoch>) {
        let before = self.told.filter(|told| (told.epoch, told.step) == (epoch, step));
        if before.is_none_or(|before| before.slowest != slowest) {
            let at = before.map_or_else(|| (self.job.clock)(), |before| before.at);
            self.job.observer.committing(*self.told.insert(CommitReport { epoch, step, at, slowest }));
        }
    }

    /// The manifest of a commit epoch that is over.
    fn gather(&mut self, commit: Epoch, frontier: Option<Epoch>) -> Manifest {
        let mut partitions: BTreeMap<u32, PartitionCut> =
            self.manifest.cut.iter().map(|cut| (cut.partition, cut.clone())).collect();
        // The cut that counts is, per slot, the last one stamped up to the commit epoch: later ones overwrite earlier ones.
        for cut in up_to(&mut self.cuts, commit + u64::from(mutated!(CutOfLaterEpoch))).into_values().flatten() {
            partitions.insert(cut.partition, cut);
        }
        let mut totals = self.manifest.totals;
        up_to(&mut self.totals, commit).values().for_each(|more| totals.add(more));
        let now = (self.job.clock)();
        let schedule = self.schedule.after_commit(frontier, self.pace(commit, now, &totals));
        let mut parts: Vec<PartRef> = up_to(&mut self.parts, commit).into_values().flatten().collect();
        parts.truncate(parts.len() - usize::from(mutated!(PartLeftOut) && !parts.is_empty()));
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        Manifest {
            sequence: self.manifest.sequence + 1,
            commit: Some(commit),
            next: schedule.next,
            written_at: now,
            cut: partitions.into_values().collect(),
            parts,
            totals,
            open: Some(self.minutes.open()),
            ..self.manifest.clone()
        }
    }

    /// How fast epochs have gone by since the newest commit.
    fn pace(&self, commit: Epoch, now: Millis, totals: &Totals) -> Pace {
        let epochs = match self.manifest.commit {
            None | Some(FIRST_EPOCH) => 0,
            Some(newest) => commit - newest,
        };
        let rows_each = (totals.rows - self.manifest.totals.rows) / epochs.max(1);
        let reach = minute_of(now - self.job.plan.out_of_order).unwrap_or(FIRST_EPOCH);
        let mut pace = Pace::measured(epochs, now - self.committed_at, reach);
        // Rows wait in memory for their commit, so a step is also bounded by how many there are of them.
        pace.epochs_per_second = pace.epochs_per_second.min(ROWS_PER_COMMIT_MAX / rows_each.max(1));
        pace
    }

    /// A line for each partition that was read, has ended or was declared idle since the newest commit.
    fn ledger(&self, manifest: &Manifest) -> Vec<LedgerLine> {
        let before: BTreeMap<u32, &PartitionCut> = self.manifest.cut.iter().map(|cut| (cut.partition, cut)).collect();
        let line = |cut: &PartitionCut| {
            let old = before.get(&cut.partition);
            let counters = old.map_or(cut.counters, |old| cut.counters.since(&old.counters));
            let from = old.and_then(|old| old.position);
            (old != Some(&cut)).then(|| LedgerLine { cut: cut.clone(), from, counters })
        };
        manifest.cut.iter().filter_map(line).collect()
    }

    fn committed(&mut self, manifest: Manifest) -> (Epoch, Control) {
        let covered = manifest.cut.iter().filter_map(|cut| Some((cut.partition, cut.position?))).collect();
        let word = Control { next: manifest.next.clone(), covered };
        let commit = manifest.commit.unwrap_or(FIRST_EPOCH);
        self.schedule = Schedule { committed: manifest.commit, next: manifest.next.clone() };
        self.committed_at = manifest.written_at;
        self.job.observer.committed(&manifest);
        self.manifest = manifest;
        if self.job.fate.is_outgrown() {
            self.job.fate.renew();
        }
        (commit, word)
    }
}

/// The answer to this job. One to an older job, which was answered before, says nothing of it.
fn answer<J>(outlet: &mut dyn Outlet<J>, ticket: u64) -> Option<Result<()>> {
    loop {
        let (answered, answer) = outlet.poll()?;
        if answered == ticket || mutated!(AnyTicketCounts) {
            return Some(answer);
        }
    }
}
