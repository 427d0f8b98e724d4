use proptest::prelude::*;

use super::*;
use crate::time::{FIRST_EPOCH, Watermark, minute_of};

const OUT_OF_ORDER: Millis = 90_000;
const IDLE_AFTER: Millis = 30_000;
const START: Epoch = 5;

fn slot(minutes: &[Option<Minute>]) -> SlotEpoch {
    let partitions =
        minutes.iter().zip(0..).map(|(&minute, partition)| PartitionStart { partition, minute, ended: false });
    SlotEpoch::new(START, OUT_OF_ORDER, IDLE_AFTER, partitions)
}

#[test]
fn stands_at_the_start_until_every_watermark_is_known() {
    let mut slot = slot(&[None, None]);
    slot.entry_read(0, Some(100));
    assert_eq!(slot.epoch(), START);
    slot.entry_read(1, None);
    assert_eq!(slot.epoch(), START, "an entry of malformed events gives no watermark");
    slot.entry_read(1, Some(90));
    assert_eq!(slot.epoch(), 90);
}

#[test]
fn resumes_where_the_cut_was() {
    assert_eq!(slot(&[Some(20), Some(30)]).epoch(), 20);
    let behind = slot(&[Some(2), Some(30)]);
    assert_eq!((behind.epoch(), behind.floor(0), behind.floor(1)), (START, START, 30));
}

#[test]
fn trap_3_a_slot_without_partitions_holds_nothing_back() {
    assert_eq!(slot(&[]).epoch(), LAST_EPOCH);
    assert_eq!(slot(&[]).next_deadline(0), None);
}

#[test]
fn trap_4_lateness_is_per_partition() {
    let mut slot = slot(&[None, None]);
    slot.entry_read(0, Some(100));
    slot.entry_read(1, Some(40));
    assert_eq!(slot.epoch(), 40, "the slot goes by the slowest");
    assert_eq!((slot.floor(0), slot.floor(1)), (100, 40), "each partition by itself");
}

#[test]
fn an_ended_partition_no_longer_holds_the_epoch_back() {
    let mut slot = slot(&[Some(10), Some(20), None]);
    slot.ended(2);
    assert_eq!(slot.epoch(), 10);
    slot.ended(0);
    assert_eq!(slot.epoch(), 20);
    slot.ended(1);
    assert_eq!((slot.epoch(), slot.next_deadline(0)), (LAST_EPOCH, None));
    slot.wake(1);
    slot.caught_up(1, 0);
    assert!(slot.tick(Millis::MAX).is_empty(), "ended is for ever");
}

#[test]
fn a_slot_that_resumes_with_all_ended_is_at_the_end() {
    let ended = PartitionStart { partition: 0, minute: None, ended: true };
    assert_eq!(SlotEpoch::new(FIRST_EPOCH, 0, 0, [ended]).epoch(), LAST_EPOCH);
}

#[test]
fn a_quiet_partition_becomes_idle_once_and_is_counted() {
    let mut slot = slot(&[Some(10), Some(20)]);
    slot.caught_up(0, 1_000);
    slot.caught_up(0, 20_000);
    assert_eq!(slot.next_deadline(20_000), Some(31_000), "since it said so first");
    assert!(slot.tick(30_999).is_empty());
    assert_eq!(slot.epoch(), 10, "quiet is not idle");
    assert_eq!(slot.tick(31_000), [0]);
    assert_eq!(slot.epoch(), 20);
    slot.caught_up(0, 40_000);
    assert!(slot.tick(Millis::MAX).is_empty());
    assert_eq!(slot.next_deadline(40_000), None, "an active partition leaves the clock no say");
}

#[test]
fn an_unreachable_broker_is_not_idleness() {
    let mut slot = slot(&[Some(10), Some(20)]);
    slot.caught_up(0, 0);
    slot.waiting(0);
    assert!(slot.tick(IDLE_AFTER).is_empty());
    slot.caught_up(0, IDLE_AFTER);
    assert_eq!(slot.next_deadline(IDLE_AFTER), Some(2 * IDLE_AFTER), "the quiet begins anew");
}

#[test]
fn all_idle_follows_the_clock_and_not_past_it() {
    let mut slot = slot(&[Some(10), None]);
    slot.caught_up(0, 0);
    slot.caught_up(1, 0);
    let now = 70 * MINUTE_MS + OUT_OF_ORDER;
    assert_eq!(slot.tick(now), [0, 1]);
    assert_eq!(slot.epoch(), 70);
    assert_eq!(slot.next_deadline(now), Some(now + MINUTE_MS));
    slot.tick(now + MINUTE_MS - 1);
    assert_eq!(slot.epoch(), 70);
    slot.tick(now + MINUTE_MS);
    assert_eq!(slot.epoch(), 71);
    slot.tick(0);
    assert_eq!(slot.epoch(), 71, "a clock that is set back moves nothing");
    assert_eq!(slot.next_deadline(0), Some(72 * MINUTE_MS + OUT_OF_ORDER));
}

#[test]
fn ended_and_idle_together_go_by_the_clock() {
    let mut slot = slot(&[Some(10), Some(20)]);
    slot.ended(0);
    slot.caught_up(1, 0);
    slot.tick(33 * MINUTE_MS + OUT_OF_ORDER);
    assert_eq!(slot.epoch(), 33);
}

#[test]
fn an_idle_partition_that_wakes_up_behind_is_measured_by_the_epoch() {
    let mut slot = slot(&[Some(10), Some(20)]);
    slot.caught_up(0, 0);
    slot.tick(IDLE_AFTER);
    assert_eq!((slot.epoch(), slot.floor(0)), (20, 20));
    slot.wake(0);
    slot.entry_read(0, Some(12));
    slot.entry_read(1, Some(30));
    assert_eq!((slot.epoch(), slot.floor(0)), (20, 20), "it holds the epoch back again, which never goes back");
    slot.entry_read(0, Some(25));
    assert_eq!((slot.epoch(), slot.floor(0)), (25, 25));
}

#[test]
fn partitions_of_other_slots_change_nothing() {
    let mut slot = slot(&[Some(10)]);
    slot.entry_read(7, Some(99));
    slot.caught_up(7, 0);
    slot.ended(7);
    assert_eq!((slot.epoch(), slot.minute(7), slot.floor(7)), (10, None, 10));
}

/// What may happen to a slot, and when.
#[derive(Clone, Debug)]
enum Happening {
    Entry(u32, Option<Millis>),
    CaughtUp(u32),
    Waiting(u32),
    Ended(u32),
    Tick,
}

/// The oracle keeps nothing but the list of all happenings and works everything out of it each time it is asked.
struct Oracle {
    partitions: u32,
    happened: Vec<(Millis, Happening)>,
}

impl Oracle {
    fn minute(&self, p: u32, until: usize) -> Option<Minute> {
        let times = self.happened[..until].iter().filter_map(|(_, happening)| match happening {
            Happening::Entry(of, time) if *of == p => *time,
            _ => None,
        });
        times.max().map(|time| minute_of(time - OUT_OF_ORDER).unwrap_or(0))
    }

    fn ended(&self, p: u32, until: usize) -> bool {
        self.happened[..until].iter().any(|(_, happening)| matches!(happening, Happening::Ended(of) if *of == p))
    }

    /// Idle: a tick came `IDLE_AFTER` past the first word of being caught up after the last sign of life.
    fn idle(&self, p: u32, until: usize) -> bool {
        let of_p = |happening: &Happening| match happening {
            Happening::Entry(of, _) | Happening::Waiting(of) => *of == p,
            _ => false,
        };
        let alive = self.happened[..until].iter().rposition(|(_, happening)| of_p(happening)).map_or(0, |at| at + 1);
        let quiet = &self.happened[alive..until];
        let Some(first) = quiet.iter().position(|(_, h)| matches!(h, Happening::CaughtUp(of) if *of == p)) else {
            return false;
        };
        let since = quiet[first].0;
        quiet[first..].iter().any(|(at, h)| matches!(h, Happening::Tick) && at - since >= IDLE_AFTER)
    }

    /// The epoch that the table in [`SlotEpoch`] gives right after the first `until` happenings; `None` where it stays.
    fn target(&self, until: usize) -> Option<Epoch> {
        let going: Vec<u32> = (0..self.partitions).filter(|&p| !self.ended(p, until)).collect();
        if going.is_empty() {
            return Some(LAST_EPOCH);
        }
        let active: Vec<u32> = going.into_iter().filter(|&p| !self.idle(p, until)).collect();
        if active.is_empty() {
            return match self.happened[..until].last() {
                Some((now, Happening::Tick)) => Some(minute_of(now - OUT_OF_ORDER).unwrap_or(0)),
                _ => None,
            };
        }
        let minutes: Option<Vec<Minute>> = active.into_iter().map(|p| self.minute(p, until)).collect();
        minutes.and_then(|minutes| minutes.into_iter().min())
    }

    fn epoch(&self) -> Epoch {
        (0..=self.happened.len()).filter_map(|until| self.target(until)).fold(START, Epoch::max)
    }
}

fn happening(partitions: u32) -> impl Strategy<Value = Happening> {
    let time = prop::option::weighted(0.9, 0..2_000_000_i64);
    prop_oneof![
        6 => (0..partitions, time).prop_map(|(p, time)| Happening::Entry(p, time)),
        4 => (0..partitions).prop_map(Happening::CaughtUp),
        1 => (0..partitions).prop_map(Happening::Waiting),
        1 => (0..partitions).prop_map(Happening::Ended),
        4 => Just(Happening::Tick),
    ]
}

fn history() -> impl Strategy<Value = (u32, Vec<(Millis, Happening)>)> {
    (1..4_u32).prop_flat_map(|partitions| {
        let step = (prop_oneof![0..2_000_i64, Just(IDLE_AFTER), 0..200_000_i64], happening(partitions));
        prop::collection::vec(step, 0..40).prop_map(move |steps| {
            let mut now = 0;
            let at = steps.into_iter().map(|(after, happening)| {
                now += after;
                (now, happening)
            });
            (partitions, at.collect())
        })
    })
}

proptest! {
    #[test]
    fn agrees_with_the_oracle((partitions, steps) in history()) {
        let mut slot = slot(&vec![None; partitions as usize]);
        let mut watermarks = vec![Watermark::new(OUT_OF_ORDER, None); partitions as usize];
        let mut oracle = Oracle { partitions, happened: Vec::new() };
        for (now, happening) in steps {
            let before = slot.epoch();
            match happening {
                Happening::Entry(p, _) | Happening::CaughtUp(p) | Happening::Waiting(p)
                    if oracle.ended(p, oracle.happened.len()) => continue,
                Happening::Entry(p, time) => {
                    slot.wake(p);
                    let asleep = oracle.idle(p, oracle.happened.len());
                    prop_assert!(asleep || slot.floor(p) >= slot.minute(p).unwrap_or(0));
                    watermarks[p as usize].observe_entry(time);
                    slot.entry_read(p, watermarks[p as usize].minute());
                }
                Happening::CaughtUp(p) => slot.caught_up(p, now),
                Happening::Waiting(p) => slot.waiting(p),
                Happening::Ended(p) => slot.ended(p),
                Happening::Tick => {
                    for p in slot.tick(now) {
                        prop_assert!(!oracle.idle(p, oracle.happened.len()), "{} was idle already", p);
                        oracle.happened.push((now, Happening::Tick));
                        prop_assert!(oracle.idle(p, oracle.happened.len()), "{} is not idle", p);
                        oracle.happened.pop();
                    }
                }
            }
            oracle.happened.push((now, happening));
            prop_assert_eq!(slot.epoch(), oracle.epoch());
            prop_assert!(slot.epoch() >= before, "the epoch never goes back");
        }
    }

    /// Without idleness, who reads which partitions, and in which order, changes neither what is late nor that the epoch
    /// stays behind every watermark.
    #[test]
    fn trap_4_lateness_depends_on_the_partitions_own_log_only(
        logs in prop::collection::vec(prop::collection::vec(400_000..4_000_000_i64, 1..20), 1..5),
        turns in prop::collection::vec(0..5_usize, 100),
        slots in 1..4_usize,
    ) {
        let alone = |log: &[Millis]| -> Vec<Minute> {
            let before = (0..log.len()).map(|read| log[..read].iter().max());
            before.map(|time| time.map_or(START, |t| minute_of(t - OUT_OF_ORDER).unwrap_or(0).max(START))).collect()
        };
        let mut readers: Vec<SlotEpoch> = (0..slots).map(|slot| {
            let owned = (0..logs.len()).filter(|p| p % slots == slot);
            let starts = owned.map(|p| PartitionStart { partition: p as u32, minute: None, ended: false });
            SlotEpoch::new(START, OUT_OF_ORDER, IDLE_AFTER, starts)
        }).collect();
        let mut floors = vec![Vec::new(); logs.len()];
        let mut watermarks = vec![Watermark::new(OUT_OF_ORDER, None); logs.len()];
        let rest = (0..logs.len()).flat_map(|p| std::iter::repeat_n(p, logs[p].len()));
        for p in turns.into_iter().filter(|p| *p < logs.len()).chain(rest) {
            let Some(&time) = logs[p].get(floors[p].len()) else { continue };
            let slot = &mut readers[p % slots];
            let number = p as u32;
            floors[p].push(slot.floor(number));
            watermarks[p].observe_entry(Some(time));
            slot.entry_read(number, watermarks[p].minute());
            for (owned, watermark) in watermarks.iter().enumerate().filter(|(owned, _)| owned % slots == p % slots) {
                prop_assert!(watermark.minute().is_none_or(|m| slot.epoch() <= m.max(START)), "partition {}", owned);
            }
        }
        for (log, floors) in logs.iter().zip(&floors) {
            prop_assert_eq!(&alone(log), floors);
        }
    }
}
