//! One slot's files, read ahead by one thread.
//!
//! The thread takes turns among the files whose queue has room ([`QUEUED_ENTRIES_MAX`]); where none has, it sleeps. So a
//! partition that is not polled stops after a few entries, and memory is bounded by partitions, whatever their sizes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::source::OpenFile;
use crate::dataflow::edges::{Entry, Next, Reader, Wake};
use crate::error::{Error, Result};
use crate::limits::QUEUED_ENTRIES_MAX;
use crate::snapshot::Position;

/// What was read ahead of one file, and how it ended once it has.
#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    end: Option<Result<()>>,
}

impl Queue {
    fn has_room(&self) -> bool {
        self.end.is_none() && self.entries.len() < QUEUED_ENTRIES_MAX
    }
}

#[derive(Default)]
struct State {
    queues: Vec<Queue>,
    /// Buffers of entries that have been read: new ones would be fresh pages, which the system has to clear first.
    spare: Vec<Vec<u8>>,
    /// The reader was dropped: stop.
    dropped: bool,
    /// The thread has ended.
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is room, or nobody reads any more.
    changed: Condvar,
}

impl Shared {
    /// A panic of the other side leaves the state whole: it is changed by single assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader over a slot's open files.
pub(super) struct FilesReader {
    shared: Arc<Shared>,
    index: BTreeMap<u32, usize>,
}

impl FilesReader {
    /// Starts the thread. It ends when all files have, or soon after the reader is dropped.
    pub(super) fn start(files: Vec<(u32, OpenFile)>, wake: Wake) -> Result<Self> {
        let index = files.iter().enumerate().map(|(index, (partition, _))| (*partition, index)).collect();
        let state = State { queues: files.iter().map(|_| Queue::default()).collect(), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let side = ReadAhead {
            shared: Arc::clone(&shared),
            files: files.into_iter().map(|(_, file)| Some(file)).collect(),
            wake,
        };
        thread::Builder::new()
            .name("files-reader".to_owned())
            .spawn(move || side.run())
            .map_err(|cause| Error::outside("starting the thread that reads files", cause))?;
        Ok(FilesReader { shared, index })
    }
}

impl Reader for FilesReader {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let Some(index) = self.index.get(&partition) else {
            return Err(Error::bug(format!("partition {partition} was not opened by this reader")));
        };
        let mut state = self.shared.lock();
        let ended = state.ended;
        let queue = &mut state.queues[*index];
        if let Some(entry) = queue.entries.pop_front() {
            self.shared.changed.notify_one();
            return Ok(Next::Entry(entry));
        }
        match &queue.end {
            Some(Ok(())) => Ok(Next::Ended),
            Some(Err(error)) => Err(error.clone()),
            None if ended => Err(Error::bug("the thread that reads files ended before they did")),
            None => Ok(Next::Waiting),
        }
    }

    fn recycle(&mut self, entry: Entry) {
        let mut state = self.shared.lock();
        if state.spare.len() < QUEUED_ENTRIES_MAX {
            state.spare.push(entry.bytes);
        }
    }

    /// Files do not care.
    fn acknowledge(&mut self, _partition: u32, _position: Position) {}
}

impl Drop for FilesReader {
    fn drop(&mut self) {
        self.shared.lock().dropped = true;
        self.shared.changed.notify_one();
    }
}

/// The thread's side.
struct ReadAhead {
    shared: Arc<Shared>,
    /// A file is closed when it has been read.
    files: Vec<Option<OpenFile>>,
    wake: Wake,
}

impl ReadAhead {
    fn run(mut self) {
        let mut turn = 0;
        while let Some((index, room)) = self.next_with_room(turn) {
            turn = index + 1;
            let read = match &mut self.files[index] {
                Some(file) => file.next_entry(room),
                None => Ok(None),
            };
            self.deliver(index, read);
        }
    }

    /// The first file from `turn` on that has room, and a buffer; waits for one. `None` when all have ended or the reader is gone.
    fn next_with_room(&self, turn: usize) -> Option<(usize, Vec<u8>)> {
        let mut state = self.shared.lock();
        loop {
            if state.dropped || state.queues.iter().all(|queue| queue.end.is_some()) {
                return None;
            }
            let count = state.queues.len();
            let in_turn = (turn..turn + count).map(|index| index % count);
            if let Some(index) = in_turn.into_iter().find(|index| state.queues[*index].has_room()) {
                return Some((index, state.spare.pop().unwrap_or_default()));
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&mut self, index: usize, read: Result<Option<Entry>>) {
        let mut state = self.shared.lock();
        let queue = &mut state.queues[index];
        match read {
            Ok(Some(entry)) => queue.entries.push_back(entry),
            Ok(None) => queue.end = Some(Ok(())),
            Err(error) => queue.end = Some(Err(error)),
        }
        if queue.end.is_some() {
            self.files[index] = None;
        }
        drop(state);
        (self.wake)();
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        (self.wake)();
    }
}
