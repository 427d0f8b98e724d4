//! A case in memory: partitions that fall silent, a wall clock that the case sets, publish times, and crashes where the case says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use minuet::aggregate::{FinishedRow, Value};
use minuet::connect::memory::{Faults, MemorySink, MemorySource, MemoryStore, Standing, payload_entry};
use minuet::error::{Error, Result};
use minuet::plan::Plan;
use minuet::time::{Clock, Millis};
use serde_json::{Map, Value as Json};

use super::written::{Case, Step, compared};
use crate::harness::demand_rows;
use crate::oracle;

/// How long a silence may take to show in a commit.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a run gets to read what lies before it.
const SETTLE: Duration = Duration::from_millis(300);

/// How often the run is woken to look at the clock.
const POLL: Duration = Duration::from_millis(10);

/// What a run has around it. Sink and store outlive a crash; the source is opened again, as a topic would be.
#[derive(Clone)]
pub(super) struct Edges {
    pub(super) source: MemorySource,
    pub(super) sink: MemorySink,
    pub(super) store: MemoryStore,
    now: Arc<AtomicI64>,
}

impl Edges {
    /// The wall clock that the case sets.
    pub(super) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || now.load(Ordering::SeqCst))
    }

    /// Whether every partition named has been declared idle as often as this, as far as commits tell.
    fn fell_silent(&self, times: &BTreeMap<u32, u64>) -> bool {
        let collected = self.sink.collected();
        let Some((_, (_, lines))) = collected.ledger.last_key_value() else { return false };
        times.iter().all(|(number, times)| {
            lines.iter().any(|line| line.cut.partition == *number && line.cut.idle_decisions >= *times)
        })
    }
}

/// Runs the pipeline on these edges with this many workers until its input ends, or fails.
pub(super) type Launch<'a> = &'a (dyn Fn(&Edges, &Plan, usize) -> Result<()> + Sync);

/// Plays a case: a run for each part between crashes, each with the next of `workers`; then its rows are compared.
pub(super) fn run_case_in_memory(case: &Case, plan: &Plan, workers: &[usize], launch: Launch<'_>) {
    let now = Arc::new(AtomicI64::new(0));
    let (sink, store) = (MemorySink::new(Faults::none()), MemoryStore::new(Faults::none(), Faults::none()));
    let parts = case.steps.iter().filter(|step| matches!(step, Step::Crash)).count() + 1;
    for part in 0..parts {
        let source = MemorySource::new();
        let edges = Edges { source, sink: sink.clone(), store: store.clone(), now: Arc::clone(&now) };
        let workers = workers[part % workers.len()];
        let mut player = Player::new(case, plan, part, &edges);
        // A resumed run looks for its positions when it opens the source, so what it has seen before must be there.
        let live = player.first_live_step();
        player.play(&case.steps[..live], &|| false);
        let ended = thread::scope(|scope| {
            let run = scope.spawn(|| launch(&edges, plan, workers));
            player.play(&case.steps[live..], &|| run.is_finished());
            player.end();
            run.join().unwrap_or_else(|_| panic!("{}: the run panicked", case.name))
        });
        let last = part + 1 == parts;
        assert_eq!(ended.is_ok(), last, "{}, part {part} with {workers} workers: {ended:?}", case.name);
    }
    let mut rows: Vec<String> = sink.collected().all_rows().map(|row| rendered(plan, row)).collect();
    rows.sort();
    demand_rows(&rows, &case.rows, &format!("{} in memory, workers {workers:?}", case.name));
}

/// Gives the source what a case has, up to the crash that ends one part of it.
struct Player<'a> {
    case: &'a Case,
    edges: &'a Edges,
    idle_after: Millis,
    part: usize,
    crashes: usize,
    /// Entries given, by partition.
    given: BTreeMap<u32, u64>,
    /// Silences so far, by partition.
    silences: BTreeMap<u32, u64>,
    crashed: bool,
}

impl<'a> Player<'a> {
    fn new(case: &'a Case, plan: &Plan, part: usize, edges: &'a Edges) -> Self {
        for number in 0..case.partitions() {
            edges.source.add(&format!("part-{number}"), Vec::new(), Standing::Waiting);
        }
        let (given, silences) = (BTreeMap::new(), BTreeMap::new());
        Player { case, edges, idle_after: plan.idle_after, part, crashes: 0, given, silences, crashed: false }
    }

    /// The first step that needs a run beside it: a silence in this part; the number of steps where there is none.
    fn first_live_step(&self) -> usize {
        let mut crashes = 0;
        let live = self.case.steps.iter().position(|step| {
            crashes += usize::from(matches!(step, Step::Crash));
            crashes == self.part && matches!(step, Step::Idle { .. })
        });
        live.unwrap_or(self.case.steps.len())
    }

    fn play(&mut self, steps: &[Step], over: &dyn Fn() -> bool) {
        for step in steps {
            if self.crashed {
                return;
            }
            match step {
                Step::Entry(entry) => {
                    let place = self.given.entry(entry.partition).or_default();
                    let entry_there = payload_entry(*place, &entry.payloads, entry.publish_time);
                    self.edges.source.append(entry.partition, entry_there);
                    *place += 1;
                }
                Step::Idle { partitions, clock } => self.fall_silent(partitions.as_deref(), *clock, over),
                Step::Crash if self.crashes == self.part => self.crash(),
                Step::Crash => self.crashes += 1,
            }
        }
    }

    fn crash(&mut self) {
        self.crashed = true;
        for number in 0..self.case.partitions() {
            let crash = Error::outside("playing a case", "it says that the run dies here");
            self.edges.source.stand(number, Standing::Failed(crash));
        }
    }

    /// After the last step: nothing more will come, unless the run dies.
    fn end(&self) {
        for number in (0..self.case.partitions()).filter(|_| !self.crashed) {
            self.edges.source.stand(number, Standing::Ended);
        }
    }

    /// Lets partitions fall silent and the clock go on, until a commit shows that they were declared idle.
    fn fall_silent(&mut self, partitions: Option<&[u32]>, clock: Option<Millis>, over: &dyn Fn() -> bool) {
        let all: Vec<u32> = (0..self.case.partitions()).collect();
        for number in partitions.unwrap_or(&all) {
            *self.silences.entry(*number).or_default() += 1;
            self.edges.source.stand(*number, Standing::CaughtUp);
        }
        // The silences of earlier parts are in the snapshot already.
        if self.crashes < self.part {
            return;
        }
        // The run must have read what there is before the clock tells that nothing came for long.
        thread::sleep(SETTLE);
        let until = clock.unwrap_or_else(|| self.edges.now.load(Ordering::SeqCst) + self.idle_after + 1);
        self.edges.now.fetch_max(until, Ordering::SeqCst);
        let end = Instant::now() + PATIENCE;
        while !over() && !self.edges.fell_silent(&self.silences) {
            assert!(Instant::now() < end, "{}: no commit shows the silence of {:?}", self.case.name, self.silences);
            for number in self.silences.keys() {
                // Standing still wakes the run, which has no clock of its own.
                self.edges.source.stand(*number, Standing::CaughtUp);
            }
            thread::sleep(POLL);
        }
    }
}

/// A row as the case's rows are compared.
fn rendered(plan: &Plan, row: &FinishedRow) -> String {
    let seconds = i64::try_from(row.minute).expect("a minute fits") * 60;
    let first = std::iter::once(Json::from(oracle::date_time(seconds)));
    let values = first.chain(row.values.iter().map(json));
    let names = plan.layout.columns().iter().map(|column| column.name.clone());
    compared(&names.zip(values).collect::<Map<String, Json>>())
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Unsigned(v) => Json::from(*v),
        Value::Integer(v) => Json::from(*v),
        Value::Float(v) => Json::from(*v),
        Value::Decimal(unscaled, scale) => {
            let sign = if *unscaled < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = *scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
            serde_json::from_str(&format!("{sign}{whole}.{fraction}0")).expect("a decimal is a number")
        }
        Value::Boolean(v) => Json::from(*v),
        Value::Text(v) => Json::from(v.as_str()),
    }
}
