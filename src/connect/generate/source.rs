//! Generated events as a source of the graph.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::batch::{Batch, Generator};
use crate::dataflow::edges::{Entry, Framing, Next, Partition, Reader, Source, Start, Wake, Writer};
use crate::error::{Error, Result};
use crate::limits::QUEUED_ENTRIES_MAX;
use crate::snapshot::{PartitionCut, Position};

/// How fast entries become available.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they are read.
    Flat,
    /// So many seconds of event time in a second.
    Speed(f64),
}

/// A finite source of generated entries. A position is the number of an entry; the second number is always 0.
///
/// Each entry has a publish time, that of its last event, so that dataflows without a time field can be shown too. A paced
/// partition whose next entry is not due is `Waiting`, not caught up: its clock is not the wall's, and must not make it idle.
#[derive(Clone, Debug)]
pub struct Generated {
    pub(super) generator: Arc<Generator>,
    pace: Pace,
    /// When reading began, and the event time that was due then; shared by the readers of all slots.
    origin: Arc<OnceLock<(Instant, i64)>>,
}

impl Generated {
    /// A source of everything that the generator's spec asks for.
    pub fn new(generator: Generator, pace: Pace) -> Result<Self> {
        if let Pace::Speed(speed) = pace
            && !(1e-3..=1e9).contains(&speed)
        {
            return Err(Error::configuration(format!("the speed is {speed}; allowed is 0.001 to 1000000000")));
        }
        Ok(Generated { generator: Arc::new(generator), pace, origin: Arc::default() })
    }
}

impl Source for Generated {
    fn partitions(&self) -> Result<Vec<Partition>> {
        let identity = self.generator.fingerprint();
        let partition = |number| Partition { name: format!("generated-{number:05}"), identity: identity.to_owned() };
        Ok((0..self.generator.spec().partitions).map(partition).collect())
    }

    fn resume(&self, cut: &[PartitionCut]) -> Result<()> {
        let identity = self.generator.fingerprint();
        match cut.iter().find(|cut| cut.identity != identity) {
            None => Ok(()),
            Some(cut) => Err(Error::data(format!(
                "{} was generated from another specification; start empty, or generate the same events as before",
                cut.name
            ))),
        }
    }

    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        let mut lines = BTreeMap::new();
        for start in &starts {
            let entries = self.generator.entries(start.partition);
            let next = start.from.map_or(0, |position| position.0);
            if start.partition >= self.generator.spec().partitions || next > entries {
                return Err(Error::data(format!(
                    "opening generated partition {} at entry {next}: it has {entries} entries; the state is not of this spec",
                    start.partition
                )));
            }
            lines.insert(start.partition, Line { next, entries, queue: VecDeque::new() });
        }
        let due = lines.iter().map(|(&partition, line)| self.generator.due_ns(partition, line.next)).min();
        let origin = *self.origin.get_or_init(|| (Instant::now(), due.unwrap_or(0)));
        let shared = Arc::new(Shared { state: Mutex::new(State { lines, closed: false }), turn: Condvar::new() });
        let ahead = Ahead {
            generator: Arc::clone(&self.generator),
            pace: self.pace,
            origin,
            shared: Arc::clone(&shared),
            wake,
        };
        let thread = thread::Builder::new()
            .name("generate".into())
            .spawn(move || ahead.run())
            .map_err(|error| Error::outside("starting a thread to generate events", error))?;
        Ok(Box::new(GeneratedReader { shared, thread: Some(thread) }))
    }
}

/// One partition of a reader: what was made ahead, and what is to be made next.
struct Line {
    next: u64,
    entries: u64,
    queue: VecDeque<Entry>,
}

struct State {
    lines: BTreeMap<u32, Line>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Told when a queue has room again, and when the reader is dropped.
    turn: Condvar,
}

impl Shared {
    /// The state. A poisoned lock is taken all the same: each change of the state is a single step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that makes entries ahead of one slot's reader.
struct Ahead {
    generator: Arc<Generator>,
    pace: Pace,
    origin: (Instant, i64),
    shared: Arc<Shared>,
    wake: Wake,
}

impl Ahead {
    fn run(self) {
        while let Some((partition, entry)) = self.job() {
            let made = self.make(partition, entry);
            let mut state = self.shared.lock();
            if let Some(line) = state.lines.get_mut(&partition) {
                line.queue.push_back(made);
                line.next = entry + 1;
            }
            drop(state);
            (self.wake)();
        }
    }

    /// The next entry to make: the one due first among the partitions with room. `None` when nothing is left to make.
    fn job(&self) -> Option<(u32, u64)> {
        let mut state = self.shared.lock();
        loop {
            if state.closed || state.lines.values().all(|line| line.next == line.entries) {
                return None;
            }
            let open = state
                .lines
                .iter()
                .filter(|(_, line)| line.next < line.entries && line.queue.len() < QUEUED_ENTRIES_MAX);
            let first = open
                .map(|(&partition, line)| (self.generator.due_ns(partition, line.next), partition, line.next))
                .min();
            let Some((due, partition, entry)) = first else {
                state = self.shared.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let early = self.until(due);
            if early.is_zero() {
                return Some((partition, entry));
            }
            state = self.shared.turn.wait_timeout(state, early).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How long until an event time is due.
    fn until(&self, due_ns: i64) -> Duration {
        let Pace::Speed(speed) = self.pace else { return Duration::ZERO };
        let wanted = (due_ns - self.origin.1).max(0) as f64 / 1e9 / speed;
        // A century is as good as never, and fits a Duration.
        Duration::from_secs_f64(wanted.min(3e9)).saturating_sub(self.origin.0.elapsed())
    }

    fn make(&self, partition: u32, entry: u64) -> Entry {
        let mut batch = Batch::default();
        self.generator.fill(partition, entry, &mut batch);
        Entry {
            position: Position(entry, 0),
            next: Position(entry + 1, 0),
            bytes: batch.bytes,
            framing: Framing::Payloads(batch.spans),
            writer: Writer::Own,
            publish_time: Some(batch.last_ns / 1_000_000),
        }
    }
}

struct GeneratedReader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Reader for GeneratedReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let mut state = self.shared.lock();
        let Some(line) = state.lines.get_mut(&partition) else {
            return Err(Error::bug(format!("reading generated partition {partition}, which this slot did not open")));
        };
        match line.queue.pop_front() {
            Some(entry) => {
                // The thread sleeps only on full queues or until an entry is due: tell it of every place that became free.
                self.shared.turn.notify_one();
                Ok(Next::Entry(entry))
            }
            None if line.next == line.entries => Ok(Next::Ended),
            None => Ok(Next::Waiting),
        }
    }

    fn acknowledge(&mut self, _partition: u32, _position: Position) {}
}

impl Drop for GeneratedReader {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.turn.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread aborts the process; there is no other way in which joining fails.
            let _ = thread.join();
        }
    }
}
