//! A status as metrics. Times are in seconds, sizes in bytes; counters begin at 0 with each run.

use super::exposition::{Kind, Text};
use crate::dataflow::edges::{Stopped, What};
use crate::limits::MINUTE_MS;
use crate::observe::health::ready;
use crate::observe::status::{Connection, Doing, Partition, Run, Status, Working};
use crate::snapshot::Position;
use crate::time::{Epoch, FIRST_EPOCH, LAST_EPOCH, Millis};

/// What a partition counts or shows, taken out of it; none where it is not known.
type Of<T> = fn(&T) -> Option<f64>;

/// The whole text.
pub(super) fn metrics(status: &Status) -> String {
    let mut text = Text::default();
    process(status, &mut text);
    edges(status, &mut text);
    if let Some(run) = &status.run {
        commits(run, status.now, &mut text);
        slots(run, &mut text);
        partitions(run, &mut text);
        connections(status, run, &mut text);
    }
    text.finish()
}

fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1_000.0
}

/// The end of a minute as seconds since 1970; none of the beginning and the end of all.
fn end_of(epoch: Epoch) -> Option<Millis> {
    (epoch != FIRST_EPOCH && epoch != LAST_EPOCH).then(|| (epoch.cast_signed() + 1) * MINUTE_MS)
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn process(status: &Status, text: &mut Text) {
    let about = &status.about;
    let process = about.process.to_string();
    let labels = [("version", &*about.version), ("pipeline", &*about.pipeline), ("process", &*process)];
    text.family("build_info", Kind::Gauge, "Always 1; its labels say what runs.").sample(&labels, 1.0);
    text.family("ready", Kind::Gauge, "1 when the process does its work, as /readyz says.")
        .sample(&[], flag(ready(status).is_ok()));
    text.family("uptime_seconds", Kind::Gauge, "Time since the process started.")
        .sample(&[], seconds(status.now - about.started_at));
    if let Some(bytes) = status.memory_bytes {
        text.family("memory_resident_bytes", Kind::Gauge, "Resident memory.").sample(&[], bytes as f64);
    }
    if let Some(millis) = status.cpu_ms {
        text.family("cpu_seconds_total", Kind::Counter, "Processor time used by all threads.")
            .sample(&[], millis as f64 / 1_000.0);
    }
}

fn edges(status: &Status, text: &mut Text) {
    let (sink, store) = (&status.edges.sink, &status.edges.store);
    for (name, help, value) in [
        ("sink_retries_total", "Tries at the sink that followed one that failed.", sink.retries),
        ("sink_ambiguous_total", "Inserts whose answer was lost.", sink.ambiguous),
        ("sink_healed_total", "Blocks that were stored again because they were not there.", sink.healed),
        ("sink_removed_rows_total", "Rows of earlier attempts that were removed.", sink.removed),
        ("store_retries_total", "Tries at the store of the state that failed and were begun again.", store.retries),
    ] {
        text.family(name, Kind::Counter, help).sample(&[], value as f64);
    }
    for (name, help, failing) in [
        ("sink_failing", "1 while the sink is tried again.", sink.trouble.is_some()),
        ("store_failing", "1 while the store of the state is tried again.", store.trouble.is_some()),
    ] {
        text.family(name, Kind::Gauge, help).sample(&[], flag(failing));
    }
}

fn commits(run: &Run, now: Millis, text: &mut Text) {
    for (name, help, value) in [
        ("events_read_total", "Events read by this process.", run.events_read),
        ("commits_total", "Commits made by this process.", run.commits),
        ("rows_total", "Rows of the commits made.", run.rows.rows),
        ("overflows_total", "Sums in those rows that did not fit their column.", run.rows.overflows),
    ] {
        text.family(name, Kind::Counter, help).sample(&[], value as f64);
    }
    let newest = &run.newest;
    for (name, help, value) in [
        ("state_bytes", "Bytes of the state at the newest commit.", newest.state_bytes as f64),
        ("state_parts", "Parts of the state at the newest commit.", newest.parts as f64),
        ("attempt", "The number of this run in the life of the pipeline.", run.attempt as f64),
        ("manifest_age_seconds", "Time since the newest manifest was written.", seconds(now - newest.written_at)),
    ] {
        text.family(name, Kind::Gauge, help).sample(&[], value);
    }
    if let Some(end) = newest.epoch.and_then(end_of) {
        text.family("commit_epoch_seconds", Kind::Gauge, "End of the newest minute that is committed, since 1970.")
            .sample(&[], seconds(end));
        text.family("commit_lag_seconds", Kind::Gauge, "How far the end of the newest committed minute is behind.")
            .sample(&[], seconds(now - end));
    }
    for (name, help, times) in [
        ("flush_seconds", "Time to write a slot's rows and rejects of a commit.", &run.flush),
        ("store_seconds", "Time to store a slot's part of a commit.", &run.store),
        ("commit_seconds", "Time to commit once all rows and parts were there.", &run.commit),
    ] {
        text.family(name, Kind::Histogram, help).times(times);
    }
}

fn slots(run: &Run, text: &mut Text) {
    let mut family = text.family("in_flight_bytes", Kind::Gauge, "Bytes sent by a slot and not folded.");
    for slot in &run.slots {
        family.sample(&[("slot", &slot.slot.to_string())], slot.bytes_in_flight as f64);
    }
    let mut family =
        text.family("epoch_seconds", Kind::Gauge, "End of the newest minute complete in a slot, since 1970.");
    for slot in &run.slots {
        if let Some(end) = slot.epoch.checked_sub(1).and_then(end_of).filter(|_| slot.epoch != LAST_EPOCH) {
            family.sample(&[("slot", &slot.slot.to_string())], seconds(end));
        }
    }
    let mut family = text.family("slot_stopped", Kind::Gauge, "1 while a slot reads nothing, by why.");
    for slot in &run.slots {
        for (why, stopped) in [("commits", Stopped::Commits), ("credits", Stopped::Credits)] {
            family.sample(&[("slot", &slot.slot.to_string()), ("why", why)], flag(slot.stopped == Some(stopped)));
        }
    }
    let mut family = text.family("working_seconds", Kind::Gauge, "For how long a slot's work is not acknowledged.");
    for work in run.working.iter().filter(|work| !run.working.iter().any(|other| is_older(other, work))) {
        let what = match work.what {
            What::Flush => "flush",
            What::Store => "store",
        };
        family.sample(&[("slot", &work.slot.to_string()), ("what", what)], seconds(work.for_ms));
    }
}

/// Whether the same slot has the same work for an older commit.
fn is_older(other: &Working, work: &Working) -> bool {
    (other.slot, other.what) == (work.slot, work.what) && other.commit < work.commit
}

fn partitions(run: &Run, text: &mut Text) {
    // What another process reads is told by that one.
    let own: Vec<&Partition> = run.partitions.iter().filter(|one| one.doing != Doing::Unknown).collect();
    let gauges: [(&str, &str, Of<Partition>); 5] = [
        ("watermark_seconds", "Watermark of a partition, since 1970.", |p| p.watermark.map(seconds)),
        ("watermark_lag_seconds", "How far the watermark of a partition is behind.", |p| p.lag_ms.map(seconds)),
        ("partition_idle", "1 while a partition is idle and holds no minute open.", |p| {
            Some(flag(p.doing == Doing::Idle))
        }),
        ("partition_paused", "1 while a partition is paused for it is too far ahead.", |p| Some(flag(p.paused))),
        ("partition_ended", "1 when nothing more will come from a partition.", |p| Some(flag(p.doing == Doing::Ended))),
    ];
    for (name, help, of) in gauges {
        each(text, name, Kind::Gauge, help, &own, of);
    }
    let counters: [(&str, &str, Of<Partition>); 3] = [
        ("partition_events_read_total", "Events read of a partition.", |p| Some(p.in_this_run.read as f64)),
        ("partition_events_folded_total", "Events of a partition that are in a row or will be.", |p| {
            Some(p.in_this_run.folded as f64)
        }),
        ("gaps_total", "Gaps of a partition that the operator agreed to, in the pipeline's life.", |p| {
            Some(p.gaps as f64)
        }),
    ];
    for (name, help, of) in counters {
        each(text, name, Kind::Counter, help, &own, of);
    }
    let mut family =
        text.family("events_rejected_total", Kind::Counter, "Events of a partition kept aside, by reason.");
    for one in &own {
        let counters = &one.in_this_run;
        let by_reason =
            [("malformed", counters.malformed), ("late", counters.late), ("too_far_ahead", counters.too_far_ahead)];
        for (reason, count) in by_reason {
            family.sample(&[("partition", &one.name), ("reason", reason)], count as f64);
        }
    }
}

fn each(text: &mut Text, name: &str, kind: Kind, help: &str, partitions: &[&Partition], of: Of<Partition>) {
    let mut family = text.family(name, kind, help);
    for partition in partitions {
        if let Some(value) = of(partition) {
            family.sample(&[("partition", &partition.name)], value);
        }
    }
}

fn connections(status: &Status, run: &Run, text: &mut Text) {
    let named: Vec<(&str, &Connection)> = run
        .partitions
        .iter()
        .filter_map(|partition| Some((&*partition.name, status.edges.connections.get(&partition.partition)?)))
        .collect();
    let families: [(&str, Kind, &str, Of<Connection>); 7] = [
        ("connected", Kind::Gauge, "1 while a partition is subscribed.", |c| Some(flag(c.connected))),
        ("held_bytes", Kind::Gauge, "Bytes held of a partition, on the way and waiting.", |c| {
            Some(c.bytes_held as f64)
        }),
        ("messages_received_total", Kind::Counter, "Messages of a partition received.", |c| Some(c.messages as f64)),
        ("received_bytes_total", Kind::Counter, "Bytes of a partition received.", |c| Some(c.bytes as f64)),
        ("entries_received_total", Kind::Counter, "Entries of a partition received, repeats among them.", |c| {
            Some(c.entries as f64)
        }),
        ("entries_repeated_total", Kind::Counter, "Entries of a partition that came again.", |c| {
            Some(c.repeats as f64)
        }),
        ("permits", Kind::Gauge, "Permits given to the broker for a partition and not used.", |c| {
            Some(c.permits as f64)
        }),
    ];
    for (name, kind, help, of) in families {
        let mut family = text.family(name, kind, help);
        for (partition, connection) in &named {
            if let Some(value) = of(connection) {
                family.sample(&[("partition", partition)], value);
            }
        }
    }
    positions(&named, text);
    let mut family = text.family("reconnects_total", Kind::Counter, "Connections of a partition that ended, by cause.");
    for (partition, connection) in &named {
        for (cause, count) in &connection.reconnects {
            family.sample(&[("partition", partition), ("cause", cause)], *count as f64);
        }
    }
}

/// One of the two numbers of a position.
type Part = fn(Position) -> u64;

/// A position has two numbers, so it is told as two families.
fn positions(named: &[(&str, &Connection)], text: &mut Text) {
    let parts: [(&str, &str, Part); 2] = [
        ("position_ledger", "Ledger of an entry of a partition: next to be read, last known, acknowledged.", |at| at.0),
        ("position_entry", "Number of that entry in its ledger.", |at| at.1),
    ];
    for (name, help, part) in parts {
        let mut family = text.family(name, Kind::Gauge, help);
        for (partition, connection) in named {
            let which =
                [("next", connection.next), ("last", connection.last), ("acknowledged", connection.acknowledged)];
            for (of, position) in which {
                if let Some(position) = position {
                    family.sample(&[("partition", partition), ("of", of)], part(position) as f64);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::PartitionCut;

    #[test]
    fn a_connection_is_told_with_its_permits_and_positions() {
        let cut = PartitionCut::beginning(3, "p3", "");
        let partition = Partition {
            partition: 3,
            name: cut.name,
            slot: 0,
            doing: Doing::Reading,
            paused: false,
            watermark: None,
            lag_ms: None,
            counters: cut.counters,
            in_this_run: cut.counters,
            idle_decisions: 0,
            gaps: 0,
        };
        let connection = Connection {
            entries: 6,
            repeats: 1,
            permits: -4,
            next: Some(Position(9, 5)),
            acknowledged: Some(Position(8, 2)),
            ..Connection::default()
        };
        let run = Run { partitions: vec![partition], ..Run::default() };
        let mut status = Status { run: Some(run), ..Status::default() };
        status.edges.connections.insert(3, connection);
        let text = metrics(&status);
        for line in [
            "minuet_permits{partition=\"p3\"} -4",
            "minuet_entries_received_total{partition=\"p3\"} 6",
            "minuet_entries_repeated_total{partition=\"p3\"} 1",
            "minuet_position_ledger{partition=\"p3\",of=\"next\"} 9",
            "minuet_position_entry{partition=\"p3\",of=\"next\"} 5",
            "minuet_position_ledger{partition=\"p3\",of=\"acknowledged\"} 8",
            "minuet_position_entry{partition=\"p3\",of=\"acknowledged\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("of=\"last\""), "the broker has named none");
    }
}
