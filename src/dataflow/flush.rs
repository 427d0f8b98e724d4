//! flush: the rows of a commit epoch, lane by lane, and its rejects, written and acknowledged before the epoch may pass.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{DistributorPact, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream, StreamVec};
use timely::progress::Antichain;

use super::batch::{Batch, ByHash};
use super::build::{Job, LateWake, passed};
use super::control::{Agenda, Control};
use super::edges::{MinuteLine, Outlet, Reject, What, Write};
use super::report::Teller;
use crate::aggregate::{FinishedRow, Layout, record, row_binary};
use crate::error::{Error, Result};
use crate::mutation::mutated;
use crate::snapshot::{Totals, lane, slot_of};
use crate::time::Epoch;

/// A reject on its way.
#[derive(Clone, Debug)]
pub(super) struct Rejected {
    /// The number of its partition.
    pub partition: u32,
    /// The reject.
    pub reject: Reject,
}

/// One slot's rows of a commit epoch are in the sink.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Flushed {
    /// What they come to.
    pub totals: Totals,
    /// What those of each minute and lane come to; of events it knows nothing.
    pub minutes: Vec<MinuteLine>,
}

/// What waits for one stamp. The capability is what keeps the commit from passing it.
struct Waiting {
    capability: Capability<Epoch>,
    rows: Vec<Batch>,
    rejects: Vec<Rejected>,
}

/// Writes of one commit epoch that are not acknowledged.
struct Writing {
    capability: Capability<Epoch>,
    unanswered: u64,
    flushed: Flushed,
}

/// One slot's writer to the sink, and what it waits for.
pub(super) struct Flusher {
    wake: LateWake,
    outlet: Box<dyn Outlet<Write>>,
    teller: Teller,
    agenda: Agenda,
    waiting: BTreeMap<Epoch, Waiting>,
    writing: BTreeMap<Epoch, Writing>,
    tickets: BTreeMap<u64, Epoch>,
    last_ticket: u64,
    lanes: u32,
    rows_per_insert: usize,
}

/// Builds the operator.
pub(super) fn flush<'scope>(
    scope: Scope<'scope, Epoch>,
    rows: Stream<'scope, Epoch, Batch>,
    rejects: StreamVec<'scope, Epoch, Rejected>,
    control: StreamVec<'scope, Epoch, Control>,
    mut state: Flusher,
    job: &Job,
) -> StreamVec<'scope, Epoch, Flushed> {
    let slot = scope.index();
    let (slots, lanes) = (scope.peers(), job.plan.lanes);
    let mut builder = OperatorBuilder::new("flush".into(), scope);
    state.wake.bind(scope, &builder.operator_info());
    let (flushed, stream) = builder.new_output::<Vec<Flushed>>();
    let mut flushed = OutputBuilder::<_, CapacityContainerBuilder<Vec<Flushed>>>::from(flushed);
    let route = move |hash| slot_of(lane(hash, lanes), slots);
    let mut rows = builder.new_input(rows, DistributorPact(move |slots| ByHash::new(slots, slot as u32, route)));
    let mut rejects = builder.new_input(rejects, Pipeline);
    let mut control = builder.new_input_connection(control, Pipeline, std::iter::empty::<(usize, Antichain<u64>)>());
    let (fate, layout) = (job.fate.clone(), job.plan.layout.clone());

    builder.build(move |_standing| {
        move |frontiers| {
            if fate.is_over() {
                return;
            }
            control.for_each(|_, messages| state.agenda.follow(messages));
            rows.for_each(|capability, batch| {
                if let Some(what) = batch.damaged {
                    fate.fail(Error::bug(format!("a batch from a peer cannot be read: {what}")));
                } else if let Some(capability) = capability.retain_least(0) {
                    state.at(capability).rows.push(std::mem::take(batch));
                }
            });
            rejects.for_each(|capability, batch| {
                if let Some(capability) = capability.retain_least(0) {
                    state.at(capability).rejects.append(batch);
                }
            });
            while let Some(commit) = state.agenda.next().filter(|commit| passed(&frontiers[..2], *commit)) {
                state.agenda.done(commit);
                if let Err(error) = state.write(commit, &layout) {
                    fate.fail(error);
                    return;
                }
            }
            match state.answers() {
                Ok(done) => {
                    let mut output = flushed.activate();
                    for writing in done {
                        output.session(&writing.capability).give(writing.flushed);
                    }
                }
                Err(error) => fate.fail(error),
            }
        }
    });
    stream
}

impl Flusher {
    /// Opens the writer.
    pub fn open(job: &Job, slot: usize) -> Result<Self> {
        let wake = LateWake::default();
        Ok(Flusher {
            outlet: job.sink.open(slot, wake.wake())?,
            wake,
            teller: Teller::new(job, slot, What::Flush),
            agenda: Agenda::new(&job.resume.manifest),
            waiting: BTreeMap::new(),
            writing: BTreeMap::new(),
            tickets: BTreeMap::new(),
            last_ticket: 0,
            lanes: job.plan.lanes,
            rows_per_insert: job.plan.rows_per_insert as usize,
        })
    }

    fn at(&mut self, capability: Capability<Epoch>) -> &mut Waiting {
        self.waiting.entry(*capability.time()).or_insert_with(|| Waiting {
            capability,
            rows: Vec::new(),
            rejects: Vec::new(),
        })
    }

    /// Hands everything stamped up to `commit` to the sink.
    fn write(&mut self, commit: Epoch, layout: &Layout) -> Result<()> {
        let later = self.waiting.split_off(&(commit + 1));
        let mut due = std::mem::replace(&mut self.waiting, later);
        let Some(last) = due.last_key_value() else { return Ok(()) };
        let flushed = Flushed { totals: Totals::default(), minutes: Vec::new() };
        let mut writing = Writing { capability: last.1.capability.delayed(&commit), unanswered: 0, flushed };
        let mut rejects: BTreeMap<u32, Vec<Reject>> = BTreeMap::new();
        for rejected in due.values_mut().flat_map(|waiting| waiting.rejects.drain(..)) {
            rejects.entry(rejected.partition).or_default().push(rejected.reject);
        }
        let mut lanes: BTreeMap<u32, Vec<&[u64]>> = BTreeMap::new();
        for waiting in due.values() {
            for partial in waiting.rows.iter().flat_map(|batch| record::records(&batch.words)) {
                lanes.entry(lane(record::hash(partial), self.lanes)).or_default().push(partial);
            }
        }
        for (lane, mut partials) in lanes {
            partials.sort_unstable_by_key(|partial| (record::minute(partial), layout.source_of(partial)));
            let rows: Vec<FinishedRow> = partials.into_iter().map(|partial| layout.finish(partial)).collect();
            count(&rows, lane, layout, &mut writing.flushed)?;
            let blocks = blocks(rows, self.rows_per_insert);
            self.submit(&mut writing, commit, Write::Rows { commit, lane, blocks });
        }
        for (partition, rejects) in rejects {
            self.submit(&mut writing, commit, Write::Rejects { commit, partition, rejects });
        }
        if writing.unanswered > 0 {
            self.teller.began(commit);
            self.writing.insert(commit, writing);
        }
        Ok(())
    }

    fn submit(&mut self, writing: &mut Writing, commit: Epoch, write: Write) {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, commit);
        writing.unanswered += 1;
        self.outlet.submit(self.last_ticket, write);
    }

    /// Takes in what the sink has answered; gives the commit epochs of which nothing is unanswered.
    fn answers(&mut self) -> Result<Vec<Writing>> {
        let mut done = Vec::new();
        if mutated!(RowsNotAwaited) {
            done.extend(std::mem::take(&mut self.writing).into_values());
        }
        while let Some((ticket, answer)) = self.outlet.poll() {
            answer?;
            let Some(commit) = self.tickets.remove(&ticket) else { continue };
            let Some(writing) = self.writing.get_mut(&commit) else { continue };
            writing.unanswered -= 1;
            if writing.unanswered == 0 {
                self.teller.ended(commit);
                done.extend(self.writing.remove(&commit));
            }
        }
        Ok(done)
    }
}

/// Adds what these rows of a lane come to. They are sorted by minute, so each minute is one line.
fn count(rows: &[FinishedRow], lane: u32, layout: &Layout, flushed: &mut Flushed) -> Result<()> {
    let mut room = Vec::new();
    for of_minute in rows.chunk_by(|one, next| one.minute == next.minute) {
        let mut line = MinuteLine { minute: of_minute[0].minute, lane, ..MinuteLine::default() };
        for row in of_minute {
            line.rows += 1;
            line.counted += row.count();
            line.hash = line.hash.wrapping_add(row_binary::hash(layout.columns(), row, &mut room)?);
            flushed.totals.overflows += u64::from(row.overflows);
        }
        flushed.totals.rows += line.rows;
        flushed.totals.counted += line.counted;
        flushed.minutes.push(line);
    }
    Ok(())
}

fn blocks(rows: Vec<FinishedRow>, rows_per_insert: usize) -> Vec<Vec<FinishedRow>> {
    let mut blocks = Vec::with_capacity(rows.len().div_ceil(rows_per_insert));
    let mut rows = rows.into_iter();
    loop {
        let block: Vec<FinishedRow> = rows.by_ref().take(rows_per_insert).collect();
        if block.is_empty() {
            return blocks;
        }
        blocks.push(block);
    }
}
