//! Two runs on one subscription and one prefix: the older one stops, and nothing is doubled.

use super::stage::{ENTRY, Services, Stage, troubled};
use crate::harness::{Shape, demand_rows};
use crate::pulsar::sender::Manner;

/// The exit code of a run that another has taken the pipeline from.
const SUPERSEDED: i32 = 76;

#[test]
fn the_older_of_two_runs_says_that_it_is_superseded() {
    let input = troubled("63");
    let stage = Stage::set(Services::shared(), "systems-two", &input);
    input.send(&stage.topic, ENTRY, &[Manner::default()]);
    let mut older = stage.start_hasty(Shape::new(1, 1));
    stage.follower.commits(&mut older);
    // Its subscription is taken until the older one finds its next manifest taken.
    let newer = stage.start_hasty(Shape::new(2, 1));
    for ended in older.end() {
        ended.demand(SUPERSEDED).demand_words(&["owns the pipeline now", "nothing is lost"]);
    }
    stage.comes_to(newer, &input.expected(ENTRY), "two runs");
}

#[test]
fn an_older_run_that_slept_through_the_newer_one_changes_nothing_when_it_wakes() {
    let input = troubled("64");
    let stage = Stage::set(Services::shared(), "systems-asleep", &input);
    input.send(&stage.topic, ENTRY, &[Manner::default()]);
    let mut older = stage.start_hasty(Shape::new(2, 1));
    stage.follower.commits(&mut older);
    older.process(0).signal("STOP");
    // Or else the broker waits for half a minute before it gives the subscription to another.
    stage.topic.unload();
    let expected = input.expected(ENTRY);
    stage.demand(Shape::new(1, 2), &expected, "while the older run slept");
    let rows = stage.rows_final();
    older.process(0).signal("CONT");
    for ended in older.end() {
        ended.demand(SUPERSEDED).demand_words(&["owns the pipeline now", "nothing is lost"]);
    }
    // What it had in hand went in beside what the newer run had written of the same commit: rows under the same token, so that they
    // are there once, lines of the ledger under a lower revision.
    let woke = "after the older run woke";
    demand_rows(&stage.rows_final(), &rows, woke);
    stage.demand_once(&["rows"], woke);
    stage.demand_balance(woke);
}
