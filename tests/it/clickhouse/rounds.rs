//! Killed and resumed, on either side.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::setup::Base;
use crate::harness::{
    Cluster, DEADLINE, Dice, POLL, Pipeline, Shape, Undisturbed, WORKERS, dataflow, free_port, generate, scratch,
};
use crate::servers::ClickHouse;

/// Fifty minutes of forty sources, with everything that makes rejects.
const SETTINGS: [(&str, &str); 6] = [
    ("seed", "11"),
    ("sources", "40"),
    ("partitions", "4"),
    ("out-of-order", "0.2"),
    ("late", "0.02"),
    ("malformed", "0.005"),
];

/// Kills that must fall before all is read.
const KILLS_MIN: usize = 2;

/// How long a process may take to end when its peer is lost: a moment by contract, and a slow machine's share.
const MISSED_WITHIN: Duration = Duration::from_secs(15);

/// From a commit to the blow that waited for it, at the latest, in milliseconds.
const AFTER_A_COMMIT_MS: u64 = 300;

/// That input, and what it comes to.
pub(super) fn calm(place: &Path) -> Undisturbed {
    Undisturbed::generate("sensors", place, &[&SETTINGS[..], &[("events", "60000"), ("rate", "20")]].concat())
}

/// One that takes a few seconds to read, so that blows fall anywhere.
pub(super) fn long(place: &Path) -> Undisturbed {
    Undisturbed::generate("sensors", place, &[&SETTINGS[..], &[("events", "300000"), ("rate", "100")]].concat())
}

/// The newest commit; null before the first.
fn commit(pipeline: &Pipeline) -> Value {
    pipeline.newest().map(|newest| newest["commit"].clone()).unwrap_or_default()
}

#[test]
fn a_run_killed_at_any_moment_leaves_each_row_once() {
    let (server, place, mut dice) = (ClickHouse::shared(), scratch(), Dice::new("killed minuet"));
    let calm = long(place.path());
    let base = Base::new(server, "killed");
    let pipeline = base.pipeline(&calm, server.address());
    let (mut kills, mut commits) = (0, 0);
    for _ in 0..10 {
        let before = commit(&pipeline);
        let mut running = pipeline.start(dice.one_of(&WORKERS));
        // Every other one is killed soon after a commit, or else most blows would fall before the first.
        let awaited = dice.between(0, 2) == 0;
        let end = Instant::now() + DEADLINE;
        while awaited && running.runs() && commit(&pipeline) == before {
            assert!(Instant::now() < end, "nothing came of a commit:\n{}", running.said());
            thread::sleep(POLL);
        }
        let latest = if awaited { AFTER_A_COMMIT_MS } else { 1_500 };
        if running.ends_within(Duration::from_millis(dice.between(0, latest))) {
            running.end().demand(0);
            break;
        }
        running.kill();
        let ended = running.end();
        assert!(ended.was_killed(), "it ended by itself: {}\n{}", ended.status, ended.stderr);
        kills += 1;
        commits += usize::from(commit(&pipeline) != before);
    }
    println!("{kills} kills, {commits} after a commit");
    assert!(kills >= KILLS_MIN && commits > 0, "{kills} kills, {commits} after a commit: they show little");
    let summary = pipeline.run_in(Shape::new(dice.one_of(&WORKERS), 2)).summary();
    assert_eq!(summary, calm.summary);
    base.demand(&calm, "killed");
}

#[test]
fn a_server_killed_in_mid_insert_is_waited_for_and_has_each_row_once() {
    let (server, place, mut dice) = (ClickHouse::start(), scratch(), Dice::new("killed ClickHouse"));
    let calm = long(place.path());
    let base = Base::new(&server, "restarted");
    let mut running = base.pipeline(&calm, server.address()).start(2);
    let mut kills = 0;
    for _ in 0..6 {
        if running.ends_within(Duration::from_millis(dice.between(100, 1_200))) {
            break;
        }
        kills += 1;
        server.kill();
        thread::sleep(Duration::from_millis(dice.between(1, 400)));
        server.start_again();
    }
    println!("{kills} kills");
    assert!(kills >= KILLS_MIN, "{kills} kills show little");
    assert_eq!(running.end().demand(0).summary(), calm.summary);
    base.demand(&calm, "restarted");
}

/// Process 0 waits for its tables before it claims the pipeline: a peer that is lost meanwhile ends it as at any other time.
#[test]
fn one_that_waits_for_its_tables_ends_with_its_peer() {
    let place = scratch();
    generate(&dataflow("sensors"), &place.path().join("in"), &[("events", "100"), ("partitions", "2")]);
    let base = Base::new(ClickHouse::shared(), "peerless");
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let source = place.path().join("in/*").display().to_string();
    let mut cluster = Cluster::start(&base.pipeline_of(&dataflow("sensors"), &source, nobody), Shape::new(1, 2));
    cluster.process(0).until_said(&["trying again"]);
    cluster.process(1).kill();
    assert!(cluster.ends_within(MISSED_WITHIN, &[]), "it waits on:\n{}", cluster.said());
    cluster.end().swap_remove(0).demand(75).demand_words(&["process 1", "went away"]);
}
