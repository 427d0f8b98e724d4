//! Between a partition's task and the slot that reads it: a few opened entries, and how it stands when there is none.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::budget::Budget;
use crate::dataflow::edges::{Entry, Gap, Next, Wake};
use crate::error::{Error, Result};
use crate::limits::{
    PULSAR_SMALL_BYTES_MAX, PULSAR_SMALL_ENTRIES_MAX, PULSAR_SPARE_BYTES_MAX, PULSAR_WORTH_WAKING, QUEUED_ENTRIES_MAX,
};
use crate::snapshot::Position;

/// Buffers of entries that were read, for the next ones of any partition of a slot.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<(Vec<Vec<u8>>, usize)>);

impl Spare {
    fn lock(&self) -> MutexGuard<'_, (Vec<Vec<u8>>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a buffer, unless there are enough.
    pub(super) fn keep(&self, bytes: Vec<u8>) {
        let mut spare = self.lock();
        if bytes.capacity() > 0 && spare.1 + bytes.capacity() <= PULSAR_SPARE_BYTES_MAX {
            spare.1 += bytes.capacity();
            spare.0.push(bytes);
        }
    }

    /// A buffer for so many bytes: one that was kept, unless it is far too large, for an entry is counted by its length.
    pub(super) fn take(&self, bytes: usize) -> Vec<u8> {
        let mut spare = self.lock();
        let Some(found) = spare.0.pop() else { return Vec::new() };
        spare.1 -= found.capacity();
        if found.capacity() > bytes.saturating_mul(2).max(PULSAR_SMALL_BYTES_MAX / PULSAR_SMALL_ENTRIES_MAX) {
            return Vec::new();
        }
        found
    }
}

/// Something handed over, with what it holds of the budget.
enum Item {
    Entry(Entry, usize),
    Gap(Gap),
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// The broker says that nothing follows what was handed over.
    caught_up: bool,
    /// The slot knows that there is something: it was woken, and has not found nothing since.
    told: bool,
    /// The task waits for room.
    wants_room: bool,
    failed: Option<Error>,
    /// Everything before this is covered by a manifest.
    covered: Option<Position>,
}

impl State {
    /// A few large ones, or some more of small ones: a handover costs more than a message.
    fn has_room(&self) -> bool {
        self.items.len() < QUEUED_ENTRIES_MAX
            || (self.bytes < PULSAR_SMALL_BYTES_MAX && self.items.len() < PULSAR_SMALL_ENTRIES_MAX)
    }

    fn is_worth_waking(&self) -> bool {
        let (entries, bytes) = PULSAR_WORTH_WAKING;
        self.items.len() >= entries || self.bytes >= bytes
    }

    fn is_half_empty(&self) -> bool {
        self.items.len() <= QUEUED_ENTRIES_MAX / 2
            || (self.bytes < PULSAR_SMALL_BYTES_MAX / 2 && self.items.len() <= PULSAR_SMALL_ENTRIES_MAX / 2)
    }
}

/// One partition's.
pub(super) struct Handover {
    state: Mutex<State>,
    room: Notify,
    wake: Wake,
    budget: Arc<Budget>,
}

impl Handover {
    /// An empty one.
    pub(super) fn new(wake: Wake, budget: Arc<Budget>) -> Self {
        Handover { state: Mutex::default(), room: Notify::new(), wake, budget }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an entry can be handed over; where not, [`Handover::room`] tells when.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.lock();
        state.wants_room = !state.has_room();
        !state.wants_room
    }

    /// Whether the slot has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// When there is room again, after it was looked for in vain.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }

    /// Hands an entry over, and what is reserved for it with it.
    pub(super) fn entry(&self, entry: Entry, reserved: usize) {
        self.push(Item::Entry(entry, reserved), reserved);
    }

    /// Says that entries are missing.
    pub(super) fn gap(&self, gap: Gap) {
        self.push(Item::Gap(gap), 0);
    }

    fn push(&self, item: Item, bytes: usize) {
        let mut state = self.lock();
        state.caught_up = false;
        state.bytes += bytes;
        state.items.push_back(item);
        let tell = !state.told && state.is_worth_waking();
        state.told |= tell;
        drop(state);
        if tell {
            (self.wake)();
        }
    }

    /// Whether there is something that the slot does not know of: the task must tell it soon.
    pub(super) fn is_untold(&self) -> bool {
        let state = self.lock();
        !state.told && !state.items.is_empty()
    }

    /// Wakes the slot for what it does not know of.
    pub(super) fn tell(&self) {
        let mut state = self.lock();
        let tell = !state.told && !state.items.is_empty();
        state.told |= tell;
        drop(state);
        if tell {
            (self.wake)();
        }
    }

    /// Says whether the broker has no more.
    pub(super) fn caught_up(&self, is: bool) {
        let mut state = self.lock();
        let was = std::mem::replace(&mut state.caught_up, is);
        drop(state);
        if was != is {
            (self.wake)();
        }
    }

    /// Ends the partition, after what was handed over.
    pub(super) fn fail(&self, error: Error) {
        self.lock().failed = Some(error);
        (self.wake)();
    }

    /// Up to where a manifest covers it.
    pub(super) fn covered(&self) -> Option<Position> {
        self.lock().covered
    }

    /// The slot's side: a manifest covers everything before this.
    pub(super) fn cover(&self, position: Position) {
        let mut state = self.lock();
        state.covered = state.covered.max(Some(position));
    }

    /// The slot's side: what there is.
    pub(super) fn next(&self) -> Result<Next> {
        let mut state = self.lock();
        let Some(item) = state.items.pop_front() else {
            state.told = false;
            return match &state.failed {
                Some(error) => Err(error.clone()),
                None if state.caught_up => Ok(Next::CaughtUp),
                None => Ok(Next::Waiting),
            };
        };
        let bytes = if let Item::Entry(_, bytes) = &item { *bytes } else { 0 };
        state.bytes -= bytes;
        let tell = state.wants_room && state.is_half_empty();
        state.wants_room &= !tell;
        drop(state);
        self.budget.give_back(bytes);
        if tell {
            self.room.notify_one();
        }
        Ok(match item {
            Item::Entry(entry, _) => Next::Entry(entry),
            Item::Gap(gap) => Next::Gap(gap),
        })
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.budget.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::dataflow::edges::{Framing, Writer};

    fn entry(number: u64) -> Entry {
        Entry {
            position: Position(1, number),
            next: Position(1, number + 1),
            bytes: vec![0; 10],
            framing: Framing::Payloads(Vec::new()),
            writer: Writer::Own,
            publish_time: None,
        }
    }

    #[test]
    fn what_was_handed_over_comes_before_its_standing() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let wake: Wake = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let budget = Budget::new(100);
        let handover = Handover::new(wake, Arc::clone(&budget));
        assert!(matches!(handover.next(), Ok(Next::Waiting)));
        assert!(budget.take(60));
        handover.entry(entry(0), 60);
        assert!(handover.is_untold());
        handover.tell();
        assert!(!handover.is_untold());
        handover.caught_up(true);
        handover.fail(Error::data("no more"));
        assert!(!budget.take(60));
        assert!(matches!(handover.next(), Ok(Next::Entry(_))));
        assert!(budget.take(60), "what an entry held is given back when it is taken");
        assert!(handover.next().is_err());
        assert_eq!(woken.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_slot_is_woken_for_many_or_when_it_is_told_and_not_again_before_it_found_nothing() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let wake: Wake = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let handover = Handover::new(wake, Budget::new(usize::MAX));
        (0..PULSAR_WORTH_WAKING.0 as u64 - 1).for_each(|number| handover.entry(entry(number), 0));
        assert_eq!(woken.load(Ordering::Relaxed), 0);
        handover.entry(entry(99), 0);
        handover.entry(entry(100), PULSAR_WORTH_WAKING.1);
        handover.tell();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        while matches!(handover.next(), Ok(Next::Entry(_))) {}
        handover.tell();
        assert_eq!(woken.load(Ordering::Relaxed), 1, "there is nothing to be told of");
        handover.entry(entry(101), 0);
        assert!(handover.is_untold());
        handover.tell();
        assert_eq!(woken.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_new_entry_ends_being_caught_up() {
        let handover = Handover::new(Arc::new(|| {}), Budget::new(100));
        handover.caught_up(true);
        assert!(matches!(handover.next(), Ok(Next::CaughtUp)));
        handover.entry(entry(0), 0);
        assert!(matches!(handover.next(), Ok(Next::Entry(_))));
        assert!(matches!(handover.next(), Ok(Next::Waiting)));
    }

    #[test]
    fn room_is_by_number_and_by_bytes() {
        let handover = Handover::new(Arc::new(|| {}), Budget::new(usize::MAX));
        for number in 0..QUEUED_ENTRIES_MAX as u64 {
            assert!(handover.has_room());
            handover.entry(entry(number), PULSAR_SMALL_BYTES_MAX);
        }
        assert!(!handover.has_room());
        while matches!(handover.next(), Ok(Next::Entry(_))) {}
        for number in 0..PULSAR_SMALL_ENTRIES_MAX as u64 {
            assert!(handover.has_room());
            handover.entry(entry(number), 10);
        }
        assert!(!handover.has_room());
    }

    #[test]
    fn buffers_that_are_far_too_large_are_not_used_for_small_entries() {
        let spare = Spare::default();
        spare.keep(Vec::with_capacity(PULSAR_SPARE_BYTES_MAX + 1));
        assert_eq!(spare.take(1_000).capacity(), 0);
        spare.keep(Vec::with_capacity(1 << 20));
        assert!(spare.take(900_000).capacity() >= 1 << 20);
        spare.keep(Vec::with_capacity(1 << 20));
        assert_eq!(spare.take(1_000).capacity(), 0);
    }
}
