//! Keeps partitions abreast: one that runs too far ahead of the slowest is paused, so that a day of backlog in one of them
//! costs no memory.

use super::{Epoch, Minute};
use crate::limits::MINUTES_AHEAD_MAX;

/// What one slot knows of the slowest active partition of all slots.
///
/// The frontier of the slots' epochs says where it is, but only once every partition of every slot has a watermark (or is
/// idle, or has ended): until then the frontier stands at the epoch the run began with. Meanwhile the smallest of the *first*
/// watermarks of the slot's own partitions stands in for it. It does not move on with them on purpose: a slot that waited
/// half a minute for one empty partition to be declared idle could read hours of the others in that time.
#[derive(Clone, Copy, Debug)]
pub struct Abreast {
    start: Epoch,
    first_known: Option<Minute>,
}

impl Abreast {
    /// A slot that begins at epoch `start`, with the `M_p` that the cut knows.
    pub fn new(start: Epoch, known: impl IntoIterator<Item = Minute>) -> Self {
        Abreast { start, first_known: known.into_iter().min() }
    }

    /// A partition's watermark has become known: its first.
    pub fn known(&mut self, minute: Minute) {
        self.first_known = Some(self.first_known.map_or(minute, |least| least.min(minute)));
    }

    /// The minute that counts as the slowest one's while the slots' frontier stands at `frontier` (`None`: all have ended).
    pub fn slowest(&self, frontier: Option<Epoch>) -> Option<Minute> {
        match frontier {
            Some(frontier) if frontier <= self.start => self.first_known.map(|minute| minute.max(self.start)),
            frontier => frontier,
        }
    }

    /// Whether a partition at `minute` may be read now. One without a watermark always may, and so may the slowest: the
    /// frontier comes to stand at its minute, or past it. So there is always one to read, and nothing can deadlock.
    pub fn may_read(&self, minute: Option<Minute>, frontier: Option<Epoch>) -> bool {
        match (minute, self.slowest(frontier)) {
            (Some(minute), Some(slowest)) => minute <= slowest.saturating_add(MINUTES_AHEAD_MAX),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{FIRST_EPOCH, PartitionStart, SlotEpoch};

    #[test]
    fn the_frontier_is_the_slowest() {
        let abreast = Abreast::new(FIRST_EPOCH, [900, 1_000]);
        assert!(abreast.may_read(Some(500 + MINUTES_AHEAD_MAX), Some(500)));
        assert!(!abreast.may_read(Some(501 + MINUTES_AHEAD_MAX), Some(500)));
        assert!(abreast.may_read(Some(500), Some(500)));
        assert!(abreast.may_read(Some(3), Some(500)), "a partition that woke up behind the frontier");
    }

    #[test]
    fn a_partition_without_a_watermark_may_always_be_read() {
        let mut abreast = Abreast::new(FIRST_EPOCH, []);
        assert!(abreast.may_read(None, Some(FIRST_EPOCH)));
        abreast.known(700);
        assert!(abreast.may_read(None, Some(FIRST_EPOCH)));
        assert!(abreast.may_read(None, Some(5)));
    }

    #[test]
    fn an_unknown_partition_does_not_let_the_others_run_away() {
        let mut abreast = Abreast::new(FIRST_EPOCH, []);
        abreast.known(700);
        assert!(abreast.may_read(Some(700 + MINUTES_AHEAD_MAX), Some(FIRST_EPOCH)));
        assert!(!abreast.may_read(Some(701 + MINUTES_AHEAD_MAX), Some(FIRST_EPOCH)));
        abreast.known(650);
        assert!(!abreast.may_read(Some(700), Some(FIRST_EPOCH)), "the slower one is read first");
        assert!(abreast.may_read(Some(650), Some(FIRST_EPOCH)));
    }

    #[test]
    fn a_resumed_slot_begins_no_lower_than_its_start() {
        let abreast = Abreast::new(100, [10, 5_000]);
        assert_eq!(abreast.slowest(Some(100)), Some(100), "the one at minute 10 was idle when 99 was committed");
        assert!(abreast.may_read(Some(116), Some(100)) && !abreast.may_read(Some(117), Some(100)));
    }

    #[test]
    fn nothing_is_paused_when_all_have_ended() {
        assert!(Abreast::new(FIRST_EPOCH, [1]).may_read(Some(9_999), None));
    }

    /// Slots read whatever they may, at random, until all is read: nothing is stuck on the way, and no partition is ever read on
    /// while it is further ahead of the slowest than allowed.
    fn read_all(logs: &[Vec<Minute>], slots: usize, turns: &[usize]) {
        let owned = |slot: usize| (0..logs.len()).filter(move |p| p % slots == slot);
        let start = |p: usize| PartitionStart { partition: p as u32, minute: None, ended: false };
        let mut epochs: Vec<SlotEpoch> =
            (0..slots).map(|slot| SlotEpoch::new(FIRST_EPOCH, 0, 0, owned(slot).map(start))).collect();
        let mut abreast = vec![Abreast::new(FIRST_EPOCH, []); slots];
        let mut read = vec![0; logs.len()];
        for turn in turns.iter().copied().cycle() {
            let frontier = epochs.iter().map(SlotEpoch::epoch).min();
            let readable: Vec<usize> = (0..logs.len())
                .filter(|&p| read[p] <= logs[p].len())
                .filter(|&p| abreast[p % slots].may_read(epochs[p % slots].minute(p as u32), frontier))
                .collect();
            let Some(&p) = readable.get(turn % readable.len().max(1)) else { break };
            let (slot, number) = (p % slots, p as u32);
            let Some(&minute) = logs[p].get(read[p]) else {
                read[p] += 1;
                epochs[slot].ended(number);
                continue;
            };
            let before = epochs[slot].minute(number);
            if frontier > Some(FIRST_EPOCH) {
                let ahead = before.unwrap_or(0).saturating_sub(frontier.unwrap_or(0));
                assert!(ahead <= MINUTES_AHEAD_MAX, "{before:?} at {frontier:?}");
            }
            read[p] += 1;
            epochs[slot].entry_read(number, before.max(Some(minute)));
            if before.is_none() {
                abreast[slot].known(minute);
            }
        }
        assert!(read.iter().zip(logs).all(|(read, log)| *read == log.len() + 1), "stuck at {read:?} of {logs:?}");
    }

    proptest! {
        #[test]
        fn trap_6_skew_pauses_the_fast_and_never_all(
            logs in prop::collection::vec(prop::collection::vec(1..200_u64, 0..20), 1..7),
            slots in 1..4_usize,
            turns in prop::collection::vec(0..7_usize, 1..30),
        ) {
            read_all(&logs, slots, &turns);
        }
    }
}
