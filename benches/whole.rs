//! The real graph, launched as `minuet run` launches it: events from memory, snapshots in memory, rows encoded and dropped.

mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use measure::{Ask, Figures, Meter, PARTITIONS, Pool, Report, plan};
use minuet::cluster::{Begin, Outcome, begin, launch};
use minuet::connect::Keeper;
use minuet::connect::files::rows::RowLines;
use minuet::connect::memory::MemoryStore;
use minuet::connect::outlet::ThreadOutlet;
use minuet::dataflow::edges::{
    Entry, Framing, Next, Observer, Outlet, Partition, Reader, Sink, Source, Start, Wake, Write,
};
use minuet::dataflow::{Fate, Job};
use minuet::error::{Error, Result};
use minuet::plan::Plan;
use minuet::snapshot::{From, History, Manifest, PartitionCut, Position};
use minuet::time::Clock;

/// Manifests that a run keeps.
const KEPT: usize = 3;

fn main() {
    let ask = Ask::parse();
    let plan = plan();
    let mut report = Report::begin("whole", &ask);
    for sources in &ask.sources {
        let pool = Arc::new(Pool::new(&plan, ask.events, *sources));
        report.line(format!("{sources} sources, {} bytes an event", pool.event_bytes()));
        for workers in &ask.workers {
            let name = format!("-w {workers}");
            if ask.wants(&name) {
                let runs = (0..ask.repeat.max(1)).map(|_| run(&plan, &pool, *workers));
                let best = runs.min_by_key(Figures::cpu).expect("there is a run");
                report.case(&name, &best);
            }
        }
    }
    report.end(&ask);
}

fn run(plan: &Arc<Plan>, pool: &Arc<Pool>, workers: usize) -> Figures {
    let source = Pooled(Arc::clone(pool));
    let sink = Dropped(RowLines::new(plan.layout.columns()));
    let history = History::new(Arc::new(MemoryStore::default()), &plan.name);
    let clock: Clock =
        Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64));
    let how = Begin { from: From::Newest, owner: "bench".to_owned() };
    let resume = begin(plan, &source, &sink, &history, &clock, KEPT, &how).expect("an empty pipeline begins");
    let tally = Arc::new(Tally::default());
    let job = Job {
        plan: Arc::clone(plan),
        source: Arc::new(source),
        sink: Arc::new(sink),
        archive: Arc::new(Keeper::new(history, KEPT)),
        observer: Arc::clone(&tally) as _,
        clock,
        resume: Arc::new(resume),
        fate: Fate::default(),
    };
    pool.making();
    let meter = Meter::start();
    let outcome = launch(&job, workers).expect("nothing can fail here");
    let cost = meter.read();
    assert_eq!((outcome, tally.read.load(Ordering::Relaxed)), (Outcome::Finished, pool.events()));
    let state = tally.state.load(Ordering::Relaxed);
    Figures { cost, making: pool.making(), makers: workers as u32, events: pool.events(), state }
}

/// What is seen of a run.
#[derive(Default)]
struct Tally {
    read: AtomicU64,
    /// Bytes of a partial in a snapshot, at most.
    state: AtomicU64,
}

impl Observer for Tally {
    fn read(&self, events: u64) {
        self.read.fetch_add(events, Ordering::Relaxed);
    }

    fn committed(&self, manifest: &Manifest) {
        let (bytes, partials) = manifest
            .parts
            .iter()
            .fold((0, 0), |(bytes, partials), part| (bytes + part.bytes, partials + part.partials));
        self.state.fetch_max(bytes.checked_div(partials).unwrap_or(0), Ordering::Relaxed);
    }
}

/// The pool as a source.
struct Pooled(Arc<Pool>);

impl Source for Pooled {
    fn partitions(&self) -> Result<Vec<Partition>> {
        let partition = |number| Partition { name: format!("pool-{number}"), identity: "pool".to_owned() };
        Ok((0..PARTITIONS).map(partition).collect())
    }

    fn resume(&self, _cut: &[PartitionCut]) -> Result<()> {
        Ok(())
    }

    fn open(&self, starts: Vec<Start>, _wake: Wake) -> Result<Box<dyn Reader>> {
        let next = starts.iter().map(|start| (start.partition, 0)).collect();
        Ok(Box::new(PooledReader { pool: Arc::clone(&self.0), next }))
    }
}

/// One slot's reader: entries are made when they are asked for.
struct PooledReader {
    pool: Arc<Pool>,
    /// The next entry of each partition.
    next: Vec<(u32, u64)>,
}

impl Reader for PooledReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let found = self.next.iter_mut().find(|(known, _)| *known == partition);
        let (_, number) = found.ok_or_else(|| Error::bug(format!("partition {partition} was not opened here")))?;
        if *number == self.pool.wanted {
            return Ok(Next::Ended);
        }
        let mut bytes = Vec::new();
        let spans = self.pool.make(partition, *number, &mut bytes).to_vec();
        let position = Position(*number, 0);
        *number += 1;
        Ok(Next::Entry(Entry {
            position,
            next: Position(*number, 0),
            bytes,
            framing: Framing::Payloads(spans),
            schema: None,
            publish_time: None,
        }))
    }

    fn acknowledge(&mut self, _partition: u32, _position: Position) {}
}

/// A sink that encodes rows and drops them.
struct Dropped(RowLines);

impl Sink for Dropped {
    fn check(&self, _found: Option<&Manifest>) -> Result<()> {
        Ok(())
    }

    fn prepare(&self, _claim: &Manifest, _fresh: bool) -> Result<()> {
        Ok(())
    }

    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let lines = self.0.clone();
        let work = move |write| match write {
            Write::Rows { blocks, .. } => {
                let mut out = Vec::new();
                blocks.iter().flatten().try_for_each(|row| {
                    out.clear();
                    lines.write(row, &mut out).map_err(|cause| Error::outside("encoding a row", cause))
                })
            }
            Write::Rejects { .. } | Write::Ledger { .. } => Ok(()),
        };
        Ok(Box::new(ThreadOutlet::start(&format!("sink-{slot}"), wake, work)?))
    }
}
