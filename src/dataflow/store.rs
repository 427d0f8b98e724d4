//! store: what is open at a commit epoch becomes a part, stored before the epoch may pass.

use std::collections::BTreeMap;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream, StreamVec};
use timely::progress::frontier::MutableAntichain;

use super::batch::Batch;
use super::build::{Job, LateWake, passed};
use super::edges::{Keep, Outlet, What};
use super::report::Teller;
use crate::error::Result;
use crate::mutation::mutated;
use crate::snapshot::{PartRef, part};
use crate::time::Epoch;

/// One slot's keeper of parts, and what it waits for.
pub(super) struct Storer {
    wake: LateWake,
    outlet: Box<dyn Outlet<Keep>>,
    teller: Teller,
    /// Partials that stay open at a commit epoch, as they come.
    open: BTreeMap<Epoch, (Capability<Epoch>, Vec<Batch>)>,
    /// Parts that are not acknowledged, by ticket. A commit epoch has one part per slot, so the epoch is the ticket.
    storing: BTreeMap<u64, (Capability<Epoch>, PartRef)>,
}

/// Builds the operator. A slot with nothing open stores nothing.
pub(super) fn store<'scope>(
    scope: Scope<'scope, Epoch>,
    open: Stream<'scope, Epoch, Batch>,
    mut state: Storer,
    job: &Job,
) -> StreamVec<'scope, Epoch, PartRef> {
    let slot = scope.index();
    let mut builder = OperatorBuilder::new("store".into(), scope);
    state.wake.bind(scope, &builder.operator_info());
    let (stored, stream) = builder.new_output::<Vec<PartRef>>();
    let mut stored = OutputBuilder::<_, CapacityContainerBuilder<Vec<PartRef>>>::from(stored);
    let mut open = builder.new_input(open, Pipeline);
    let job = job.clone();

    builder.build(move |_standing| {
        move |frontiers| {
            if job.fate.is_over() {
                return;
            }
            open.for_each(|capability, batch| {
                if let Some(capability) = capability.retain_least(0) {
                    let waiting = state.open.entry(*capability.time()).or_insert_with(|| (capability, Vec::new()));
                    waiting.1.push(std::mem::take(batch));
                }
            });
            state.submit(frontiers, &job, slot);
            match state.answers() {
                Ok(done) => {
                    let mut output = stored.activate();
                    for (capability, part) in done {
                        output.session(&capability).give(part);
                    }
                }
                Err(error) => job.fate.fail(error),
            }
        }
    });
    stream
}

impl Storer {
    /// Opens the keeper.
    pub fn open(job: &Job, slot: usize) -> Result<Self> {
        let wake = LateWake::default();
        let outlet = job.archive.open(slot, wake.wake())?;
        Ok(Storer {
            wake,
            outlet,
            teller: Teller::new(job, slot, What::Store),
            open: BTreeMap::new(),
            storing: BTreeMap::new(),
        })
    }

    fn submit(&mut self, frontiers: &[MutableAntichain<Epoch>], job: &Job, slot: usize) {
        while let Some(first) = self.open.first_entry() {
            let commit = *first.key();
            if !passed(frontiers, commit) {
                break;
            }
            let (capability, batches) = first.remove();
            let bytes = part::encode(&job.plan.layout, batches.iter().map(|batch| batch.words.as_slice()));
            let name = part::name(&job.plan.name, job.resume.manifest.attempt, commit, slot);
            let partials = batches.iter().map(|batch| u64::from(batch.records)).sum();
            self.teller.began(commit);
            self.storing.insert(commit, (capability, PartRef::of(&name, &bytes, partials)));
            self.outlet.submit(commit, Keep::Part { commit, name, bytes });
        }
    }

    fn answers(&mut self) -> Result<Vec<(Capability<Epoch>, PartRef)>> {
        let mut done = Vec::new();
        if mutated!(PartsNotAwaited) {
            done.extend(std::mem::take(&mut self.storing).into_values());
        }
        while let Some((ticket, answer)) = self.outlet.poll() {
            answer?;
            self.teller.ended(ticket);
            done.extend(self.storing.remove(&ticket));
        }
        Ok(done)
    }
}
