//! The bytes that a process may hold of entries which it has asked for and not yet read.
//!
//! Before a partition asks for entries it reserves the bytes that they may take ([`super::window`]); an entry that has come keeps its part
//! until it is opened, then its decompressed bytes are reserved instead, and given back when the slot takes them. What nobody reserved
//! is not held: where entries are longer than was thought and the budget has no more, the connection is dropped and begun again with
//! a smaller window.
//!
//! Two things go beyond it, so that no partition ever waits for another: one that has nothing in hand may ask for one entry, and open
//! one. So what is held is at most the budget, and per partition one entry as it comes, the frame that it lies in, and one entry opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::limits::PULSAR_CUSHION_BYTES;

/// The bytes of one process.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    used: AtomicUsize,
    /// Somebody gave back.
    freed: Notify,
}

impl Budget {
    /// Of so many bytes.
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Budget { total, used: AtomicUsize::new(0), freed: Notify::new() })
    }

    /// Reserves, if there is room.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.total)
        });
        taken.is_ok()
    }

    /// Reserves, room or not: for one entry of a partition that has none.
    pub(super) fn take_anyway(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what was reserved.
    pub(super) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            self.freed.notify_waiters();
        }
    }

    /// When somebody gives back.
    pub(super) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }
}

/// What one partition has reserved for entries on the way and for those that came and are not opened. Given back when dropped.
///
/// Entries may be many and small, and the budget is everyone's: what is given back stays loose for the next one, until
/// [`Reserved::settle`].
#[derive(Debug)]
pub(super) struct Reserved {
    budget: Arc<Budget>,
    on_the_way: usize,
    waiting: usize,
    loose: usize,
}

impl Reserved {
    /// Nothing yet.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Reserved { budget, on_the_way: 0, waiting: 0, loose: 0 }
    }

    /// Bytes of entries that came and wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes in all.
    pub(super) fn held(&self) -> usize {
        self.on_the_way + self.waiting
    }

    /// Takes of what is loose, or else of the budget, if there is room.
    fn get(&mut self, bytes: usize) -> bool {
        if let Some(rest) = self.loose.checked_sub(bytes) {
            self.loose = rest;
            return true;
        }
        let more = bytes - self.loose;
        if self.budget.take(more + PULSAR_CUSHION_BYTES) {
            self.loose = PULSAR_CUSHION_BYTES;
            return true;
        }
        let taken = self.budget.take(more);
        self.loose = if taken { 0 } else { self.loose };
        taken
    }

    /// Gives back what is loose.
    pub(super) fn settle(&mut self) {
        self.budget.give_back(std::mem::take(&mut self.loose));
    }

    /// Reserves for an entry that is opened, if there is room. Who takes the entry gives it back.
    pub(super) fn open(&mut self, bytes: usize) -> bool {
        self.get(bytes)
    }

    /// The same for one entry, room or not.
    pub(super) fn open_anyway(&mut self, bytes: usize) {
        self.budget.take_anyway(bytes);
    }

    /// The entry was not opened after all.
    pub(super) fn close(&mut self, bytes: usize) {
        self.loose += bytes;
    }

    /// Raises what is reserved for the way to so many bytes, if there is room.
    pub(super) fn expect(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.on_the_way);
        if !self.get(more) {
            return false;
        }
        self.on_the_way += more;
        true
    }

    /// The same for one entry of a partition that has none, room or not.
    pub(super) fn expect_anyway(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.on_the_way);
        self.budget.take_anyway(more);
        self.on_the_way += more;
    }

    /// An entry has come, and so many may still: its bytes wait from here on. False where they are more than anybody reserved.
    pub(super) fn came(&mut self, bytes: usize, to_come: u64) -> bool {
        let parts = usize::try_from(to_come.saturating_add(1)).unwrap_or(usize::MAX);
        let part = self.on_the_way / parts;
        let more = bytes.saturating_sub(part);
        if more > 0 && !self.get(more) {
            // What is left for the others is taken first: they must reserve anew when they come.
            if self.on_the_way >= bytes {
                self.on_the_way -= bytes;
                self.waiting += bytes;
                return true;
            }
            if to_come > 0 || self.waiting > 0 {
                return false;
            }
            self.budget.take_anyway(more);
        }
        self.on_the_way -= part;
        self.loose += part.saturating_sub(bytes);
        self.waiting += bytes;
        true
    }

    /// An entry that waited is opened or dropped.
    pub(super) fn done(&mut self, bytes: usize) {
        self.waiting = self.waiting.saturating_sub(bytes);
        self.loose += bytes;
    }

    /// Nothing is on the way any more, and nothing waits.
    pub(super) fn clear(&mut self) {
        self.budget.give_back(self.on_the_way + self.waiting + self.loose);
        (self.on_the_way, self.waiting, self.loose) = (0, 0, 0);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn used(budget: &Budget) -> usize {
        budget.used.load(Ordering::Relaxed)
    }

    proptest! {
        /// What is used is always what the partitions hold, within the budget but for one entry each, and nothing is left at the end.
        #[test]
        fn the_sums_agree(steps in prop::collection::vec((0..3_usize, 0..6_u8, 1..400_usize), 1..200)) {
            let budget = Budget::new(1_000);
            let mut all: Vec<Reserved> = (0..3).map(|_| Reserved::new(Arc::clone(&budget))).collect();
            let mut waiting = vec![Vec::new(); 3];
            for (who, what, bytes) in steps {
                match what {
                    0 => { all[who].expect(bytes); }
                    1 if all[who].held() == 0 => all[who].expect_anyway(bytes),
                    2 | 3 if all[who].came(bytes, u64::from(what) - 2) => waiting[who].push(bytes),
                    4 => if let Some(bytes) = waiting[who].pop() { all[who].done(bytes); },
                    5 if all[who].open(bytes) => budget.give_back(bytes),
                    _ => {}
                }
                let loose: usize = all.iter().map(|one| one.loose).sum();
                prop_assert_eq!(used(&budget), loose + all.iter().map(Reserved::held).sum::<usize>());
                all.iter_mut().for_each(Reserved::settle);
                let held: usize = all.iter().map(Reserved::held).sum();
                prop_assert_eq!(used(&budget), held);
                prop_assert_eq!(all[who].waiting(), waiting[who].iter().sum::<usize>());
                prop_assert!(held <= 1_000 + 3 * 2 * 400, "{}", held);
            }
            drop(all);
            prop_assert_eq!(used(&budget), 0);
        }
    }

    #[test]
    fn more_than_was_reserved_is_refused() {
        let budget = Budget::new(1_000);
        let mut one = Reserved::new(Arc::clone(&budget));
        assert!(one.expect(900));
        assert!(one.came(50, 8), "a part of what is reserved");
        assert!(!one.came(2_000, 7), "nobody reserved that");
        one.clear();
        one.expect_anyway(2_000);
        assert!(one.came(3_000, 0), "one entry always");
        assert_eq!(used(&budget), 3_000);
    }
}
