//! A process that stands still for longer than its broker waits for a sign of life.

use std::thread;
use std::time::{Duration, Instant};

use super::broker::{Broker, Settings};
use super::follower::Follower;
use super::input::Input;
use super::sender::Manner;
use super::topic::Topic;
use crate::harness::{Shape, scratch};

/// Messages of an entry.
const ENTRY: usize = 20;

/// How long the broker may take to miss the process: two of its keep-alives and something.
const MISSED: Duration = Duration::from_secs(30);

#[test]
fn sigstop_for_longer_than_the_keep_alive_costs_a_connection_and_no_row() {
    let broker = Broker::start(Settings { lines: &["keepAliveIntervalSeconds=2"], secure: false });
    let input = Input::backlog("2");
    let topic = Topic::make(&broker, "frozen", 2);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let follower = Follower::new(input.dataflow(), &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 1));
    follower.commits(&mut cluster);
    cluster.process(0).signal("STOP");
    let end = Instant::now() + MISSED;
    while topic.readers(0, "sensors") + topic.readers(1, "sensors") > 0 {
        assert!(Instant::now() < end, "the broker does not miss it");
        thread::sleep(Duration::from_millis(200));
    }
    assert!(!follower.has_committed(200_000), "all was read before it was stopped");
    cluster.process(0).signal("CONT");
    cluster.process(0).until_said(&["connecting again"]);
    follower.comes_to(cluster, &input.expected(ENTRY), "frozen");
}
