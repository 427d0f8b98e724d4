//! How much a partition may ask for: permits, and the bytes that they may bring.
//!
//! FLOW counts messages, but a broker that holds permits reads up to as many *entries*, 100 at most, and sends all that it has read; what
//! that is more than the permits is paid back by later FLOWs. So permits of `p` bring at most `min(p, p / n + 100)` entries of `n`
//! messages. With `p` up to 100 they bring `p` entries, however long the batches are: that is how few entries are asked for.
//!
//! How long entries are is only known from those that came. The first FLOW asks for one, and what more came than was thought is the
//! budget's matter ([`super::budget`]).

use crate::limits::{PULSAR_DISPATCH_ENTRIES, PULSAR_PERMITS_MAX};
use crate::snapshot::Position;

/// Entries over which a longer or larger one is remembered, as a power of two.
const MEMORY: u32 = 6;

/// What may be asked for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Permits to give.
    pub permits: u32,
    /// Entries that may come then, with those that may have come anyway.
    pub entries: u64,
    /// Bytes to have reserved for them.
    pub bytes: usize,
}

/// What one partition has asked for and what comes.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Bytes of the largest entry lately; 0 before the first.
    entry_bytes: usize,
    /// Messages of an entry lately, in 64ths.
    messages: u64,
    /// Permits given and not used; negative where a dispatch brought more.
    permits: i64,
    /// Entries that may still come.
    to_come: u64,
    /// The last entry that has ever come.
    furthest: Option<Position>,
}

impl Window {
    /// Of a partition of which nothing is known.
    pub(super) fn new() -> Self {
        Window { entry_bytes: 0, messages: 1 << MEMORY, permits: 0, to_come: 0, furthest: None }
    }

    /// A new connection: nothing is asked for, what is known of the entries stays.
    pub(super) fn begin(&mut self) {
        (self.permits, self.to_come) = (0, 0);
    }

    /// An entry has come. One that comes again makes nothing forgotten: after large ones that nobody had reserved for, small ones from
    /// the cursor on come first, and then the same large ones.
    pub(super) fn came(&mut self, position: Position, bytes: usize, messages: usize) {
        self.permits -= i64::try_from(messages).unwrap_or(i64::MAX);
        self.to_come = self.to_come.saturating_sub(1);
        let long = (messages as u64) << MEMORY;
        if self.furthest >= Some(position) {
            (self.entry_bytes, self.messages) = (self.entry_bytes.max(bytes), self.messages.min(long));
            return;
        }
        self.furthest = Some(position);
        self.entry_bytes = bytes.max(self.entry_bytes - (self.entry_bytes >> MEMORY));
        // Shorter ones count at once: the permits would bring more of them.
        self.messages = long.min(self.messages - (self.messages >> MEMORY) + (long >> MEMORY));
    }

    /// Entries that may still come.
    pub(super) fn to_come(&self) -> u64 {
        self.to_come
    }

    /// Permits given and not used.
    pub(super) fn permits(&self) -> i64 {
        self.permits
    }

    /// What to ask for so that no more than `bytes` are on the way; none while what was asked for is not half used up.
    pub(super) fn ask(&self, bytes: usize) -> Option<Ask> {
        let target = self.target(bytes);
        if self.permits > target / 2 {
            return None;
        }
        let entries = self.worst(target).max(self.to_come);
        let permits = u32::try_from(target - self.permits).unwrap_or(u32::MAX);
        let bytes = usize::try_from(entries).unwrap_or(usize::MAX).saturating_mul(self.entry_bytes);
        Some(Ask { permits, entries, bytes })
    }

    /// The least that may be asked for: the broker then sends one entry.
    pub(super) fn ask_one(&self) -> Option<Ask> {
        (self.permits <= 0).then(|| Ask {
            permits: u32::try_from(1 - self.permits).unwrap_or(u32::MAX),
            entries: self.to_come.max(1),
            bytes: self.entry_bytes,
        })
    }

    /// It has been asked for.
    pub(super) fn asked(&mut self, ask: Ask) {
        self.permits += i64::from(ask.permits);
        self.to_come = ask.entries;
    }

    /// Messages of an entry, rounded down.
    fn per_entry(&self) -> i64 {
        i64::try_from(self.messages >> MEMORY).unwrap_or(i64::MAX).max(1)
    }

    /// The most entries that so many permits bring.
    fn worst(&self, permits: i64) -> u64 {
        let dispatched = permits / self.per_entry() + PULSAR_DISPATCH_ENTRIES;
        u64::try_from(permits.min(dispatched)).unwrap_or(0)
    }

    /// The most permits that bring no more than `bytes`, one at least.
    fn target(&self, bytes: usize) -> i64 {
        if self.entry_bytes == 0 {
            return 1;
        }
        let entries = i64::try_from(bytes / self.entry_bytes).unwrap_or(i64::MAX);
        let batches = entries.saturating_sub(PULSAR_DISPATCH_ENTRIES).saturating_mul(self.per_entry());
        entries.max(batches).clamp(1, PULSAR_PERMITS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// An entry: messages and bytes.
    type Item = (usize, usize);

    /// The broker's side: its permits, and what is on the way.
    struct Broker {
        permits: i64,
        on_the_way: VecDeque<Item>,
    }

    impl Broker {
        fn dispatch(&mut self, entries: &mut dyn Iterator<Item = Item>) {
            while self.permits > 0 {
                let count = self.permits.min(PULSAR_DISPATCH_ENTRIES);
                let read: Vec<Item> = entries.take(usize::try_from(count).unwrap()).collect();
                if read.is_empty() {
                    return;
                }
                self.permits -= i64::try_from(read.iter().map(|(messages, _)| messages).sum::<usize>()).unwrap();
                self.on_the_way.extend(read);
            }
        }
    }

    /// Reads a topic of these entries as a partition's task does; says what was on the way at most after each dispatch.
    fn read(
        entries: &[Item],
        room: usize,
        taken: &[usize],
        mut on_the_way: impl FnMut(&Window, &VecDeque<Item>),
    ) -> Result<(), TestCaseError> {
        let mut window = Window::new();
        let mut broker = Broker { permits: 0, on_the_way: VecDeque::new() };
        let (mut left, mut entry) = (entries.iter().copied(), 0);
        for turn in 0.. {
            if left.len() == 0 && broker.on_the_way.is_empty() {
                break;
            }
            prop_assert!(turn < 20_000, "it stands still");
            if let Some(ask) = window.ask(room) {
                window.asked(ask);
                broker.permits += i64::from(ask.permits);
            }
            broker.dispatch(&mut left);
            on_the_way(&window, &broker.on_the_way);
            for _ in 0..taken[turn % taken.len()] {
                if let Some((messages, bytes)) = broker.on_the_way.pop_front() {
                    entry += 1;
                    window.came(Position(1, entry), bytes, messages);
                }
            }
        }
        prop_assert_eq!(window.permits(), broker.permits, "both count the same");
        Ok(())
    }

    /// Stretches of entries alike.
    fn stretches() -> impl Strategy<Value = Vec<(Item, usize)>> {
        let item = (prop_oneof![Just(1), 1..20_usize, 1..2_000_usize], prop_oneof![1..500_usize, 1..100_000_usize]);
        prop::collection::vec((item, 1..400_usize), 1..8)
    }

    proptest! {
        /// With entries alike, never more are on the way than was said, all come, and it never stands still.
        #[test]
        fn what_comes_was_reserved(
            item in (1..2_000_usize, 1..100_000_usize),
            room in 1..(20_usize << 20),
            taken in prop::collection::vec(1..50_usize, 1..30),
        ) {
            let mut exceeded = false;
            read(&vec![item; 3_000], room, &taken, |window, on_the_way| {
                exceeded |= on_the_way.len() as u64 > window.to_come();
            })?;
            prop_assert!(!exceeded);
        }

        /// Where lengths and sizes change, all come and it never stands still. More than was reserved may be on the way then, at most the
        /// permits that the smallest and longest entries justified, one entry each, and a dispatch.
        #[test]
        fn what_comes_as_entries_change_is_bounded(
            stretches in stretches(),
            room in 1..(20_usize << 20),
            taken in prop::collection::vec(1..50_usize, 1..30),
        ) {
            let entries: Vec<Item> = stretches.iter().flat_map(|(item, times)| vec![*item; *times]).collect();
            let mut most = 0;
            read(&entries, room, &taken, |_, on_the_way| most = most.max(on_the_way.len()))?;
            let smallest = entries.iter().map(|(_, bytes)| *bytes).min().unwrap();
            let longest = entries.iter().map(|(messages, _)| *messages).max().unwrap();
            let [dispatch, permits] = [PULSAR_DISPATCH_ENTRIES, PULSAR_PERMITS_MAX].map(|n| usize::try_from(n).unwrap());
            let justified = (room / smallest).max((room / smallest).saturating_sub(dispatch) * longest);
            let bound = justified.clamp(1, permits) + dispatch;
            prop_assert!(most <= bound, "{} entries are on the way, {} at most can have been asked for", most, bound);
        }
    }

    #[test]
    fn the_first_asks_for_one_entry() {
        let mut window = Window::new();
        let ask = window.ask(1 << 20).unwrap();
        assert_eq!((ask.permits, ask.entries), (1, 1));
        window.asked(ask);
        assert_eq!(window.ask(1 << 20), None);
        window.came(Position(1, 0), 100_000, 1_000);
        // Paid back, and ten more entries.
        let ask = window.ask(1 << 20).unwrap();
        assert_eq!((i64::from(ask.permits) + window.permits(), ask.bytes), (10, 1_000_000));
    }

    #[test]
    fn one_can_be_asked_for_when_nothing_is_on_the_way() {
        let mut window = Window::new();
        window.asked(window.ask_one().unwrap());
        assert_eq!(window.ask_one(), None);
        window.came(Position(1, 0), 10, 50);
        assert_eq!(window.ask_one().unwrap().permits, 50);
    }

    #[test]
    fn what_comes_again_makes_nothing_forgotten() {
        let mut window = Window::new();
        for _ in 0..3 {
            window.begin();
            (0..200).for_each(|entry| window.came(Position(1, entry), 100, 10));
            window.came(Position(1, 200), 50_000, 10);
        }
        (0..200).for_each(|entry| window.came(Position(1, entry), 100, 10));
        assert_eq!(window.entry_bytes, 50_000);
        (201..600).for_each(|entry| window.came(Position(1, entry), 100, 10));
        assert!(window.entry_bytes < 500, "{}", window.entry_bytes);
    }
}
