//! Between a partition's task and the slot that reads it: a few opened entries, and how it stands when there is none.
//!
//! Both sides have a part of their own, so that the one they share is locked once for many entries: [`Opened`] is the task's,
//! [`Taken`] the slot's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::budget::Budget;
use crate::dataflow::edges::{Entry, Gap, Next, Wake};
use crate::error::{Error, Result};
use crate::limits::{PULSAR_SMALL_BYTES_MAX, PULSAR_SMALL_ENTRIES_MAX, PULSAR_WORTH_WAKING, QUEUED_ENTRIES_MAX};
use crate::snapshot::Position;

/// Something handed over, with what it holds of the budget.
enum Item {
    Entry(Entry, usize),
    Gap(Gap),
}

/// How much lies in a queue.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    entries: usize,
    bytes: usize,
}

impl Level {
    /// A few large ones, or some more of small ones: a handover costs more than a message.
    fn has_room(self) -> bool {
        self.entries < QUEUED_ENTRIES_MAX
            || (self.bytes < PULSAR_SMALL_BYTES_MAX && self.entries < PULSAR_SMALL_ENTRIES_MAX)
    }

    fn is_half_empty(self) -> bool {
        self.entries <= QUEUED_ENTRIES_MAX / 2
            || (self.bytes < PULSAR_SMALL_BYTES_MAX / 2 && self.entries <= PULSAR_SMALL_ENTRIES_MAX / 2)
    }

    fn is_worth_waking(self) -> bool {
        let (entries, bytes) = PULSAR_WORTH_WAKING;
        self.entries >= entries || self.bytes >= bytes
    }
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
    fn level(&self) -> Level {
        Level { entries: self.items.len(), bytes: self.bytes }
    }
}

/// What a task has opened and not handed over yet.
#[derive(Default)]
pub(super) struct Opened {
    items: Vec<Item>,
    bytes: usize,
    /// The queue with these, had the slot taken nothing since it was last looked at.
    level: Level,
}

impl Opened {
    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn push(&mut self, item: Item, bytes: usize) {
        self.items.push(item);
        self.bytes += bytes;
        self.level.entries += 1;
        self.level.bytes += bytes;
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

    /// Whether another entry can be handed over; where not, [`Handover::room`] tells when.
    pub(super) fn has_room(&self, opened: &mut Opened) -> bool {
        if opened.level.has_room() {
            return true;
        }
        self.hand_over(opened);
        let mut state = self.lock();
        opened.level = state.level();
        state.wants_room = !opened.level.has_room();
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

    /// Hands an entry over, and what is reserved for it with it; many small ones at a time.
    pub(super) fn entry(&self, opened: &mut Opened, entry: Entry, reserved: usize) {
        opened.push(Item::Entry(entry, reserved), reserved);
        let worth = Level { entries: opened.items.len(), bytes: opened.bytes }.is_worth_waking();
        if worth {
            self.hand_over(opened);
        }
    }

    /// Says that entries are missing.
    pub(super) fn gap(&self, opened: &mut Opened, gap: Gap) {
        opened.push(Item::Gap(gap), 0);
        self.hand_over(opened);
    }

    /// Hands everything over that was opened.
    pub(super) fn hand_over(&self, opened: &mut Opened) {
        if opened.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.caught_up = false;
        state.bytes += std::mem::take(&mut opened.bytes);
        state.items.extend(opened.items.drain(..));
        opened.level = state.level();
        let tell = !state.told && opened.level.is_worth_waking();
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

    /// The slot's side: what it has not taken yet, all of it where that is little; the error or the standing where there is nothing.
    fn take(&self, taken: &mut VecDeque<Item>, held: &mut usize) -> Result<Option<Next>> {
        let mut state = self.lock();
        if state.items.is_empty() {
            state.told = false;
            return match &state.failed {
                Some(error) => Err(error.clone()),
                None if state.caught_up => Ok(Some(Next::CaughtUp)),
                None => Ok(Some(Next::Waiting)),
            };
        }
        if state.bytes <= PULSAR_SMALL_BYTES_MAX {
            std::mem::swap(&mut state.items, taken);
            *held = std::mem::take(&mut state.bytes);
        } else if let Some(item) = state.items.pop_front() {
            *held = if let Item::Entry(_, bytes) = &item { *bytes } else { 0 };
            state.bytes -= *held;
            taken.push_back(item);
        }
        let tell = state.wants_room && state.level().is_half_empty();
        state.wants_room &= !tell;
        drop(state);
        if tell {
            self.room.notify_one();
        }
        Ok(None)
    }
}

/// What the slot has taken and not read yet.
pub(super) struct Taken {
    handover: Arc<Handover>,
    items: VecDeque<Item>,
    /// Bytes of the budget that they hold, until the last is taken: a partition that is paused after it holds nothing.
    held: usize,
}

impl Taken {
    /// Of a partition.
    pub(super) fn new(handover: Arc<Handover>) -> Self {
        Taken { handover, items: VecDeque::new(), held: 0 }
    }

    /// The partition's.
    pub(super) fn handover(&self) -> &Handover {
        &self.handover
    }

    /// What there is.
    pub(super) fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(item) = self.items.pop_front() {
                if self.items.is_empty() {
                    self.give_back();
                }
                return Ok(match item {
                    Item::Entry(entry, _) => Next::Entry(entry),
                    Item::Gap(gap) => Next::Gap(gap),
                });
            }
            if let Some(standing) = self.handover.take(&mut self.items, &mut self.held)? {
                return Ok(standing);
            }
        }
    }

    fn give_back(&mut self) {
        self.handover.budget.give_back(std::mem::take(&mut self.held));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.give_back();
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

    /// Both sides of a partition.
    struct Both {
        handover: Arc<Handover>,
        opened: Opened,
        taken: Taken,
        woken: Arc<AtomicUsize>,
    }

    impl Both {
        fn new(budget: Arc<Budget>) -> Self {
            let woken = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&woken);
            let wake: Wake = Arc::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            let handover = Arc::new(Handover::new(wake, budget));
            Both { taken: Taken::new(Arc::clone(&handover)), handover, opened: Opened::default(), woken }
        }

        fn open(&mut self, number: u64, reserved: usize) {
            let entry = Entry {
                position: Position(1, number),
                next: Position(1, number + 1),
                bytes: vec![0; 10],
                framing: Framing::Payloads(Vec::new()),
                writer: Writer::Own,
                publish_time: None,
            };
            self.handover.entry(&mut self.opened, entry, reserved);
        }

        fn has_room(&mut self) -> bool {
            self.handover.has_room(&mut self.opened)
        }

        fn hand_over(&mut self) {
            self.handover.hand_over(&mut self.opened);
        }

        /// The numbers of all entries that there are.
        fn all(&mut self) -> Vec<u64> {
            let next = || match self.taken.next() {
                Ok(Next::Entry(entry)) => Some(entry.position.1),
                _ => None,
            };
            std::iter::from_fn(next).collect()
        }

        fn woken(&self) -> usize {
            self.woken.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn what_was_handed_over_comes_before_its_standing() {
        let budget = Budget::new(100);
        let mut both = Both::new(Arc::clone(&budget));
        assert!(matches!(both.taken.next(), Ok(Next::Waiting)));
        assert!(budget.take(60));
        both.open(0, 60);
        both.hand_over();
        assert!(both.handover.is_untold());
        both.handover.tell();
        assert!(!both.handover.is_untold());
        both.handover.caught_up(true);
        both.handover.fail(Error::data("no more"));
        assert!(matches!(both.taken.next(), Ok(Next::Entry(_))));
        assert!(budget.take(60), "what the last one held is given back when it is taken");
        assert!(both.taken.next().is_err());
        assert_eq!(both.woken(), 3);
    }

    #[test]
    fn what_nobody_reads_is_given_back_too() {
        let budget = Budget::new(100);
        let mut both = Both::new(Arc::clone(&budget));
        assert!(budget.take(90));
        (0..3).for_each(|number| both.open(number, 30));
        both.hand_over();
        assert!(matches!(both.taken.next(), Ok(Next::Entry(_))));
        drop(both);
        assert!(budget.take(100));
    }

    #[test]
    fn the_slot_is_woken_for_many_or_when_it_is_told_and_not_again_before_it_found_nothing() {
        let mut both = Both::new(Budget::new(usize::MAX));
        let many = PULSAR_WORTH_WAKING.0 as u64;
        (0..many - 1).for_each(|number| both.open(number, 0));
        assert_eq!(both.woken(), 0);
        both.open(many - 1, 0);
        both.open(many, PULSAR_WORTH_WAKING.1);
        both.handover.tell();
        assert_eq!(both.woken(), 1);
        assert_eq!(both.all(), (0..=many).collect::<Vec<_>>());
        both.handover.tell();
        assert_eq!(both.woken(), 1, "there is nothing to be told of");
        both.open(101, 0);
        both.hand_over();
        assert!(both.handover.is_untold());
        both.handover.tell();
        assert_eq!(both.woken(), 2);
    }

    #[test]
    fn a_new_entry_ends_being_caught_up() {
        let mut both = Both::new(Budget::new(100));
        both.handover.caught_up(true);
        assert!(matches!(both.taken.next(), Ok(Next::CaughtUp)));
        both.open(0, 0);
        both.hand_over();
        assert!(matches!(both.taken.next(), Ok(Next::Entry(_))));
        assert!(matches!(both.taken.next(), Ok(Next::Waiting)));
    }

    #[test]
    fn room_is_by_number_and_by_bytes() {
        for (most, bytes) in [(QUEUED_ENTRIES_MAX, PULSAR_SMALL_BYTES_MAX), (PULSAR_SMALL_ENTRIES_MAX, 10)] {
            let mut both = Both::new(Budget::new(usize::MAX));
            for number in 0..most as u64 {
                assert!(both.has_room(), "{number} of {most}");
                both.open(number, bytes);
            }
            assert!(!both.has_room());
            assert!(matches!(both.taken.next(), Ok(Next::Entry(_))));
            // Little is taken all at once, much one by one.
            assert!(both.has_room());
            assert_eq!(both.all().len(), most - 1);
            both.hand_over();
            assert_eq!(both.all().len(), 0);
        }
    }
}
