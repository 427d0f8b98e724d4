//! read: entries become rows of numbers, stamped with the slot's epoch; epochs rise, and each rise is a cut.

mod combine;
mod partition;
mod plans;
mod tally;
mod telling;
mod turn;

use std::time::Duration;

use timely::container::{CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream, StreamVec};
use timely::progress::Antichain;

use super::batch::Batch;
use super::build::Job;
use super::control::{Control, Credit};
use super::flush::Rejected;
use crate::mutation::mutated;
use crate::snapshot::PartitionCut;
use crate::time::Epoch;
pub use combine::Combine;
pub(super) use tally::Folded;
use turn::Then;
pub(super) use turn::Turn;

/// The streams that come out of read.
pub(super) struct Read<'scope> {
    /// Events, or partials of them, stamped with the epoch of the slot that read them.
    pub events: Stream<'scope, Epoch, Batch>,
    /// Cuts, stamped with the epoch that ended there.
    pub cuts: StreamVec<'scope, Epoch, PartitionCut>,
    /// Events given away since the cut before, stamped as the cut is.
    pub folded: StreamVec<'scope, Epoch, Folded>,
    /// Rejects kept.
    pub rejects: StreamVec<'scope, Epoch, Rejected>,
}

/// The capabilities of a slot, all at its epoch.
struct Held {
    events: Capability<Epoch>,
    cuts: Capability<Epoch>,
    folded: Capability<Epoch>,
    rejects: Capability<Epoch>,
}

impl Held {
    /// Those of all outputs, in their order.
    fn of(capabilities: &mut Vec<Capability<Epoch>>) -> Option<Self> {
        let mut last = || capabilities.pop();
        let (rejects, folded, cuts, events) = (last()?, last()?, last()?, last()?);
        Some(Held { events, cuts, folded, rejects })
    }

    fn downgrade(&mut self, epoch: Epoch) {
        for capability in [&mut self.events, &mut self.cuts, &mut self.folded, &mut self.rejects] {
            capability.downgrade(&epoch);
        }
    }
}

/// Builds the operator. None of its inputs holds back its outputs: they carry what flows back.
pub(super) fn read<'scope>(
    scope: Scope<'scope, Epoch>,
    credits: StreamVec<'scope, Epoch, Credit>,
    control: StreamVec<'scope, Epoch, Control>,
    cuts_seen: StreamVec<'scope, Epoch, PartitionCut>,
    mut turn: Turn,
    job: &Job,
) -> Read<'scope> {
    let nothing = std::iter::empty::<(usize, Antichain<u64>)>;
    let mut builder = OperatorBuilder::new("read".into(), scope);
    let (events, events_stream) = builder.new_output::<Batch>();
    let (cuts, cuts_stream) = builder.new_output::<Vec<PartitionCut>>();
    let (folded, folded_stream) = builder.new_output::<Vec<Folded>>();
    let (rejects, rejects_stream) = builder.new_output::<Vec<Rejected>>();
    let mut events = OutputBuilder::<_, NoopBuilder<Batch>>::from(events);
    let mut cuts = OutputBuilder::<_, CapacityContainerBuilder<Vec<PartitionCut>>>::from(cuts);
    let mut folded = OutputBuilder::<_, CapacityContainerBuilder<Vec<Folded>>>::from(folded);
    let mut rejects = OutputBuilder::<_, CapacityContainerBuilder<Vec<Rejected>>>::from(rejects);
    let mut credits = builder.new_input_connection(credits, Exchange::new(|c: &Credit| u64::from(c.to)), nothing());
    let mut control = builder.new_input_connection(control, Pipeline, nothing());
    let mut cuts_seen = builder.new_input_connection(cuts_seen, Pipeline, nothing());
    let info = builder.operator_info();
    let activator = scope.activator_for(info.address.clone());
    turn.bind(scope, &info);
    let fate = job.fate.clone();

    builder.build(move |mut capabilities| {
        let mut held = Held::of(&mut capabilities);
        // A slot without partitions must not hold the frontier back; one that resumes begins after its commit epoch.
        held = held.filter(|_| turn.has_partitions());
        if let Some(held) = &mut held {
            held.downgrade(turn.epoch());
        }
        move |frontiers| {
            credits.for_each(|_, batch| turn.credit(batch));
            control.for_each(|_, batch| turn.follow(batch));
            // Only the frontier of this loop is of use: it tells how far the slowest slot has come.
            cuts_seen.for_each(|_, batch| batch.clear());
            let Some(capabilities) = held.as_mut().filter(|_| !fate.is_over()) else { return };
            let slowest = frontiers[2].frontier().first().map(|epoch| epoch.saturating_sub(1));
            let then = turn.take(slowest, &mut |output| match output {
                turn::Output::Batch(batch) => {
                    events.activate().session_with_builder(&capabilities.events).give_container(batch);
                }
                turn::Output::Rejects(kept) => {
                    rejects.activate().session(&capabilities.rejects).give_iterator(kept.drain(..));
                }
                turn::Output::Cut { cut, tally, epoch } => {
                    cuts.activate().session(&capabilities.cuts).give_iterator(cut.into_iter());
                    folded.activate().session(&capabilities.folded).give_iterator(tally.into_iter());
                    capabilities.downgrade(epoch);
                }
            });
            match then {
                Ok(Then::Again) => activator.activate(),
                Ok(Then::Wait(None)) => {}
                Ok(Then::Wait(Some(millis))) => activator.activate_after(Duration::from_millis(millis)),
                Ok(Then::Ended) => held = None,
                Err(_) if mutated!(ErrorTakenForEnd) => held = None,
                // The capabilities stay: letting go of them would tell everyone that the epoch is complete.
                Err(error) => fate.fail(error),
            }
        }
    });
    Read { events: events_stream, cuts: cuts_stream, folded: folded_stream, rejects: rejects_stream }
}
