//! A source whose partitions are vectors of entries, which may grow while it is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dataflow::edges::{Entry, Framing, Gap, Next, Partition, Reader, Source, Start, Wake, Writer};
use crate::error::{Error, Result};
use crate::event::Span;
use crate::snapshot::{PartitionCut, Position};
use crate::time::Millis;

/// What a partition says once its entries have been read.
#[derive(Clone, Debug)]
pub enum Standing {
    /// The broker has not been reached.
    Waiting,
    /// That was the newest.
    CaughtUp,
    /// That was the last.
    Ended,
    /// It cannot be read.
    Failed(Error),
}

struct Log {
    partition: Partition,
    entries: Vec<Entry>,
    /// Entries that can be read now; the others are behind a stalled connection.
    reachable: usize,
    standing: Standing,
    acknowledged: Option<Position>,
}

#[derive(Default)]
struct State {
    logs: Vec<Log>,
    wakes: Vec<Wake>,
}

/// A [`Source`] in memory; clones share its partitions. Where an entry does not begin where the one before it says, there is a gap.
#[derive(Clone, Default)]
pub struct MemorySource {
    state: Arc<Mutex<State>>,
}

impl MemorySource {
    /// A source without partitions.
    pub fn new() -> Self {
        MemorySource::default()
    }

    /// Adds a partition and returns its number.
    pub fn add(&self, name: &str, entries: Vec<Entry>, standing: Standing) -> u32 {
        let mut state = self.lock();
        let partition = Partition { name: name.to_owned(), identity: String::new() };
        state.logs.push(Log { partition, entries, reachable: usize::MAX, standing, acknowledged: None });
        (state.logs.len() - 1) as u32
    }

    /// Appends an entry and wakes the readers. A partition that does not exist takes nothing.
    pub fn append(&self, partition: u32, entry: Entry) {
        self.change(partition, |log| log.entries.push(entry));
    }

    /// Changes what a partition says at its end, and wakes the readers.
    pub fn stand(&self, partition: u32, standing: Standing) {
        self.change(partition, |log| log.standing = standing);
    }

    /// Lets the partition give its first `entries` only, and then say `Waiting`, until it is called with more.
    pub fn stall_after(&self, partition: u32, entries: usize) {
        self.change(partition, |log| log.reachable = entries);
    }

    /// How far a partition has been acknowledged.
    pub fn acknowledged(&self, partition: u32) -> Option<Position> {
        self.lock().logs.get(partition as usize)?.acknowledged
    }

    fn change(&self, partition: u32, change: impl FnOnce(&mut Log)) {
        let mut state = self.lock();
        if let Some(log) = state.logs.get_mut(partition as usize) {
            change(log);
        }
        drop(state);
        self.wake();
    }

    fn wake(&self) {
        let wakes = self.lock().wakes.clone();
        for wake in wakes {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for MemorySource {
    fn partitions(&self) -> Result<Vec<Partition>> {
        Ok(self.lock().logs.iter().map(|log| log.partition.clone()).collect())
    }

    /// Partitions may be added, none may go or change its name.
    fn resume(&self, cut: &[PartitionCut]) -> Result<()> {
        let state = self.lock();
        let is_there = |then: &PartitionCut| {
            state.logs.get(then.partition as usize).is_some_and(|log| log.partition.name == then.name)
        };
        match cut.iter().find(|then| !is_there(then)) {
            Some(gone) => Err(Error::data(format!("partition {} ({}) is no longer there", gone.partition, gone.name))),
            None => Ok(()),
        }
    }

    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        let mut state = self.lock();
        let mut cursors = Vec::new();
        for start in starts {
            let Some(log) = state.logs.get(start.partition as usize) else {
                return Err(Error::bug(format!("partition {} does not exist", start.partition)));
            };
            cursors.push(Cursor { partition: start.partition, index: log.index_of(start.from)?, expected: start.from });
        }
        state.wakes.push(Arc::clone(&wake));
        drop(state);
        wake();
        Ok(Box::new(MemoryReader { source: self.clone(), cursors }))
    }
}

impl Log {
    /// The index of the entry at `from`, or the end where the last entry says that it comes next.
    fn index_of(&self, from: Option<Position>) -> Result<usize> {
        let Some(from) = from else { return Ok(0) };
        let found = self.entries.iter().position(|entry| entry.position == from);
        let at_end = self.entries.last().is_some_and(|last| last.next == from);
        found.or(at_end.then_some(self.entries.len())).ok_or_else(|| {
            let name = &self.partition.name;
            Error::data(format!("partition {name} has no entry at {from:?}, where reading should go on"))
        })
    }
}

struct MemoryReader {
    source: MemorySource,
    cursors: Vec<Cursor>,
}

struct Cursor {
    partition: u32,
    /// The index of its next entry.
    index: usize,
    /// The position that the entry before it says comes next.
    expected: Option<Position>,
}

impl Reader for MemoryReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let state = self.source.lock();
        let log = state.logs.get(partition as usize);
        let cursor = self.cursors.iter_mut().find(|cursor| cursor.partition == partition);
        let (Some(log), Some(Cursor { index, expected, .. })) = (log, cursor) else {
            return Err(Error::bug(format!("partition {partition} was not opened by this reader")));
        };
        if *index >= log.reachable {
            return Ok(Next::Waiting);
        }
        if let Some(entry) = log.entries.get(*index) {
            let to = entry.position;
            if let Some(from) = expected.replace(to).filter(|from| *from < to) {
                return Ok(Next::Gap(Gap { from, to, why: "the log has no such entries".into() }));
            }
            *index += 1;
            *expected = Some(entry.next);
            return Ok(Next::Entry(entry.clone()));
        }
        match &log.standing {
            Standing::Waiting => Ok(Next::Waiting),
            Standing::CaughtUp => Ok(Next::CaughtUp),
            Standing::Ended => Ok(Next::Ended),
            Standing::Failed(error) => Err(error.clone()),
        }
    }

    fn acknowledge(&mut self, partition: u32, position: Position) {
        if let Some(log) = self.source.lock().logs.get_mut(partition as usize) {
            log.acknowledged = log.acknowledged.max(Some(position));
        }
    }
}

/// Entry `number` of a partition: these payloads, at position `(number, 0)`.
pub fn payload_entry(number: u64, payloads: &[Vec<u8>], publish_time: Option<Millis>) -> Entry {
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for payload in payloads {
        spans.push(Span { start: bytes.len() as u32, len: payload.len() as u32 });
        bytes.extend_from_slice(payload);
    }
    Entry {
        position: Position(number, 0),
        next: Position(number + 1, 0),
        bytes,
        framing: Framing::Payloads(spans),
        writer: Writer::Own,
        publish_time,
    }
}

#[cfg(test)]
mod tests;
