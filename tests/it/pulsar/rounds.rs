//! Blows of chance on a pipeline and on its broker, in all shapes: whatever comes, the rows are those of the oracle.

use std::thread;
use std::time::Duration;

use super::broker::{Broker, Settings};
use super::follower::{Follower, kill_all, stop_all};
use super::input::Input;
use super::sender::Manner;
use super::topic::Topic;
use crate::harness::{Cluster, Dice, Shape, scratch};
use crate::oracle::Expected;

/// Messages of an entry.
const ENTRY: usize = 50;

/// Blows on one pipeline; what is left then is read in peace.
const BLOWS_PER_LIFE: u64 = 6;

/// Lives, unless MINUET_PULSAR_LIVES says otherwise.
const LIVES: u64 = 3;

/// From one blow to the next, at the latest, in milliseconds.
const PEACE_MS: u64 = 1_500;

/// A process sleeps so long, at the latest, in milliseconds: this broker gives up a silent client after six seconds.
const SLEEP_MS: u64 = 9_000;

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// SIGKILL to all processes; another shape goes on.
    Kill,
    /// SIGTERM to all processes; another shape goes on.
    Stop,
    /// The first process sleeps, and wakes.
    Sleep,
    /// The broker closes the topic and opens it again.
    Unload,
    /// SIGKILL to the broker.
    BrokerKill,
    /// SIGTERM to the broker.
    BrokerStop,
}

const BLOWS: [Blow; 6] = [Blow::Kill, Blow::Stop, Blow::Sleep, Blow::Unload, Blow::BrokerKill, Blow::BrokerStop];

struct Life<'a> {
    broker: &'a Broker,
    topic: Topic<'a>,
    follower: Follower,
    dice: &'a mut Dice,
    story: Vec<String>,
}

impl Life<'_> {
    fn live(mut self, expected: &Expected) {
        let mut cluster = self.begin();
        for _ in 0..BLOWS_PER_LIFE {
            let peace = self.dice.between(0, PEACE_MS);
            thread::sleep(Duration::from_millis(peace));
            let blow = self.dice.one_of(&BLOWS);
            self.story.push(format!("{peace} ms, {blow:?}"));
            println!("{:?}", self.story.last());
            cluster = self.strike(blow, cluster);
        }
        self.follower.comes_to(cluster, expected, &self.how());
    }

    /// What has happened so far.
    fn how(&self) -> String {
        format!("{:?}", self.story)
    }

    fn begin(&mut self) -> Cluster {
        let shape = self.dice.one_of(&Shape::all());
        self.story.push(shape.to_string());
        self.follower.start(shape)
    }

    fn strike(&mut self, blow: Blow, mut cluster: Cluster) -> Cluster {
        match blow {
            Blow::Kill => {
                kill_all(cluster, &self.how());
                return self.begin();
            }
            Blow::Stop => {
                stop_all(cluster, &self.how());
                return self.begin();
            }
            Blow::Sleep if cluster.shape.processes == 1 => {
                cluster.process(0).signal("STOP");
                thread::sleep(Duration::from_millis(self.dice.between(0, SLEEP_MS)));
                cluster.process(0).signal("CONT");
            }
            // The others of a cluster would take one that sleeps for lost, which the tests of the cluster show.
            Blow::Sleep | Blow::Unload => self.topic.unload(),
            Blow::BrokerKill => {
                self.broker.kill();
                self.broker.start_again();
            }
            Blow::BrokerStop => {
                self.broker.stop();
                self.broker.start_again();
            }
        }
        cluster
    }
}

#[test]
fn blows_of_chance() {
    let mut dice = Dice::new("pulsar rounds");
    let lives = std::env::var("MINUET_PULSAR_LIVES").map_or(LIVES, |text| text.parse().expect("a number of lives"));
    let input = Input::backlog("5");
    let expected = input.expected(ENTRY);
    let lines = &[
        "keepAliveIntervalSeconds=3",
        "managedLedgerMaxEntriesPerLedger=700",
        "managedLedgerMinLedgerRolloverTimeMinutes=0",
    ];
    let broker = Broker::start(Settings { lines, secure: false });
    for number in 0..lives {
        let topic = Topic::make(&broker, &format!("life-{number}"), input.logs.len());
        topic.subscribe("sensors");
        input.send(&topic, ENTRY, &[Manner::default()]);
        let place = scratch();
        let follower = Follower::new(input.dataflow(), &topic, place.path());
        Life { broker: &broker, topic, follower, dice: &mut dice, story: Vec::new() }.live(&expected);
    }
}
