//! The traps of stamping events with epochs: each has once made a run wrong, or could. One test for each, against rows that are
//! computed the plain way.

mod faults;
mod story;

use std::cell::Cell;

use minuet::cluster::Outcome;
use minuet::connect::memory::{Act, Faults, MemorySink, MemorySource, Standing, payload_entry};
use minuet::limits::MINUTES_AHEAD_MAX;
use minuet::time::LAST_EPOCH;

use crate::harness::{Dice, demand_rows};
use crate::memory::{Place, Run};
use story::{Logs, MINUTE, START, expected, logs, minutes, payloads, plan, source};

/// Looks without any news after which reading counts as stopped; each wakes all slots.
const QUIET: u32 = 50;

/// Demands that everything came out that must, once.
fn demand(place: &Place, logs: &Logs, of: &str) {
    let expected = expected(logs);
    demand_rows(&place.rows(), &expected.rows, of);
    let found = place.newest().counters();
    let counts = |c: &minuet::snapshot::Counters| [c.read, c.folded, c.malformed, c.late, c.too_far_ahead];
    assert_eq!(counts(&found), counts(&expected.counters), "{of}: read, folded, malformed, late, too far ahead");
    assert_eq!(place.newest().totals.counted, expected.counters.folded, "{of}: the rows' counts");
}

fn finish(run: Run, of: &str) {
    assert_eq!(run.end().unwrap_or_else(|e| panic!("{of}: {e}")), Outcome::Finished, "{of}");
}

/// Runs logs from their beginning to their end.
fn straight(logs: &Logs, slots: usize, of: &str) -> Place {
    let place = Place::new(&plan());
    finish(place.start(&source(logs, 100, &Standing::Ended), slots), of);
    demand(&place, logs, of);
    place
}

/// Entries that a partition gave, once it gives no more.
fn given_in_the_end(run: &Run, partition: u32) -> u64 {
    let (last, quiet) = (Cell::new(0), Cell::new(0));
    run.until("quiet", |seen| {
        let given = seen.given.get(&partition).copied().unwrap_or(0);
        quiet.set(if given == last.replace(given) { quiet.get() + 1 } else { 0 });
        quiet.get() >= QUIET
    });
    last.get()
}

#[test]
fn trap_1_slots_see_different_frontiers() {
    let logs = logs(&mut Dice::new("trap 1"), 4, 120, 20);
    for slots in [1, 2, 3, 5, 2, 3] {
        let place = Place::new(&plan());
        let run = place.start(&source(&logs, 90, &Standing::Waiting), slots);
        assert!(run.until("commits", |seen| seen.commits.len() >= 5));
        let commits = run.watch.seen().commits.clone();
        for pair in commits.windows(2) {
            assert_eq!(pair[1].commit, pair[0].next.first().copied(), "a commit that was not named before");
        }
        run.fate.stop();
        run.end().unwrap();
        finish(place.start(&source(&logs, 100, &Standing::Ended), slots), "trap 1");
        demand(&place, &logs, &format!("trap 1, {slots} slots"));
    }
}

#[test]
fn trap_2_a_slot_without_data_owes_its_part() {
    // One source: all but one slot have nothing to close, in any minute.
    let logs = logs(&mut Dice::new("trap 2"), 2, 60, 1);
    for slots in [2, 3, 5] {
        let place = straight(&logs, slots, "trap 2");
        assert_eq!(place.newest().commit, Some(LAST_EPOCH));
    }
}

#[test]
fn trap_3_a_slot_without_partitions_lets_go() {
    let logs = logs(&mut Dice::new("trap 3"), 7, 40, 30);
    straight(&logs, 9, "trap 3, 9 slots and 7 partitions");
    straight(&Logs::new(), 3, "trap 3, no partition at all");
}

#[test]
fn trap_4_lateness_is_per_partition() {
    let mut logs = logs(&mut Dice::new("trap 4"), 5, 80, 10);
    // Partitions hours apart would make each other's events late.
    for (number, event) in
        logs.iter_mut().enumerate().flat_map(|(n, log)| log.iter_mut().flatten().map(move |e| (n, e)))
    {
        event.iter_mut().for_each(|event| event.at += number as i64 * 9 * MINUTE);
    }
    assert!(expected(&logs).counters.late > 0);
    for slots in [1, 2, 3, 5, 9] {
        straight(&logs, slots, &format!("trap 4, {slots} slots"));
    }
}

#[test]
fn trap_5_sums_do_not_depend_on_the_order_of_merging() {
    let logs = logs(&mut Dice::new("trap 5"), 6, 60, 2);
    for slots in [1, 2, 3, 5] {
        let place = Place::new(&plan());
        for share in [30, 60] {
            let run = place.start(&source(&logs, share, &Standing::Waiting), slots);
            assert!(run.until("a commit", |seen| !seen.commits.is_empty()));
            run.fate.stop();
            run.end().unwrap();
        }
        finish(place.start(&source(&logs, 100, &Standing::Ended), slots), "trap 5");
        demand(&place, &logs, &format!("trap 5, {slots} slots"));
    }
}

#[test]
fn trap_6_a_partition_a_day_ahead_is_paused() {
    let logs = vec![minutes(START, 30), minutes(START + 1_440, 300)];
    for slots in [1, 2] {
        let place = Place::new(&plan());
        let source = source(&logs, 100, &Standing::Ended);
        source.stall_after(0, 3);
        let run = place.start(&source, slots);
        assert!(run.until("the slow one", |seen| seen.given.get(&0) == Some(&3)));
        let ahead = given_in_the_end(&run, 1);
        assert!(ahead <= MINUTES_AHEAD_MAX + 2, "{ahead} minutes were read of a partition that is a day ahead");
        source.stall_after(0, usize::MAX);
        finish(run, "trap 6");
        demand(&place, &logs, &format!("trap 6, {slots} slots"));
    }
}

#[test]
fn trap_7_a_sink_that_does_not_answer_stops_the_reading() {
    let logs = vec![minutes(START, 400), minutes(START, 400)];
    for slots in [1, 2] {
        let faults = Faults::none();
        let mut place = Place::new(&plan());
        place.sink = MemorySink::new(faults.clone());
        let source = source(&logs, 100, &Standing::Ended);
        (0..2).for_each(|partition| source.stall_after(partition, 20));
        let run = place.start(&source, slots);
        assert!(run.until("commits", |seen| seen.commits.len() >= 5 && seen.read == 40));
        faults.always(Act::Hold);
        (0..2).for_each(|partition| source.stall_after(partition, usize::MAX));
        let given = given_in_the_end(&run, 0);
        assert!((20..40).contains(&given), "{given} minutes were read while nothing could be written");
        faults.always(Act::Fine);
        faults.release();
        finish(run, "trap 7");
        demand(&place, &logs, &format!("trap 7, {slots} slots"));
    }
}

#[test]
fn trap_8_a_source_that_wakes_late_is_scheduled() {
    let logs = logs(&mut Dice::new("trap 8"), 3, 30, 5);
    for slots in [1, 3] {
        let place = Place::new(&plan());
        let source = source(&logs, 0, &Standing::Waiting);
        let run = place.start(&source, slots);
        let mut due = 0;
        for at in 0..30 {
            for (number, log) in logs.iter().enumerate() {
                source.append(number as u32, payload_entry(at as u64, &payloads(&log[at]), None));
                due += log[at].len() as u64;
                assert!(run.until_unaided("an entry that came late", |seen| seen.read == due));
            }
        }
        (0..3).for_each(|number| source.stand(number, Standing::Ended));
        finish(run, "trap 8");
        demand(&place, &logs, &format!("trap 8, {slots} slots"));
    }
}

#[test]
fn trap_9_state_goes_to_whoever_owns_it_now() {
    let logs = logs(&mut Dice::new("trap 9"), 5, 60, 200);
    for (before, after) in [(5, 2), (2, 5), (1, 3), (9, 1)] {
        let place = Place::new(&plan());
        let run = place.start(&source(&logs, 50, &Standing::Waiting), before);
        assert!(
            run.until("open state", |seen| seen.commits.last().is_some_and(|m| m.parts.iter().any(|p| p.partials > 0)))
        );
        run.fate.stop();
        run.end().unwrap();
        finish(place.start(&source(&logs, 100, &Standing::Ended), after), "trap 9");
        demand(&place, &logs, &format!("trap 9, {before} slots, then {after}"));
    }
}

/// Makes a partition fail after its first `entries`.
fn failing(logs: &Logs, partition: usize, entries: usize) -> MemorySource {
    let mut cut = logs.clone();
    cut[partition].truncate(entries);
    let source = source(&cut, 100, &Standing::Ended);
    let error = minuet::error::Error::outside("reading partition 1", "its disk is gone");
    source.stand(partition as u32, Standing::Failed(error));
    source
}

#[test]
fn trap_10_an_error_in_one_slot_ends_the_run_everywhere() {
    let logs = logs(&mut Dice::new("trap 10"), 3, 90, 20);
    for (slots, entries) in [(1, 0), (3, 0), (1, 45), (2, 45), (3, 45), (3, 89)] {
        let of = format!("trap 10, {slots} slots, failing after {entries} entries");
        let place = Place::new(&plan());
        let run = place.start(&failing(&logs, 1, entries), slots);
        let error = run.end().expect_err("a partition failed");
        assert_eq!(error.fault, minuet::error::Fault::Outside, "{of}: {error}");
        // The slot that failed holds its epoch: no minute is committed that its partition could still have events of.
        let newest = logs[1][..entries].iter().flatten().flatten().map(|event| event.at).max();
        let open = newest.map_or(1, |newest| (newest - 5_000) / MINUTE);
        let committed = place.newest().commit.unwrap_or(0);
        assert!((committed as i64) < open, "{of}: {committed} was committed, {open} was open");
        finish(place.start(&source(&logs, 100, &Standing::Ended), 2), &of);
        demand(&place, &logs, &of);
    }
}
