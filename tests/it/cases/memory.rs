//! A case in memory: partitions that fall silent, a wall clock that the case sets, publish times, and crashes where the case says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use minuet::cluster::{Begin, begin, launch};
use minuet::connect::Keeper;
use minuet::connect::files::rows::RowLines;
use minuet::connect::memory::{Faults, MemoryArchive, MemorySink, MemorySource, MemoryStore, Standing, payload_entry};
use minuet::dataflow::edges::Observer;
use minuet::dataflow::{Fate, Job};
use minuet::error::{Error, Result};
use minuet::event::ReadPlan;
use minuet::plan::{self, Plan};
use minuet::snapshot::{From, History, Manifest};
use minuet::time::{Clock, Millis};

use super::demand;
use super::written::{Case, Entry, Step};

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(2);

/// Manifests kept.
const KEEP: usize = 3;

/// The wall clock that a case sets. It knows which threads have seen where it stands: only then has anyone acted on it.
#[derive(Default)]
struct Wall {
    now: AtomicI64,
    seen: Mutex<Vec<(ThreadId, Millis)>>,
}

impl Wall {
    fn read(&self) -> Millis {
        let now = self.now.load(Ordering::SeqCst);
        let mut seen = self.seen.lock().unwrap();
        seen.retain(|(thread, _)| *thread != thread::current().id());
        seen.push((thread::current().id(), now));
        now
    }

    fn seen_by(&self, now: Millis) -> usize {
        self.seen.lock().unwrap().iter().filter(|(_, seen)| *seen >= now).count()
    }
}

/// Counts what a run reads and keeps its newest manifest.
#[derive(Default)]
struct Watched {
    read: AtomicU64,
    newest: Mutex<Option<Manifest>>,
}

impl Observer for Watched {
    fn read(&self, events: u64) {
        self.read.fetch_add(events, Ordering::SeqCst);
    }

    fn committed(&self, manifest: &Manifest) {
        *self.newest.lock().unwrap() = Some(manifest.clone());
    }
}

/// Plays a case: a run for each part between crashes, each with the next of `workers`; then its rows and counts are compared.
pub(super) fn play(case: &Case, workers: &[usize]) {
    let plan = Arc::new(plan::load(&case.dataflow).unwrap_or_else(|problems| panic!("{}: {problems:?}", case.name)));
    let (sink, store) = (MemorySink::new(Faults::none()), MemoryStore::new(Faults::none(), Faults::none()));
    let wall = Arc::new(Wall::default());
    let parts: Vec<&[Step]> = case.steps.split(|step| matches!(step, Step::Crash)).collect();
    let mut newest = None;
    for (part, steps) in parts.iter().enumerate() {
        let mut run = Run::new(case, &plan, &sink, &store, &wall, workers[part % workers.len()]);
        for earlier in parts[..part].iter().flat_map(|steps| *steps) {
            run.repeat(earlier);
        }
        let last = part + 1 == parts.len();
        let ended = run.play(steps, last);
        assert_eq!(ended.is_ok(), last, "{}, part {part} with {} workers: {ended:?}", case.name, run.workers);
        newest = run.watched.newest.lock().unwrap().clone().or(newest);
    }
    let lines = RowLines::new(plan.layout.columns());
    let collected = sink.collected();
    let rows = collected.all_rows().map(|row| {
        let mut line = Vec::new();
        lines.write(row, &mut line).expect("memory takes all");
        String::from_utf8(line).expect("JSON is UTF-8").trim_end().to_owned()
    });
    let counters = newest.expect("a run that ends has committed").counters();
    let summary = [
        ("read", counters.read),
        ("folded", counters.folded),
        ("malformed", counters.malformed),
        ("late", counters.late),
        ("too_far_ahead", counters.too_far_ahead),
    ];
    let summary = summary.map(|(name, count)| (name.to_owned(), count)).into();
    demand(case, rows.collect(), &summary, &format!("in memory with {workers:?} workers"));
}

/// One run of a case. Sink and store outlive it; the source is opened again, as a topic would be.
struct Run<'a> {
    case: &'a Case,
    plan: &'a Arc<Plan>,
    workers: usize,
    source: MemorySource,
    sink: &'a MemorySink,
    store: &'a MemoryStore,
    wall: &'a Arc<Wall>,
    watched: Arc<Watched>,
    /// Events that the run will have read, counted from the beginning of the case.
    events: u64,
    /// Entries given, by partition.
    given: BTreeMap<u32, u64>,
}

impl<'a> Run<'a> {
    fn new(
        case: &'a Case,
        plan: &'a Arc<Plan>,
        sink: &'a MemorySink,
        store: &'a MemoryStore,
        wall: &'a Arc<Wall>,
        workers: usize,
    ) -> Self {
        let source = MemorySource::new();
        for number in 0..case.partitions() {
            source.add(&format!("part-{number}"), Vec::new(), Standing::Waiting);
        }
        let (watched, given) = (Arc::default(), BTreeMap::new());
        Run { case, plan, workers, source, sink, store, wall, watched, events: 0, given }
    }

    /// What happened before a crash is there when the source is opened again.
    fn repeat(&mut self, step: &Step) {
        match step {
            Step::Entry(entry) => self.give(entry),
            Step::Idle(partition) => self.source.stand(*partition, Standing::CaughtUp),
            Step::Crash => {}
        }
    }

    fn give(&mut self, entry: &Entry) {
        let place = self.given.entry(entry.partition).or_default();
        self.events += entry.payloads.len() as u64;
        self.wall.now.fetch_max(newest_time(self.plan, entry), Ordering::SeqCst);
        self.source.append(entry.partition, payload_entry(*place, &entry.payloads, entry.publish_time));
        *place += 1;
    }

    /// Lets the steps happen beside a run, to the end of the input or a crash.
    fn play(&mut self, steps: &[Step], last: bool) -> Result<()> {
        let history = History::new(Arc::new(self.store.clone()), &self.plan.name);
        let wall = Arc::clone(self.wall);
        let clock: Clock = Arc::new(move || wall.read());
        let how = Begin { from: From::Newest, owner: format!("workers-{}", self.workers) };
        let resume = begin(self.plan, &self.source, self.sink, &history, &clock, KEEP, &how)?;
        let before = resume.manifest.counters().read;
        let job = Job {
            plan: Arc::clone(self.plan),
            source: Arc::new(self.source.clone()),
            sink: Arc::new(self.sink.clone()),
            archive: Arc::new(MemoryArchive::new(Keeper::new(history, KEEP), Faults::none())),
            observer: Arc::clone(&self.watched) as _,
            clock,
            resume: Arc::new(resume),
            fate: Fate::default(),
        };
        self.wall.seen.lock().unwrap().clear();
        let workers = self.workers;
        thread::scope(|scope| {
            let run = scope.spawn(|| launch(&job, workers));
            // While a partition is idle the clock has a say, so what happens must not overtake it.
            let mut quiet = false;
            for step in steps {
                match step {
                    Step::Entry(entry) => {
                        self.give(entry);
                        if quiet {
                            self.settle(before);
                        }
                    }
                    Step::Idle(partition) => {
                        self.fall_silent(*partition, before);
                        quiet = true;
                    }
                    Step::Crash => {}
                }
            }
            if !last {
                self.wait("what came before the crash is read", || self.has_read_all(before));
            }
            for number in 0..self.case.partitions() {
                let crash = Error::outside("playing a case", "it says that the run dies here");
                self.source.stand(number, if last { Standing::Ended } else { Standing::Failed(crash) });
            }
            run.join().unwrap_or_else(|_| panic!("{}: the run panicked", self.case.name)).map(|_| ())
        })
    }

    fn has_read_all(&self, before: u64) -> bool {
        before + self.watched.read.load(Ordering::SeqCst) >= self.events
    }

    /// Everything is read, and every slot that reads has looked at the clock since.
    fn settle(&self, before: u64) {
        self.wait("what came is read", || self.has_read_all(before));
        let slots = self.workers.min(self.case.partitions() as usize);
        self.wall.seen.lock().unwrap().clear();
        let now = self.wall.now.load(Ordering::SeqCst);
        self.wait("every slot has looked at the clock", || self.looked(now, slots));
    }

    /// A partition is read to its end and stays quiet until every slot that reads has looked at the clock.
    fn fall_silent(&self, partition: u32, before: u64) {
        self.wait("what came before the silence is read", || self.has_read_all(before));
        self.source.stand(partition, Standing::CaughtUp);
        let slots = self.workers.min(self.case.partitions() as usize);
        let quiet_since = self.wall.now.load(Ordering::SeqCst);
        // The first look says since when it is quiet, so it must come before the time that goes by.
        self.wall.seen.lock().unwrap().clear();
        self.wait("the silence is noticed", || self.looked(quiet_since, slots));
        let until = quiet_since + self.plan.idle_after;
        self.wall.now.store(until, Ordering::SeqCst);
        self.wait("the silence is found too long", || self.looked(until, slots));
    }

    /// Whether this many slots have seen the clock stand there. Wakes them, for they have no clock of their own.
    fn looked(&self, at: Millis, slots: usize) -> bool {
        self.source.wake();
        self.wall.seen_by(at) >= slots
    }

    fn wait(&self, what: &str, there: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !there() {
            assert!(Instant::now() < end, "{} with {} workers: waiting until {what}", self.case.name, self.workers);
            thread::sleep(POLL);
        }
    }
}

/// The newest event time of an entry; 0 where nothing in it can be read.
fn newest_time(plan: &Plan, entry: &Entry) -> Millis {
    let reader = ReadPlan::compile(plan.schema.json(), &plan.schema, &plan.selection).expect("the plan was checked");
    let mut row = reader.row();
    let times = entry.payloads.iter().filter_map(|payload| {
        reader.decode_whole(payload, &mut row).ok()?;
        Some(row.time)
    });
    times.max().unwrap_or(0)
}
