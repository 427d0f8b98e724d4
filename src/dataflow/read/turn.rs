//! One turn of read: which partition is next, when to stop, when the epoch rises.

use std::sync::Arc;

use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OperatorInfo;

use super::super::batch::{Batch, Records};
use super::super::build::{Job, LateWake};
use super::super::control::{Agenda, Control, Credit};
use super::super::edges::{Next, PartitionReport, Reader, SlotReport, Start, Stopped};
use super::super::flush::Rejected;
use super::combine::Combiner;
use super::partition::{Made, PartitionState, TextAt};
use super::plans::Plans;
use super::tally::{Folded, Tally};
use super::telling::{Rhythm, Telling};
use crate::aggregate::Kind;
use crate::error::Result;
use crate::event::FieldKind;
use crate::limits::{ENTRIES_PER_TURN, EVENTS_PER_TURN, MINUTES_UNCOMMITTED_MAX, WORDS_IN_FLIGHT_MAX};
use crate::mutation::{mutated, narrowed};
use crate::plan::Plan;
use crate::snapshot::{PartitionCut, slot_of};
use crate::time::{Abreast, Activity, Epoch, FIRST_EPOCH, LAST_EPOCH, Millis, SlotEpoch};

/// What a turn sends, in order.
pub(in crate::dataflow) enum Output<'a> {
    /// Events, or partials of them, at the slot's epoch.
    Batch(&'a mut Batch),
    /// Rejects at the slot's epoch.
    Rejects(&'a mut Vec<Rejected>),
    /// The slot's epoch ends.
    Cut {
        /// The cut at it.
        cut: Vec<PartitionCut>,
        /// The events given away since the cut before.
        tally: Vec<Folded>,
        /// The epoch that begins.
        epoch: Epoch,
    },
}

/// What is to happen after a turn.
pub(in crate::dataflow) enum Then {
    /// There is more to read: another turn, after the others.
    Again,
    /// Something from outside will wake it, or so many milliseconds.
    Wait(Option<u64>),
    /// All partitions have ended, and their cut is sent.
    Ended,
}

/// What one look at the partitions gave.
enum Looked {
    /// An entry was read, or a gap gone over.
    Read,
    /// None had an entry, or none may be read.
    Nothing,
}

/// A slot's reading.
pub(in crate::dataflow) struct Turn {
    wake: LateWake,
    slot: usize,
    job: Job,
    /// When it tells of itself; none where nobody asks.
    rhythm: Option<Rhythm>,
    reader: Box<dyn Reader>,
    partitions: Vec<PartitionState>,
    plans: Plans,
    clock: SlotEpoch,
    abreast: Abreast,
    epoch: Epoch,
    agenda: Agenda,
    made: Made,
    combiner: Combiner,
    /// Events read in this run.
    read: u64,
    /// Words sent and not yet folded.
    in_flight: u64,
    /// The partition to look at first.
    next: usize,
}

impl Turn {
    /// Opens the partitions that `slot` of `slots` owns, where the manifest's cut left them.
    pub fn open(job: &Job, slot: usize, slots: usize) -> Result<Self> {
        let wake = LateWake::default();
        let (plan, manifest) = (&job.plan, &job.resume.manifest);
        let (symbols, texts) = (source_symbols(plan), texts(plan));
        let mut partitions = Vec::new();
        for (partition, info) in (0..).zip(&job.resume.partitions).filter(|(p, _)| slot_of(*p, slots) == slot) {
            let known = manifest.cut.iter().find(|cut| cut.partition == partition).cloned();
            let cut = known.unwrap_or_else(|| PartitionCut::beginning(partition, &info.name, &info.identity));
            partitions.push(PartitionState::new(Arc::clone(plan), Arc::clone(&symbols), Arc::clone(&texts), cut));
        }
        let begun = manifest.commit.is_some();
        let starts =
            partitions.iter().map(|p| Start { partition: p.cut.partition, from: p.cut.position, begun }).collect();
        let start =
            manifest.commit.filter(|_| !mutated!(ClosedMinutesForgotten)).map_or(FIRST_EPOCH, |commit| commit + 1);
        Ok(Turn {
            reader: job.source.open(starts, wake.wake())?,
            wake,
            slot,
            rhythm: job.observer.every().map(Rhythm::new),
            clock: SlotEpoch::new(
                start,
                plan.out_of_order,
                plan.idle_after,
                partitions.iter().map(PartitionState::start),
            ),
            abreast: Abreast::new(start, partitions.iter().filter_map(PartitionState::minute)),
            plans: Plans::new(Arc::clone(plan)),
            partitions,
            epoch: start,
            agenda: Agenda::new(manifest),
            made: Made {
                events: Batch::new(slot as u32, Records::Events),
                tally: Tally::new(plan.lanes),
                rejects: Vec::new(),
            },
            combiner: Combiner::new(job.combine, Arc::clone(&plan.layout), slot),
            read: 0,
            in_flight: 0,
            next: 0,
            job: job.clone(),
        })
    }

    /// Names the operator that the reader wakes.
    pub fn bind(&self, scope: Scope<'_, Epoch>, info: &OperatorInfo) {
        self.wake.bind(scope, info);
    }

    pub fn has_partitions(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// The slot's epoch: what it sends is stamped with it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Events were folded.
    pub fn credit(&mut self, credits: &[Credit]) {
        self.in_flight -= credits.iter().map(|credit| credit.words).sum::<u64>();
    }

    /// Commits were made.
    pub fn follow(&mut self, messages: &[Control]) {
        self.agenda.follow(messages);
        for (partition, position) in messages.iter().flat_map(|message| &message.covered) {
            if self.partitions.iter().any(|state| state.cut.partition == *partition) {
                self.reader.acknowledge(*partition, *position);
            }
        }
    }

    /// Reads up to [`EVENTS_PER_TURN`] events in up to [`ENTRIES_PER_TURN`] entries. `slowest` is the epoch of the slowest slot, as far as is known here.
    pub fn take(&mut self, slowest: Option<Epoch>, send: &mut dyn FnMut(Output<'_>)) -> Result<Then> {
        let now = (self.job.clock)();
        let before = self.read;
        let then = self.read_on(now, slowest, send)?;
        self.job.observer.read(self.read - before);
        let Some(rhythm) = &mut self.rhythm else { return Ok(then) };
        match (rhythm.after_turn(now, self.epoch, matches!(then, Then::Wait(_))), then) {
            (Telling::Now, then) => {
                self.job.observer.slot(self.report(now, slowest));
                Ok(then)
            }
            (Telling::After(told), Then::Wait(wait)) => Ok(Then::Wait(Some(wait.map_or(told, |wait| wait.min(told))))),
            (_, then) => Ok(then),
        }
    }

    fn read_on(&mut self, now: Millis, slowest: Option<Epoch>, send: &mut dyn FnMut(Output<'_>)) -> Result<Then> {
        let enough = self.read + EVENTS_PER_TURN;
        for _ in 0..narrowed!(ENTRIES_PER_TURN) {
            if self.read >= enough {
                break;
            }
            if self.is_ahead_of_commits() || self.in_flight >= narrowed!(WORDS_IN_FLIGHT_MAX) as u64 {
                self.hand_on(send);
                return Ok(Then::Wait(None));
            }
            let looked = self.look(now, slowest)?;
            for idle in self.clock.tick(now) {
                let state = self.partitions.iter_mut().find(|state| state.cut.partition == idle);
                state.into_iter().for_each(|state| state.cut.idle_decisions += u64::from(!mutated!(IdleNotCounted)));
            }
            if self.made.events.is_full() {
                self.hand_on(send);
            }
            if self.clock.epoch() > self.epoch {
                self.rise(send);
                if self.epoch == LAST_EPOCH {
                    return Ok(Then::Ended);
                }
            }
            if matches!(looked, Looked::Nothing) {
                self.hand_on(send);
                let wait = self.clock.next_deadline(now).map(|at| (at - now).max(1).cast_unsigned());
                return Ok(Then::Wait(wait));
            }
        }
        self.hand_on(send);
        Ok(Then::Again)
    }

    /// Whether too many epochs are uncommitted. The slot that holds back the next commit is never stopped by this: its epoch is
    /// not past any that is named.
    fn is_ahead_of_commits(&self) -> bool {
        self.agenda
            .newest()
            .is_some_and(|newest| self.epoch > newest + MINUTES_UNCOMMITTED_MAX && !mutated!(ReadsOnUncommitted))
    }

    /// How the slot stands.
    fn report(&self, at: Millis, slowest: Option<Epoch>) -> SlotReport {
        let stopped = match self.is_ahead_of_commits() {
            true => Some(Stopped::Commits),
            false => (self.in_flight >= narrowed!(WORDS_IN_FLIGHT_MAX) as u64).then_some(Stopped::Credits),
        };
        let partition = |state: &PartitionState| PartitionReport {
            cut: state.cut.clone(),
            minute: state.minute(),
            activity: self.clock.activity(state.cut.partition).unwrap_or(Activity::Active),
            paused: !state.cut.ended && !self.abreast.may_read(state.minute(), slowest),
        };
        SlotReport {
            slot: self.slot,
            at,
            epoch: self.epoch,
            words_in_flight: self.in_flight,
            stopped,
            partitions: self.partitions.iter().map(partition).collect(),
        }
    }

    /// Looks at the partitions in turn and reads the first entry there is.
    fn look(&mut self, now: Millis, slowest: Option<Epoch>) -> Result<Looked> {
        for at in 0..self.partitions.len() {
            let index = (self.next + at) % self.partitions.len();
            let state = &mut self.partitions[index];
            if state.cut.ended || !self.abreast.may_read(state.minute(), slowest) {
                continue;
            }
            let partition = state.cut.partition;
            match self.reader.next(partition)? {
                Next::Entry(entry) => {
                    let plan = self.plans.get(&entry.writer, &state.cut.name)?;
                    let read = state.cut.counters.read;
                    let unknown = state.minute().is_none();
                    let floor = if mutated!(LateBySlot) { self.clock.epoch() } else { self.clock.floor(partition) };
                    state.take_in(&entry, plan, floor, &mut self.made)?;
                    self.read += state.cut.counters.read - read;
                    self.reader.recycle(entry);
                    self.clock.entry_read(partition, state.minute());
                    if let (true, Some(minute)) = (unknown, state.minute()) {
                        self.abreast.known(minute);
                    }
                    self.next = index + 1;
                    return Ok(Looked::Read);
                }
                Next::Gap(gap) => {
                    tracing::warn!(partition = state.cut.name, from = ?gap.from, to = ?gap.to, "a gap is accepted: {}", gap.why);
                    state.cut.gaps += 1;
                    state.cut.position = Some(gap.to);
                    // What follows it is there already, and wakes nobody.
                    return Ok(Looked::Read);
                }
                Next::Waiting => self.clock.waiting(partition),
                Next::CaughtUp => self.clock.caught_up(partition, now),
                Next::Ended => {
                    state.cut.ended = true;
                    self.clock.ended(partition);
                }
            }
        }
        Ok(Looked::Nothing)
    }

    /// Hands what was read to the combiner, which sends it on or keeps it until the epoch rises.
    fn hand_on(&mut self, send: &mut dyn FnMut(Output<'_>)) {
        let in_flight = &mut self.in_flight;
        self.combiner.take(&mut self.made.events, &mut |batch| post(batch, in_flight, send));
        if !self.made.rejects.is_empty() {
            send(Output::Rejects(&mut self.made.rejects));
        }
    }

    /// Everything that was read at the old epoch goes out at it, then its cut; then the new one begins. So a slot holds no event at a
    /// cut, folded or not.
    fn rise(&mut self, send: &mut dyn FnMut(Output<'_>)) {
        if !mutated!(EventsSentAfterCut) {
            self.hand_on(send);
        }
        let in_flight = &mut self.in_flight;
        if let Some(combined) = self.combiner.rise(&mut |batch| post(batch, in_flight, send)) {
            self.job.observer.combined(&combined);
        }
        self.epoch = self.clock.epoch();
        let cut = self.partitions.iter().map(|p| p.cut.clone()).collect();
        send(Output::Cut { cut, tally: self.made.tally.take(), epoch: self.epoch });
    }
}

/// Sends a batch, which is in flight from here on.
fn post(batch: &mut Batch, in_flight: &mut u64, send: &mut dyn FnMut(Output<'_>)) {
    *in_flight += batch.words.len() as u64;
    send(Output::Batch(batch));
}

/// The bytes of each symbol, where the source is an enum.
fn source_symbols(plan: &Plan) -> Arc<[Vec<u8>]> {
    match plan.schema.field(&plan.selection.source).map(|field| field.kind) {
        Ok(FieldKind::Enum { symbols }) => symbols.into_iter().map(String::into_bytes).collect(),
        _ => Arc::new([]),
    }
}

fn texts(plan: &Plan) -> Arc<[TextAt]> {
    let mut word = 0;
    let mut texts = Vec::new();
    for (bit, kind) in (0..).zip(plan.layout.inputs()) {
        if *kind == Kind::Text {
            texts.push(TextAt { bit, word });
        }
        word += kind.words();
    }
    texts.into()
}
