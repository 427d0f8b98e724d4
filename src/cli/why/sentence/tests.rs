use super::*;
use crate::dataflow::edges::{CommitStep, MinuteLine, Stopped};
use crate::observe::status::{About, Committing, Doing, Newest, OldestOpen, Partition, Slot};
use crate::snapshot::OpenMinute;

/// 12:00 on 2026-01-01.
const NOON: Minute = 29_454_480;

/// A job of one slot whose newest commit is 12:00, and whose oldest open minute is this one.
fn job(open: Minute) -> Status {
    let about = About { processes: 1, workers: 2, key_groups: 256, lanes: 4, ..About::default() };
    let why = "partition 3 (p3) is at 12:02:50 UTC (75 s behind the clock) and must come to 12:03:05".to_owned();
    let newest = Newest {
        epoch: Some(NOON),
        next: vec![NOON + 1, NOON + 2],
        written_at: (NOON + 1).cast_signed() * MINUTE_MS + 10_000,
        open: Some(vec![
            OpenMinute { minute: NOON + 2, lane: 0, events: 40 },
            OpenMinute { minute: NOON + 2, lane: 1, events: 2 },
        ]),
        ..Newest::default()
    };
    let run = Run {
        newest,
        committing: Some(Committing {
            epoch: Some(NOON + 1),
            step: CommitStep::Gathering,
            for_ms: 10,
            slowest: Some(open),
        }),
        slots: vec![Slot { slot: 0, epoch: open, bytes_in_flight: 0, stopped: None }],
        oldest_open: Some(OldestOpen { minute: Some(open), begins: Some(utc_minute(open)), held_by: Some(3), why }),
        ..Run::default()
    };
    let now = (NOON + 4).cast_signed() * MINUTE_MS + 5_000;
    Status { about, now, stage: Stage::Running, run: Some(run), ..Status::default() }
}

fn ledger() -> Vec<CommitLedger> {
    let line = |lane, events, rows| MinuteLine { minute: NOON, lane, events, rows, ..MinuteLine::default() };
    vec![CommitLedger {
        commit: NOON,
        after: Some(NOON - 2),
        sequence: 4,
        written_at: (NOON + 1).cast_signed() * MINUTE_MS + 10_000,
        partitions: Vec::new(),
        minutes: vec![line(0, 100, 7), line(2, 1, 1)],
    }]
}

fn why(status: &Status, minute: Minute, lane: Option<u32>) -> String {
    of_minute(status, &ledger(), Some(minute), lane)
}

#[test]
fn an_open_minute_is_explained_by_the_partition_that_holds_it() {
    assert_eq!(
        why(&job(NOON + 2), NOON + 2, None),
        "minute 2026-01-01 12:02 UTC is not complete (42 events were in it at the newest commit): partition 3 (p3) is at 12:02:50 UTC \
         (75 s behind the clock) and must come to 12:03:05; the oldest open minute is 12:02"
    );
    let mut stopped = job(NOON + 2);
    stopped.run.as_mut().unwrap().slots[0].stopped = Some(Stopped::Commits);
    stopped.edges.sink.trouble = Some("it is down".into());
    assert!(why(&stopped, NOON + 3, None).ends_with(
        "slot 0 reads nothing until more is committed: the next commit is up to minute 12:01; the sink is tried again: it is down"
    ));
    let oldest = of_minute(&job(NOON + 2), &[], None, None);
    assert!(
        oldest.starts_with("the oldest minute that is not complete is 2026-01-01 12:02 UTC: partition 3"),
        "{oldest}"
    );
}

#[test]
fn a_complete_minute_waits_for_its_commit() {
    let mut status = job(NOON + 3);
    assert_eq!(
        why(&status, NOON + 1, None),
        "minute 2026-01-01 12:01 UTC is complete and waits for its commit: the next commit is up to minute 12:01; all workers must get \
         as far as that"
    );
    status.edges.store.trouble = Some("no answer".into());
    assert!(why(&status, NOON + 1, None).ends_with("the store of the state is tried again: no answer"));
    status.about.processes = 2;
    assert!(why(&status, NOON + 1, None).contains("is complete as far as process 0 of 2 knows"));
    status.about.process = 1;
    status.run.as_mut().unwrap().committing = None;
    let other = why(&status, NOON + 1, None);
    assert!(other.ends_with(
        "no partition of this process holds it open; ask process 0 whether it is committed: process 1 does not know"
    ));
}

#[test]
fn a_committed_minute_is_told_with_its_rows() {
    let status = job(NOON + 2);
    assert_eq!(
        why(&status, NOON, None),
        "minute 2026-01-01 12:00 UTC was committed at 2026-01-01 12:01:10 UTC, 175 s ago, with commit 29454480: 8 rows of 101 events in \
         it; events for it that come now are late (no event was rejected in this run)"
    );
    assert!(why(&status, NOON, Some(2)).contains(": 1 row of lane 2 of 1 event in it;"));
    assert!(why(&status, NOON, Some(1)).contains(": no event of lane 1 was in it, so it has no row;"));
    assert!(why(&status, NOON - 1, None).contains("with commit 29454480: no event was in it"));
    assert!(why(&status, NOON - 2, None).contains("was closed before what this run remembers"));
}

#[test]
fn what_cannot_be_known_is_said() {
    assert!(
        why(&job(NOON + 2), NOON + 9, None).ends_with("is in the future: at the job it is 2026-01-01 12:04:05 UTC")
    );
    let mut status = job(NOON + 2);
    status.run.as_mut().unwrap().slots.clear();
    status.run.as_mut().unwrap().oldest_open = None;
    assert!(why(&status, NOON + 2, None).contains("it is not known whether it is complete"));
    let opening = Status::default();
    assert_eq!(why(&opening, NOON, None), "nothing is read yet: the job opens its source");
}

#[test]
fn a_source_has_its_place_and_no_known_partition() {
    let said = of_source(&job(NOON), "sensor_1");
    assert!(said.starts_with(
        "source \"sensor_1\" is in key group 229, folded by slot 1 (process 0), and in lane 2, written by slot 0 (process 0); which"
    ));
    assert!(said.ends_with("is of all sources of lane 2; no event was rejected in this run"), "{said}");
    assert_eq!(lane_of(&job(NOON), "sensor_1"), 2);
}

#[test]
fn what_is_in_no_row_is_told_by_reason() {
    let mut status = job(NOON + 2);
    let of = |counters| Partition {
        partition: 0,
        name: "p0".into(),
        slot: 0,
        doing: Doing::Reading,
        paused: false,
        watermark: None,
        lag_ms: None,
        counters,
        in_this_run: counters,
        idle_decisions: 0,
        gaps: 0,
    };
    let run = status.run.as_mut().unwrap();
    run.partitions = vec![
        of(Counters { read: 9, folded: 4, malformed: 2, late: 3, ..Counters::default() }),
        of(Counters { read: 2, folded: 1, late: 1, ..Counters::default() }),
    ];
    let words =
        "of this run's events, of whatever source and minute, 4 too late for their minutes, 2 malformed are in no row";
    assert!(of_source(&status, "sensor_1").ends_with(words));
    assert!(why(&status, NOON, None).ends_with(&format!("events for it that come now are late ({words})")));
}
