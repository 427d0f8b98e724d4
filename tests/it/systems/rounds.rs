//! Blows of chance on a pipeline and on all that it stands on, while its topic is sent to.
//!
//! `MINUET_SEED` throws the same dice again, `MINUET_SYSTEMS_LIVES` says how many pipelines live; `scripts/crash.sh --systems` sets
//! both.

use std::thread;
use std::time::Duration;

use super::feed;
use super::stage::{ENTRY, Own, Services, Stage, troubled};
use crate::harness::{Cluster, Dice, Shape};
use crate::oracle::Expected;
use crate::pulsar::follower::{kill_all, stop_all};
use crate::pulsar::input::Input;

/// Lives, unless MINUET_SYSTEMS_LIVES says otherwise.
const LIVES: u64 = 2;

/// From one blow to the next, at the latest, in milliseconds.
const PEACE_MS: u64 = 1_500;

/// How long ClickHouse or S3 is away, at the latest, in milliseconds.
const AWAY_MS: u64 = 2_000;

/// Over which time the topic is sent to: about as long as the blows take.
const SENT_OVER: Duration = Duration::from_secs(30);

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// SIGKILL to all processes; another shape goes on.
    Kill,
    /// SIGTERM to all processes; another shape goes on.
    Stop,
    /// The broker closes the topic and opens it again.
    Unload,
    /// SIGKILL to the broker.
    BrokerKill,
    /// SIGKILL to ClickHouse, which stays away for a while.
    ClickHouseKill,
    /// SIGKILL to S3, which stays away for a while.
    S3Kill,
}

/// What happens to each pipeline, in an order of chance.
const BLOWS: [Blow; 8] = [
    Blow::Kill,
    Blow::Kill,
    Blow::Stop,
    Blow::Unload,
    Blow::BrokerKill,
    Blow::ClickHouseKill,
    Blow::ClickHouseKill,
    Blow::S3Kill,
];

struct Life<'a> {
    stage: &'a Stage<'a>,
    dice: &'a mut Dice,
    story: Vec<String>,
}

impl Life<'_> {
    fn suffer(&mut self) -> Cluster {
        let mut cluster = self.begin();
        let mut left = BLOWS.to_vec();
        while !left.is_empty() {
            let peace = self.dice.between(0, PEACE_MS);
            thread::sleep(Duration::from_millis(peace));
            let blow = left.swap_remove(self.dice.between(0, left.len() as u64) as usize);
            self.tell(format!("{peace} ms, {blow:?}"));
            cluster = self.strike(blow, cluster);
        }
        cluster
    }

    fn tell(&mut self, what: String) {
        println!("{what}");
        self.story.push(what);
    }

    /// What has happened so far.
    fn how(&self) -> String {
        format!("{:?}", self.story)
    }

    fn begin(&mut self) -> Cluster {
        let shape = self.dice.one_of(&Shape::all());
        self.tell(shape.to_string());
        self.stage.follower.start(shape)
    }

    fn strike(&mut self, blow: Blow, cluster: Cluster) -> Cluster {
        let Services { broker, clickhouse, s3 } = self.stage.services;
        match blow {
            Blow::Kill => {
                kill_all(cluster, &self.how());
                return self.begin();
            }
            Blow::Stop => {
                stop_all(cluster, &self.how());
                return self.begin();
            }
            Blow::Unload => self.stage.topic.unload(),
            Blow::BrokerKill => {
                broker.kill();
                broker.start_again();
            }
            Blow::ClickHouseKill => {
                clickhouse.kill();
                self.stay_away();
                clickhouse.start_again();
            }
            Blow::S3Kill => {
                s3.kill();
                self.stay_away();
                s3.start_again();
            }
        }
        cluster
    }

    fn stay_away(&mut self) {
        let away = self.dice.between(0, AWAY_MS);
        self.tell(format!("away for {away} ms"));
        thread::sleep(Duration::from_millis(away));
    }
}

/// Gives how often a sender had to go on after a blow.
fn live(services: Services<'_>, number: u64, input: &Input, expected: &Expected, dice: &mut Dice) -> u64 {
    let stage = Stage::set(services, &format!("systems-life-{number}"), input);
    // By what is kept a sender sees what was stored of its entries when the broker died.
    stage.topic.retain(60, 1_000);
    let mut life = Life { stage: &stage, dice, story: Vec::new() };
    let interrupted = thread::scope(|scope| {
        let entries = input.logs.iter().map(|payloads| payloads.chunks(ENTRY)).collect();
        let sending = scope.spawn(|| feed::send(&stage.topic, entries, SENT_OVER));
        let cluster = life.suffer();
        let fed = sending.join().expect("all is sent");
        stop_all(cluster, &life.how());
        fed.interrupted
    });
    let shape = life.dice.one_of(&Shape::all());
    stage.demand(shape, expected, &life.how());
    interrupted
}

#[test]
fn blows_of_chance() {
    let mut dice = Dice::new("systems rounds");
    let lives = std::env::var("MINUET_SYSTEMS_LIVES").map_or(LIVES, |text| text.parse().expect("a number of lives"));
    let input = troubled("62");
    let (expected, own) = (input.expected(ENTRY), Own::start());
    let interrupted: u64 = (0..lives).map(|number| live(own.services(), number, &input, &expected, &mut dice)).sum();
    println!("senders were interrupted {interrupted} times in {lives} lives");
    assert!(interrupted > 0 || lives == 0, "no blow fell on the broker while it was sent to");
}
