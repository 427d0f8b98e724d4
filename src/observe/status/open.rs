//! Which minute is the oldest that is not complete, and who holds it open.

use super::{Doing, Edges, OldestOpen, Partition, Slot};
use crate::limits::MINUTE_MS;
use crate::time::{Epoch, FIRST_EPOCH, LAST_EPOCH, Millis, utc};

/// A minute for people, `2026-01-01 00:03`.
pub fn minute(epoch: Epoch) -> String {
    utc(epoch.cast_signed().saturating_mul(MINUTE_MS))[..16].to_owned()
}

/// A commit epoch as a minute; none where it is the beginning or the end.
pub fn as_minute(epoch: Epoch) -> Option<String> {
    (epoch != FIRST_EPOCH && epoch != LAST_EPOCH).then(|| minute(epoch))
}

/// How long something takes, for people.
pub fn span(millis: Millis) -> String {
    match millis {
        ..10_000 => format!("{:.1} s", millis as f64 / 1_000.0),
        10_000..600_000 => format!("{} s", millis / 1_000),
        600_000..36_000_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

/// As far as these slots and their partitions go.
pub(super) fn oldest(
    slots: &[Slot],
    partitions: &[Partition],
    edges: &Edges,
    out_of_order: Millis,
) -> Option<OldestOpen> {
    let epoch = slots.iter().map(|slot| slot.epoch).min()?;
    if epoch == LAST_EPOCH {
        return None;
    }
    let of_slowest = |partition: &&Partition| {
        let slot = slots.iter().find(|slot| slot.slot == partition.slot);
        slot.is_some_and(|slot| slot.epoch == epoch) && matches!(partition.doing, Doing::Reading | Doing::CaughtUp)
    };
    // One without a watermark comes first: nothing moves while there is one.
    let holder = partitions.iter().filter(of_slowest).min_by_key(|partition| partition.watermark);
    let known = epoch != FIRST_EPOCH;
    let why = match holder {
        Some(partition) => held(partition, edges, out_of_order, known.then_some(epoch)),
        None => "all partitions are at their end, and the clock closes it when its time has come".to_owned(),
    };
    Some(OldestOpen {
        minute: known.then_some(epoch),
        begins: as_minute(epoch),
        held_by: holder.map(|partition| partition.partition),
        why,
    })
}

fn held(partition: &Partition, edges: &Edges, out_of_order: Millis, open: Option<Epoch>) -> String {
    let Partition { partition: number, name, .. } = partition;
    let connection = edges.connections.get(number);
    let apart =
        if connection.is_some_and(|connection| !connection.connected) { ", which is not connected," } else { "" };
    let stands = match (partition.watermark, partition.lag_ms) {
        (Some(watermark), Some(lag)) => {
            let newest = watermark + out_of_order;
            format!("is at {} UTC ({} behind the clock)", &utc(newest)[11..], span((lag - out_of_order).max(0)))
        }
        _ => "has given no event yet, so nobody knows which minutes it has events for".to_owned(),
    };
    let needs = open.filter(|_| partition.watermark.is_some()).map_or(String::new(), |open| {
        let passed = (open.cast_signed() + 1).saturating_mul(MINUTE_MS).saturating_add(out_of_order);
        format!(" and must come to {}", &utc(passed)[11..])
    });
    let quiet = match partition.doing {
        Doing::CaughtUp => "; it has been read to its end",
        _ if partition.paused => "; it is paused until the slowest has come nearer",
        _ => "",
    };
    format!("partition {number} ({name}){apart} {stands}{needs}{quiet}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Connection;
    use super::*;
    use crate::snapshot::Counters;

    fn slot(slot: usize, epoch: Epoch) -> Slot {
        Slot { slot, epoch, bytes_in_flight: 0, stopped: None }
    }

    fn partition(number: u32, slot: usize, doing: Doing, watermark: Option<Millis>) -> Partition {
        Partition {
            partition: number,
            name: format!("p{number}"),
            slot,
            doing,
            paused: false,
            watermark,
            lag_ms: watermark.map(|watermark| 1_000_000 - watermark),
            counters: Counters::default(),
            in_this_run: Counters::default(),
            idle_decisions: 0,
            gaps: 0,
        }
    }

    #[test]
    fn the_slowest_active_partition_of_the_slowest_slot_holds_it_open() {
        let slots = [slot(0, 12), slot(1, 10)];
        let partitions = [
            partition(0, 0, Doing::Reading, Some(720_000)),
            partition(1, 1, Doing::Reading, Some(650_000)),
            partition(2, 1, Doing::CaughtUp, Some(605_000)),
            partition(3, 1, Doing::Idle, Some(1_000)),
        ];
        let open = oldest(&slots, &partitions, &Edges::default(), 5_000).unwrap();
        assert_eq!((open.minute, open.held_by), (Some(10), Some(2)));
        assert_eq!(
            open.why,
            "partition 2 (p2) is at 00:10:10 UTC (390 s behind the clock) and must come to 00:11:05; it has been read to its end"
        );
    }

    #[test]
    fn one_without_an_event_comes_before_all_others() {
        let partitions = [partition(0, 0, Doing::Reading, Some(720_000)), partition(1, 0, Doing::Reading, None)];
        let apart = Connection::default();
        let edges = Edges { connections: BTreeMap::from([(1, apart)]), ..Edges::default() };
        let open = oldest(&[slot(0, FIRST_EPOCH)], &partitions, &edges, 0).unwrap();
        assert_eq!((open.minute, open.held_by), (None, Some(1)));
        assert!(
            open.why.starts_with("partition 1 (p1), which is not connected, has given no event yet"),
            "{}",
            open.why
        );
    }

    #[test]
    fn where_all_are_quiet_it_is_the_clock_and_at_the_end_nobody() {
        let partitions = [partition(0, 0, Doing::Idle, Some(720_000))];
        let open = oldest(&[slot(0, 12)], &partitions, &Edges::default(), 0).unwrap();
        assert_eq!((open.minute, open.held_by), (Some(12), None));
        assert!(open.why.contains("clock"));
        assert_eq!(oldest(&[slot(0, LAST_EPOCH)], &partitions, &Edges::default(), 0), None);
        assert_eq!(oldest(&[], &partitions, &Edges::default(), 0), None);
    }
}
