//! Entries that were read, to be filled again: their room for bytes and messages stays with them.
//!
//! A slot gives them back and the tasks of its partitions take them, some at a time: what threads share costs more than an entry
//! of one message does otherwise.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dataflow::edges::{Entry, Framing, Writer};
use crate::event::Span;
use crate::limits::{PULSAR_SMALL_BYTES_MAX, PULSAR_SMALL_ENTRIES_MAX, PULSAR_SPARE_AT_ONCE, PULSAR_SPARE_BYTES_MAX};
use crate::snapshot::Position;

/// Those of one slot.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Entry>,
    bytes: usize,
}

impl Spare {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps entries, as far as there are not enough.
    fn keep(&self, entries: &mut Vec<Entry>) {
        let mut kept = self.lock();
        for entry in entries.drain(..) {
            let bytes = room_of(&entry);
            if kept.bytes + bytes <= PULSAR_SPARE_BYTES_MAX {
                kept.bytes += bytes;
                kept.entries.push(entry);
            }
        }
    }

    /// Takes some, if there are any.
    fn take(&self, into: &mut Vec<Entry>) {
        let (entries, bytes) = PULSAR_SPARE_AT_ONCE;
        let mut kept = self.lock();
        let mut taken = 0;
        while into.len() < entries && taken < bytes {
            let Some(entry) = kept.entries.pop() else { return };
            let room = room_of(&entry);
            kept.bytes -= room;
            taken += room;
            into.push(entry);
        }
    }
}

fn room_of(entry: &Entry) -> usize {
    let spans = if let Framing::Payloads(spans) = &entry.framing { spans.capacity() } else { 0 };
    entry.bytes.capacity() + spans * size_of::<Span>()
}

/// The slot's end.
pub(super) struct Emptied {
    spare: Arc<Spare>,
    entries: Vec<Entry>,
    bytes: usize,
}

impl Emptied {
    /// Of one slot.
    pub(super) fn new(spare: Arc<Spare>) -> Self {
        Emptied { spare, entries: Vec::new(), bytes: 0 }
    }

    /// Gives one back, with the others that were kept for this, when there are enough.
    pub(super) fn put(&mut self, entry: Entry) {
        let (entries, bytes) = PULSAR_SPARE_AT_ONCE;
        self.bytes += room_of(&entry);
        self.entries.push(entry);
        if self.entries.len() >= entries || self.bytes >= bytes {
            self.bytes = 0;
            self.spare.keep(&mut self.entries);
        }
    }
}

/// A task's end.
pub(super) struct Blank {
    spare: Arc<Spare>,
    entries: Vec<Entry>,
}

impl Blank {
    /// Of one partition.
    pub(super) fn new(spare: Arc<Spare>) -> Self {
        Blank { spare, entries: Vec::new() }
    }

    /// One for so many bytes. It holds what it held before. A room that is far too large is not used, for an entry is counted by its
    /// length.
    pub(super) fn take(&mut self, bytes: usize) -> Entry {
        if self.entries.is_empty() {
            self.spare.take(&mut self.entries);
        }
        match self.entries.pop() {
            Some(found) if found.bytes.capacity() <= bytes.saturating_mul(2).max(SMALL) => found,
            _ => Entry {
                position: Position(0, 0),
                next: Position(0, 0),
                bytes: Vec::new(),
                framing: Framing::Payloads(Vec::new()),
                writer: Writer::Own,
                publish_time: None,
            },
        }
    }

    /// Takes one back that was not used.
    pub(super) fn put(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
}

/// A room of this size is never too large.
const SMALL: usize = PULSAR_SMALL_BYTES_MAX / PULSAR_SMALL_ENTRIES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Entry {
        let mut entry = Blank::new(Arc::default()).take(0);
        entry.bytes = Vec::with_capacity(bytes);
        entry
    }

    /// What a task gets after a slot has given back entries with so much room.
    fn after(rooms: &[usize], wanted: usize) -> usize {
        let spare = Arc::new(Spare::default());
        let mut emptied = Emptied::new(Arc::clone(&spare));
        rooms.iter().for_each(|room| emptied.put(of(*room)));
        Blank::new(spare).take(wanted).bytes.capacity()
    }

    #[test]
    fn rooms_come_back_unless_they_are_far_too_large() {
        assert_eq!(after(&[PULSAR_SPARE_BYTES_MAX + 1], 1_000), 0, "more than is kept");
        assert!(after(&[1 << 20], 900_000) >= 1 << 20);
        assert_eq!(after(&[1 << 20], 1_000), 0);
    }

    #[test]
    fn small_ones_come_back_many_at_a_time() {
        let (at_once, _) = PULSAR_SPARE_AT_ONCE;
        assert_eq!(after(&vec![100; at_once - 1], 100), 0);
        assert_eq!(after(&vec![100; at_once], 100), 100);
    }
}
