//! The epoch of one slot, from what became of its partitions.

use std::collections::BTreeMap;

use super::watermark::minute_before;
use super::{Epoch, LAST_EPOCH, Millis, Minute};
use crate::limits::MINUTE_MS;
use crate::mutation::mutated;

/// Whether a partition still has a say in the epoch of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It is being read, or nobody knows whether there is more: an unreachable broker is not idleness.
    Active,
    /// It has been read to its end; since when.
    CaughtUpSince(Millis),
    /// It has been quiet at its end for so long that it no longer holds the epoch back.
    Idle,
    /// Nothing will ever come.
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Partition {
    minute: Option<Minute>,
    activity: Activity,
}

/// Where a partition stands when a slot begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStart {
    /// Its number.
    pub partition: u32,
    /// `M_p` as the cut has it; `None` where no event of it has been read.
    pub minute: Option<Minute>,
    /// Whether it has been read to an end after which nothing comes.
    pub ended: bool,
}

/// A slot's epoch `E`: the smallest `M_p` of its active partitions. It never goes back.
///
/// Calls about a partition that the slot does not own change nothing.
///
/// ```text
///   some active partition without a watermark   E stays
///   active partitions                           E = min M_p
///   none active, some idle                      E = minute of (now - out_of_order)
///   all ended, or no partition at all           E = LAST_EPOCH
/// ```
#[derive(Clone, Debug)]
pub struct SlotEpoch {
    epoch: Epoch,
    out_of_order: Millis,
    idle_after: Millis,
    partitions: BTreeMap<u32, Partition>,
}

impl SlotEpoch {
    /// A slot that begins at `start`: [`super::FIRST_EPOCH`] for a new pipeline, else the epoch after the newest commit,
    /// whose minutes are closed whatever the cut says of an idle partition.
    pub fn new(
        start: Epoch,
        out_of_order: Millis,
        idle_after: Millis,
        partitions: impl IntoIterator<Item = PartitionStart>,
    ) -> Self {
        let partitions = partitions.into_iter().map(|p| {
            let activity = if p.ended { Activity::Ended } else { Activity::Active };
            (p.partition, Partition { minute: p.minute, activity })
        });
        let partitions = partitions.collect();
        let mut slot = SlotEpoch { epoch: start, out_of_order, idle_after, partitions };
        slot.advance(None);
        slot
    }

    /// The epoch that stamps whatever the slot sends now.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// An event of `partition` is late when its minute is below this. `M_p` of an active partition is never below the
    /// epoch, so that lateness is a matter of the partition's own log; only one that was idle, or that the newest commit
    /// passed while it was, is measured by the epoch.
    pub fn floor(&self, partition: u32) -> Minute {
        self.minute(partition).unwrap_or(0).max(self.epoch)
    }

    /// `M_p`; `None` while it is unknown.
    pub(super) fn minute(&self, partition: u32) -> Option<Minute> {
        self.partitions.get(&partition).and_then(|p| p.minute)
    }

    /// Whether a partition has a say in the epoch.
    pub fn activity(&self, partition: u32) -> Option<Activity> {
        self.partitions.get(&partition).map(|p| p.activity)
    }

    /// The partition has an entry, which is about to be read: it is active again.
    fn wake(&mut self, partition: u32) {
        self.set_activity(partition, Activity::Active);
    }

    /// A whole entry has been read; `minute` is [`super::Watermark::minute`] after it.
    pub fn entry_read(&mut self, partition: u32, minute: Option<Minute>) {
        self.wake(partition);
        if let Some(p) = self.partitions.get_mut(&partition)
            && p.minute < minute
        {
            p.minute = minute;
            self.advance(None);
        }
    }

    /// The source cannot tell whether there is more: the partition is not at its end (any more), so it is active.
    pub fn waiting(&mut self, partition: u32) {
        self.set_activity(partition, Activity::Active);
    }

    /// The source says that the partition has been read to its end. The first time counts, until an entry comes.
    pub fn caught_up(&mut self, partition: u32, now: Millis) {
        if self.partitions.get(&partition).is_some_and(|p| p.activity == Activity::Active) {
            self.set_activity(partition, Activity::CaughtUpSince(now));
        }
    }

    /// Nothing will ever come from the partition.
    pub fn ended(&mut self, partition: u32) {
        self.set_activity(partition, Activity::Ended);
    }

    /// Lets the wall clock decide who is idle, and move the epoch when all are. Returns the partitions that became idle: each is a decision
    /// of the wall clock, the one impurity of the output.
    pub fn tick(&mut self, now: Millis) -> Vec<u32> {
        let mut newly_idle = Vec::new();
        for (&number, partition) in &mut self.partitions {
            if let Activity::CaughtUpSince(since) = partition.activity
                && now.saturating_sub(since) >= self.idle_after
            {
                partition.activity = Activity::Idle;
                newly_idle.push(number);
            }
        }
        self.advance(Some(now));
        newly_idle
    }

    /// When [`SlotEpoch::tick`] has something to decide, as far as is known; `None` while the clock has no say.
    pub fn next_deadline(&self, now: Millis) -> Option<Millis> {
        let mut quiet = None;
        let mut idle = false;
        let mut active = false;
        for partition in self.partitions.values() {
            match partition.activity {
                Activity::Active => active = true,
                Activity::CaughtUpSince(since) => {
                    let at = since.saturating_add(self.idle_after);
                    quiet = Some(quiet.map_or(at, |earliest: Millis| earliest.min(at)));
                }
                Activity::Idle => idle = true,
                Activity::Ended => {}
            }
        }
        if quiet.is_some() || active || !idle {
            return quiet;
        }
        let minute = minute_before(now, self.out_of_order).max(self.epoch) + 1;
        Some(minute.cast_signed().saturating_mul(MINUTE_MS).saturating_add(self.out_of_order))
    }

    /// Ended is for ever; everything else may follow everything else.
    fn set_activity(&mut self, partition: u32, activity: Activity) {
        if let Some(p) = self.partitions.get_mut(&partition)
            && p.activity != Activity::Ended
            && p.activity != activity
        {
            p.activity = activity;
            self.advance(None);
        }
    }

    /// Applies the table above. Without a clock, the idle rule waits for the next tick.
    fn advance(&mut self, now: Option<Millis>) {
        let mut slowest = LAST_EPOCH;
        let mut idle = false;
        let mut active = false;
        for partition in self.partitions.values() {
            match (partition.activity, partition.minute) {
                (Activity::Ended, _) => {}
                (Activity::Idle, _) => idle = true,
                (_, None) => return,
                (_, Some(minute)) => {
                    let fastest = active && mutated!(EpochOfFastest);
                    slowest = if fastest { slowest.max(minute) } else { slowest.min(minute) };
                    active = true;
                }
            }
        }
        if idle && !active {
            let Some(now) = now else { return };
            slowest = minute_before(now, self.out_of_order);
        }
        self.epoch = self.epoch.max(slowest);
    }
}

#[cfg(test)]
mod tests;
