//! Runs in memory that a test can watch: what was read, asked for and committed is waited for, never slept for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use minuet::cluster::{Begin, Outcome, begin, launch};
use minuet::connect::Keeper;
use minuet::connect::files::rows::RowLines;
use minuet::connect::memory::{Faults, MemoryArchive, MemorySink, MemorySource, MemoryStore};
use minuet::dataflow::edges::{Combined, Next, Observer, Partition, Reader, Source, Start, Wake};
use minuet::dataflow::{Combine, Fate, Job, Resume};
use minuet::error::Result;
use minuet::plan::Plan;
use minuet::snapshot::{From, History, Manifest, PartitionCut, Position};
use minuet::time::{Clock, Millis};

/// The longest that anything is waited for; only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for news before the slots are woken once more.
const NUDGE: Duration = Duration::from_millis(2);

/// Manifests that a run keeps.
const KEPT: usize = 3;

/// What has been seen of a run.
#[derive(Default)]
pub(crate) struct Seen {
    /// Events read.
    pub(crate) read: u64,
    /// How often each partition was asked for an entry.
    pub(crate) polls: BTreeMap<u32, u64>,
    /// Entries that each partition gave.
    pub(crate) given: BTreeMap<u32, u64>,
    /// Manifests stored, in order.
    pub(crate) commits: Vec<Manifest>,
    /// What folding before the exchange came to, epoch by epoch.
    pub(crate) combined: Vec<Combined>,
    /// How it ended.
    ended: Option<Result<Outcome>>,
}

/// Sees what a run does.
#[derive(Default)]
pub(crate) struct Watch {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Watch {
    fn see(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Observer for Watch {
    fn read(&self, events: u64) {
        self.see(|seen| seen.read += events);
    }

    fn committed(&self, manifest: &Manifest) {
        self.see(|seen| seen.commits.push(manifest.clone()));
    }

    fn combined(&self, combined: &Combined) {
        self.see(|seen| seen.combined.push(*combined));
    }
}

/// A source in memory whose readers are watched.
struct Watched {
    source: MemorySource,
    watch: Arc<Watch>,
}

impl Source for Watched {
    fn partitions(&self) -> Result<Vec<Partition>> {
        self.source.partitions()
    }

    fn resume(&self, cut: &[PartitionCut]) -> Result<()> {
        self.source.resume(cut)
    }

    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        let reader = self.source.open(starts, wake)?;
        Ok(Box::new(WatchedReader { reader, watch: Arc::clone(&self.watch) }))
    }
}

struct WatchedReader {
    reader: Box<dyn Reader>,
    watch: Arc<Watch>,
}

impl Reader for WatchedReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let next = self.reader.next(partition)?;
        self.watch.see(|seen| {
            *seen.polls.entry(partition).or_default() += 1;
            *seen.given.entry(partition).or_default() += u64::from(matches!(next, Next::Entry(_)));
        });
        Ok(next)
    }

    fn acknowledge(&mut self, partition: u32, position: Position) {
        self.reader.acknowledge(partition, position);
    }
}

/// A wall clock that the test sets.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn reach(&self, now: Millis) {
        self.0.fetch_max(now, Ordering::SeqCst);
    }

    /// Another run of the same story has the clock of its beginning.
    pub(crate) fn begin_again(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    pub(crate) fn go_on(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Arc::new(move || now.load(Ordering::SeqCst))
    }
}

/// What outlives a run: the sink and the store.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) plan: Arc<Plan>,
    pub(crate) sink: MemorySink,
    pub(crate) store: MemoryStore,
    /// What becomes of parts and manifests, beside what the store makes of them.
    pub(crate) archive: Faults,
    pub(crate) clock: TestClock,
    /// Whether slots fold before the exchange.
    pub(crate) combine: Combine,
}

impl Place {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Place {
            plan: Arc::clone(plan),
            sink: MemorySink::new(Faults::none()),
            store: MemoryStore::new(Faults::none(), Faults::none()),
            archive: Faults::none(),
            clock: TestClock::default(),
            combine: Combine::Off,
        }
    }

    pub(crate) fn history(&self) -> History {
        History::new(Arc::new(self.store.clone()), &self.plan.name)
    }

    /// Claims the pipeline for a run over this source.
    pub(crate) fn begin(&self, source: &MemorySource) -> Result<Resume> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let owner = format!("run {}", RUNS.fetch_add(1, Ordering::SeqCst));
        let how = Begin { from: From::Newest, owner };
        begin(&self.plan, source, &self.sink, &self.history(), &self.clock.clock(), KEPT, &how)
    }

    /// Starts the run that has begun.
    pub(crate) fn launch(&self, resume: Resume, source: &MemorySource, slots: usize) -> Run {
        let watch = Arc::new(Watch::default());
        let claim = resume.manifest.clone();
        let fate = Fate::default();
        let job = Job {
            plan: Arc::clone(&self.plan),
            source: Arc::new(Watched { source: source.clone(), watch: Arc::clone(&watch) }),
            sink: Arc::new(self.sink.clone()),
            archive: Arc::new(MemoryArchive::new(Keeper::new(self.history(), KEPT), self.archive.clone())),
            observer: Arc::clone(&watch) as _,
            clock: self.clock.clock(),
            resume: Arc::new(resume),
            fate: fate.clone(),
            combine: self.combine,
        };
        let told = Arc::clone(&watch);
        let thread = thread::spawn(move || {
            let ended = launch(&job, slots);
            told.see(|seen| seen.ended = Some(ended));
        });
        Run { watch, fate, claim, source: source.clone(), thread }
    }

    /// Begins and starts a run.
    pub(crate) fn start(&self, source: &MemorySource, slots: usize) -> Run {
        let resume = self.begin(source).unwrap_or_else(|e| panic!("the run could not begin: {e}"));
        self.launch(resume, source, slots)
    }

    /// The lines of all rows, sorted.
    pub(crate) fn rows(&self) -> Vec<String> {
        let lines = RowLines::new(self.plan.layout.columns());
        let line = |row| {
            let mut bytes = Vec::new();
            lines.write(row, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap().trim_end().to_owned()
        };
        let mut rows: Vec<String> = self.sink.collected().all_rows().map(line).collect();
        rows.sort();
        rows
    }

    /// The newest manifest.
    pub(crate) fn newest(&self) -> Manifest {
        self.history().newest().unwrap().expect("a run has claimed the pipeline")
    }
}

/// A run that is under way.
pub(crate) struct Run {
    pub(crate) watch: Arc<Watch>,
    pub(crate) fate: Fate,
    /// The manifest that it began with.
    pub(crate) claim: Manifest,
    source: MemorySource,
    thread: JoinHandle<()>,
}

impl Run {
    /// Waits until something can be seen of the run, and wakes its slots meanwhile; false where it ended before.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> bool {
        self.wait(what, true, holds)
    }

    /// The same without waking anyone: whoever sleeps must be woken by the engine itself.
    pub(crate) fn until_unaided(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> bool {
        self.wait(what, false, holds)
    }

    fn wait(&self, what: &str, nudge: bool, holds: impl Fn(&Seen) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        let mut seen = self.watch.seen();
        loop {
            if holds(&seen) {
                return true;
            }
            if seen.ended.is_some() {
                return false;
            }
            if Instant::now() >= end {
                let newest = seen.commits.last().unwrap_or(&self.claim);
                let (read, given, commit, next) = (seen.read, &seen.given, newest.commit, &newest.next);
                let stood = format!("{read} events read, {given:?} given, commit {commit:?}, next {next:?}");
                // The slots go on until they are told to stop, and must be able to say what they see.
                drop(seen);
                self.fate.stop();
                panic!("nothing came of {what}: {stood}");
            }
            let (after, news) = self.watch.changed.wait_timeout(seen, NUDGE).unwrap();
            seen = after;
            if nudge && news.timed_out() {
                drop(seen);
                // Nothing is changed past the last partition, but every reader is woken.
                self.source.stall_after(u32::MAX, 0);
                seen = self.watch.seen();
            }
        }
    }

    /// Waits until a partition has been asked and its slot has drawn its conclusions: being asked a second time tells.
    pub(crate) fn settle(&self, partition: u32) {
        let polls = |seen: &Seen| seen.polls.get(&partition).copied().unwrap_or(0);
        let before = polls(&self.watch.seen());
        assert!(self.until("a slot that settles", |seen| polls(seen) >= before + 2), "the run ended before");
    }

    /// How it ended.
    pub(crate) fn end(self) -> Result<Outcome> {
        self.wait("its end", false, |seen| seen.ended.is_some());
        self.thread.join().expect("a run does not panic");
        self.watch.seen().ended.take().expect("it has ended")
    }
}
