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
        let edges = Edges { source: MemorySource::new(), sink: sink.clone(), store: store.clone(), now: Arc::clone(&now) };
        let workers = workers[part % workers.len()];
        let ended = thread::scope(|scope| {
            let run = scope.spawn(|| launch(&edges, plan, workers));
            play(case, plan, part, &edges, &|| run.is_finished());
            run.join().unwrap_or_else(|_| panic!("{}: the run panicked", case.name))
        });
        let last = part + 1 == parts;
        assert_eq!(ended.is_ok(), last, "{}, part {part} with {workers} workers: {ended:?}", case.name);
    }
    let mut rows: Vec<String> = sink.collected().all_rows().map(|row| rendered(plan, row)).collect();
    rows.sort();
    demand_rows(&rows, &case.rows, &format!("{} in memory, workers {workers:?}", case.name));
}

/// Gives the source what the case has up to the crash that ends this part, or to its end.
fn play(case: &Case, plan: &Plan, part: usize, edges: &Edges, over: &dyn Fn() -> bool) {
    for number in 0..case.partitions() {
        edges.source.add(&format!("part-{number}"), Vec::new(), Standing::Waiting);
    }
    let (mut crashes, mut given) = (0, BTreeMap::<u32, u64>::new());
    let mut silences = BTreeMap::<u32, u64>::new();
    for step in &case.steps {
        match step {
            Step::Entry(entry) => {
                let place = given.entry(entry.partition).or_default();
                edges.source.append(entry.partition, payload_entry(*place, &entry.payloads, entry.publish_time));
                *place += 1;
            }
            Step::Idle { partitions, clock } => {
                let silent = partitions.clone().unwrap_or_else(|| (0..case.partitions()).collect());
                for number in silent {
                    *silences.entry(number).or_default() += 1;
                    edges.source.stand(number, Standing::CaughtUp);
                }
                // Silences of parts before this one are in the snapshot already.
                if crashes == part {
                    pass(edges, plan.idle_after, *clock, &silences, over);
                }
            }
            Step::Crash if crashes == part => {
                for number in 0..case.partitions() {
                    let crash = Error::outside("playing a case", "it says that the run dies here");
                    edges.source.stand(number, Standing::Failed(crash));
                }
                return;
            }
            Step::Crash => crashes += 1,
        }
    }
    for number in 0..case.partitions() {
        edges.source.stand(number, Standing::Ended);
    }
}

/// Lets time pass, in steps as a clock does, until the silence shows in a commit.
fn pass(edges: &Edges, idle_after: Millis, until: Option<Millis>, silences: &BTreeMap<u32, u64>, over: &dyn Fn() -> bool) {
    let until = until.unwrap_or_else(|| edges.now.load(Ordering::SeqCst) + idle_after + 1);
    let end = Instant::now() + PATIENCE;
    while !over() && !edges.fell_silent(silences) {
        assert!(Instant::now() < end, "no commit shows the silence of {silences:?}");
        // The run must have seen the silence begin before the clock tells that it is over.
        thread::sleep(Duration::from_millis(20));
        edges.now.fetch_max(until, Ordering::SeqCst);
        for number in silences.keys() {
            edges.source.stand(*number, Standing::CaughtUp);
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
