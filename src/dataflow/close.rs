//! close: folds events into partials, merges partials that were folded before the exchange, and closes minutes when a commit epoch
//! is over.

use std::sync::Arc;

use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::{DistributorPact, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream, StreamVec};
use timely::progress::Antichain;
use timely::progress::frontier::MutableAntichain;

use super::batch::{Batch, ByHash, Records};
use super::build::Job;
use super::control::{Agenda, Control, Credit};
use crate::aggregate::{OpenTables, record};
use crate::error::Error;
use crate::limits::OPEN_BYTES_MAX;
use crate::mutation::mutated;
use crate::snapshot::{key_group, slot_of};
use crate::time::{Epoch, LAST_EPOCH};

/// The streams that come out of close.
pub(super) struct Closed<'scope> {
    /// Partials of complete minutes, stamped with their commit epoch.
    pub rows: Stream<'scope, Epoch, Batch>,
    /// What stays open at a commit epoch, stamped with it.
    pub open: Stream<'scope, Epoch, Batch>,
    /// What was folded, for the slots that sent it.
    pub credits: StreamVec<'scope, Epoch, Credit>,
}

/// The state of one slot's close.
struct Close {
    tables: OpenTables,
    agenda: Agenda,
    /// Held at the next commit epoch at the latest: a slot without data still owes its part of every commit.
    standing: Option<Standing>,
}

struct Standing {
    rows: Capability<Epoch>,
    open: Capability<Epoch>,
    credits: Capability<Epoch>,
}

impl Standing {
    fn downgrade(&mut self, epoch: Epoch) {
        for capability in [&mut self.rows, &mut self.open, &mut self.credits] {
            if epoch > *capability.time() {
                capability.downgrade(&epoch);
            }
        }
    }
}

/// Builds the operator.
pub(super) fn close<'scope>(
    scope: Scope<'scope, Epoch>,
    events: Stream<'scope, Epoch, Batch>,
    control: StreamVec<'scope, Epoch, Control>,
    job: &Job,
) -> Closed<'scope> {
    let slot = scope.index();
    let (slots, groups) = (scope.peers(), job.plan.key_groups);
    let mut builder = OperatorBuilder::new("close".into(), scope);
    let (rows, rows_stream) = builder.new_output::<Batch>();
    let (open, open_stream) = builder.new_output::<Batch>();
    let (credits, credits_stream) = builder.new_output::<Vec<Credit>>();
    let mut rows = OutputBuilder::<_, NoopBuilder<Batch>>::from(rows);
    let mut open = OutputBuilder::<_, NoopBuilder<Batch>>::from(open);
    let mut credits = OutputBuilder::<_, timely::container::CapacityContainerBuilder<Vec<Credit>>>::from(credits);
    let connected = [Antichain::from_elem(0), Antichain::from_elem(0), Antichain::from_elem(0)];
    let route = move |hash| slot_of(key_group(hash, groups), slots);
    let mut events = builder.new_input_connection(
        events,
        DistributorPact(move |slots| ByHash::new(slots, slot as u32, route)),
        connected.into_iter().enumerate().collect::<Vec<_>>(),
    );
    let mut control = builder.new_input_connection(control, Pipeline, std::iter::empty::<(usize, Antichain<u64>)>());
    let (fate, mut state) = (job.fate.clone(), Close::new(job, slot, route));

    builder.build(move |mut capabilities| {
        state.standing = match (capabilities.pop(), capabilities.pop(), capabilities.pop()) {
            (Some(credits), Some(open), Some(rows)) => Some(Standing { rows, open, credits }),
            _ => None,
        };
        move |frontiers| {
            if fate.is_over() {
                return;
            }
            control.for_each(|_, messages| state.agenda.follow(messages));
            let mut owed: Vec<Credit> = Vec::new();
            events.for_each(|capability, batch| {
                if let Some(what) = batch.damaged {
                    fate.fail(Error::bug(format!("a batch from a peer cannot be read: {what}")));
                } else if let Some(stamp) = capability.least() {
                    // Both wait under their stamp: what is stamped past a commit epoch has no part in it.
                    match batch.kind {
                        Records::Events => state.tables.fold(*stamp, &batch.words),
                        Records::Partials => state.tables.merge(*stamp, &batch.words),
                    }
                    owed.push(Credit {
                        to: if mutated!(CreditToSlotZero) { 0 } else { batch.from },
                        words: batch.words.len() as u64,
                    });
                    batch.spend();
                }
            });
            if let Err(error) = state.tables.within(OPEN_BYTES_MAX) {
                fate.fail(error);
            }
            if let (false, Some(standing)) = (owed.is_empty() || mutated!(CreditNotGiven), &state.standing) {
                credits.activate().session(&standing.credits).give_iterator(owed.into_iter());
            }
            state.advance(&frontiers[0], &mut |capabilities, mut parcels| {
                rows.activate().session_with_builder(&capabilities.rows).give_containers(parcels.closed.iter_mut());
                open.activate().session_with_builder(&capabilities.open).give_containers(parcels.open.iter_mut());
            });
        }
    });
    Closed { rows: rows_stream, open: open_stream, credits: credits_stream }
}

impl Close {
    fn new(job: &Job, slot: usize, route: impl Fn(u64) -> usize) -> Self {
        let mut tables = OpenTables::new(Arc::clone(&job.plan.layout));
        if let Some(commit) = job.resume.manifest.commit {
            let mut mine = Vec::new();
            // The same pure function that routes events is applied again: any number of slots can take up the state.
            for partial in record::records(&job.resume.partials).filter(|partial| {
                route(record::hash(partial).wrapping_add(u64::from(mutated!(StateOfWrongSlot)) << 63)) == slot
            }) {
                mine.extend_from_slice(partial);
            }
            tables.merge(commit, &mine);
        }
        Close { tables, agenda: Agenda::new(&job.resume.manifest), standing: None }
    }

    /// Closes every commit epoch that is named and over, one by one: slots see different sequences of frontiers, so what is
    /// closed must never depend on the frontiers that happened to be seen.
    fn advance(&mut self, frontier: &MutableAntichain<Epoch>, emit: &mut dyn FnMut(&Standing, Parcels)) {
        let frontier = frontier.frontier().first().copied();
        let Some(standing) = self.standing.as_mut() else { return };
        while let Some(commit) = self.agenda.next()
            && frontier.is_none_or(|frontier| frontier > commit)
        {
            standing.downgrade(commit);
            let (mut closed, mut open) = (Batches::new(), Batches::new());
            let end = if mutated!(CloseAtSeenFrontier) { frontier.map_or(commit, |passed| passed - 1) } else { commit };
            self.tables.close(end, &mut |partial| closed.push(partial), &mut |partial| open.push(partial));
            emit(standing, Parcels { closed: closed.finish(), open: open.finish() });
            self.agenda.done(commit);
            if commit == LAST_EPOCH {
                self.standing = None;
                return;
            }
            standing.downgrade(if mutated!(CloseLetsGo) { LAST_EPOCH } else { commit + 1 });
        }
    }
}

/// What one slot has of a commit epoch.
struct Parcels {
    closed: Vec<Batch>,
    open: Vec<Batch>,
}

/// Cuts partials into batches.
struct Batches {
    full: Vec<Batch>,
    current: Batch,
}

impl Batches {
    fn new() -> Self {
        Batches { full: Vec::new(), current: Batch::new(0, Records::Partials) }
    }

    fn push(&mut self, record: &[u64]) {
        self.current.push(record);
        if self.current.is_full() {
            self.full.push(self.current.take());
        }
    }

    fn finish(mut self) -> Vec<Batch> {
        if self.current.records > 0 {
            self.full.push(self.current);
        }
        self.full
    }
}
