//! Killed and resumed, on either side.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::setup::Base;
use crate::harness::{Dice, Shape, Undisturbed, WORKERS, scratch};
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

/// That input, and what it comes to.
pub(super) fn calm(place: &Path) -> Undisturbed {
    Undisturbed::generate("sensors", place, &[&SETTINGS[..], &[("events", "60000"), ("rate", "20")]].concat())
}

/// One that takes a few seconds to read, so that blows fall anywhere.
pub(super) fn long(place: &Path) -> Undisturbed {
    Undisturbed::generate("sensors", place, &[&SETTINGS[..], &[("events", "300000"), ("rate", "100")]].concat())
}

#[test]
fn a_run_killed_at_any_moment_leaves_each_row_once() {
    let (server, place, mut dice) = (ClickHouse::shared(), scratch(), Dice::new("killed minuet"));
    let calm = long(place.path());
    let base = Base::new(server, "killed");
    let pipeline = base.pipeline(&calm, server.address());
    for _ in 0..10 {
        let mut running = pipeline.start(dice.one_of(&WORKERS));
        if running.ends_within(Duration::from_millis(dice.between(50, 1_500))) {
            break;
        }
        running.kill();
        running.end();
    }
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
    for _ in 0..6 {
        if running.ends_within(Duration::from_millis(dice.between(100, 1_200))) {
            break;
        }
        server.kill();
        thread::sleep(Duration::from_millis(dice.between(1, 400)));
        server.start_again();
    }
    assert_eq!(running.end().demand(0).summary(), calm.summary);
    base.demand(&calm, "restarted");
}
