//! What happens to a reader in the middle of a backlog: it dies, its topic moves, its broker dies, somebody takes over. The rows are
//! those of an undisturbed run.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use super::broker::{Broker, Settings};
use super::follower::{Follower, kill_all};
use super::input::Input;
use super::sender::Manner;
use super::topic::Topic;
use crate::harness::{Dice, Pipeline, Shape, scratch};

/// Messages of an entry.
const ENTRY: usize = 50;

/// The exit code of a run that another has taken the pipeline from.
const SUPERSEDED: i32 = 76;

/// How long a broker stays away: longer than a first try to connect again.
const AWAY: Duration = Duration::from_millis(700);

fn filled<'a>(broker: &'a Broker, name: &str, input: &Input) -> Topic<'a> {
    let topic = Topic::make(broker, name, input.logs.len());
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    topic
}

#[test]
fn killed_in_one_shape_it_goes_on_in_another() {
    let mut dice = Dice::new("pulsar shapes");
    let input = Input::backlog("7");
    let topic = filled(Broker::shared(), "killed-runs", &input);
    let place = scratch();
    let follower = Follower::new(input.dataflow(), &topic, place.path());
    for _ in 0..4 {
        let mut cluster = follower.start(dice.one_of(&Shape::all()));
        follower.commits(&mut cluster);
        kill_all(cluster, "killed after a commit");
    }
    follower.demand(dice.one_of(&Shape::all()), &input.expected(ENTRY), "after four kills");
}

#[test]
fn its_topic_is_unloaded_again_and_again() {
    let input = Input::backlog("4");
    let topic = filled(Broker::shared(), "unloaded", &input);
    let place = scratch();
    let follower = Follower::new(input.dataflow(), &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 1));
    for _ in 0..4 {
        follower.commits(&mut cluster);
        topic.unload();
    }
    follower.comes_to(cluster, &input.expected(ENTRY), "unloaded");
}

#[test]
fn its_broker_is_killed_and_then_restarted() {
    let broker = Broker::start(Settings::default());
    let input = Input::backlog("3");
    let topic = filled(&broker, "broker", &input);
    let place = scratch();
    let follower = Follower::new(input.dataflow(), &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 1));
    follower.commits(&mut cluster);
    broker.kill();
    thread::sleep(AWAY);
    broker.start_again();
    follower.commits(&mut cluster);
    broker.stop();
    broker.start_again();
    follower.comes_to(cluster, &input.expected(ENTRY), "its broker was killed, then restarted");
}

#[test]
fn the_older_of_two_runs_stops() {
    let input = Input::backlog("2");
    let topic = filled(Broker::shared(), "two-runs", &input);
    let place = scratch();
    let older = Follower::new(input.dataflow(), &topic, place.path());
    // One folder of rows has one writer at a time on a machine, whoever is the newer.
    let pipeline = Pipeline { out: place.path().join("newer"), ..older.pipeline.clone() };
    let newer = Follower::of(pipeline);
    let mut first = older.start(Shape::new(1, 1));
    older.commits(&mut first);
    let mut second = newer.start(Shape::new(2, 1));
    newer.commits(&mut second);
    for ended in first.end() {
        ended.demand(SUPERSEDED);
    }
    let expected: BTreeSet<String> = input.expected(ENTRY).rows.into_iter().collect();
    let found = || -> BTreeSet<String> { older.pipeline.rows().into_iter().chain(newer.pipeline.rows()).collect() };
    second.process(0).until("the rows of both runs", || found() == expected);
    newer.stop(second);
}
