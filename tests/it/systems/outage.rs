//! ClickHouse and then S3 are away while events come in at a steady rate: memory stays under a bound that is computed from `limits`,
//! nothing is committed meanwhile, and all is caught up when they are back.
//!
//! `MINUET_SYSTEMS_AWAY_S` says how long each is away, `MINUET_SYSTEMS_RATE` how many events are sent a second, which is then demanded
//! of the sender too, `MINUET_SYSTEMS_SOURCES` of how many sources. `scripts/crash.sh --away` sets them: ten minutes each at 50,000 a
//! second, on the program as it is released.

use std::fs;
use std::thread;
use std::time::Duration;

use minuet::limits::{
    MINUTES_AHEAD_MAX, MINUTES_UNCOMMITTED_MAX, PULSAR_MEMORY_MIN, PULSAR_SMALL_BYTES_MAX, PULSAR_SPARE_BYTES_MAX,
    QUEUED_ENTRIES_MAX, WORDS_IN_FLIGHT_MAX,
};

use super::feed::{self, Fed};
use super::load::{Load, PARTITIONS};
use super::stage::{ENTRY, Own, Services, Stage};
use crate::harness::{Running, Shape};

/// Seconds for which each is away, unless MINUET_SYSTEMS_AWAY_S says otherwise.
const AWAY_S: u64 = 20;

/// Events a second of all partitions, unless MINUET_SYSTEMS_RATE says otherwise.
const RATE: u64 = 2_000;

/// Sources, unless MINUET_SYSTEMS_SOURCES says otherwise.
const SOURCES: u64 = 200;

/// The share of the rate that the broker must have taken where a rate is asked for.
const KEPT: f64 = 0.9;

/// How long nothing new may be committed before all that can be is taken to be.
const CAUGHT_UP: Duration = Duration::from_secs(5);

/// Resident bytes of a run of nothing: a debug build's pages, the stacks and heaps of its threads, the clients of three services.
const BASE_BYTES: u64 = 96 << 20;

/// Bytes of a source's minute, be it a partial or a row.
const MINUTE_BYTES: u64 = 512;

/// How often a minute may be there on its way out: in a table and its spare room, in a snapshot, as a row, encoded for an insert.
const COPIES: u64 = 5;

/// The most that a run of one worker may have resident: what it holds of the broker, opened entries in queues and in hand, words in
/// flight (a batch may have as much room again), minutes that are open or not committed.
fn allowed(load: &Load, sources: u64) -> u64 {
    // In the queue of each partition, and taken out of it: some large ones or many small ones; and the room of those that were read.
    let large = (QUEUED_ENTRIES_MAX + 1) * ENTRY * (load.text + 64);
    let opened = 2 * PARTITIONS * 2 * large.max(PULSAR_SMALL_BYTES_MAX) + PULSAR_SPARE_BYTES_MAX;
    let minutes = MINUTES_AHEAD_MAX + 3 * (MINUTES_UNCOMMITTED_MAX + 1);
    let fixed = PULSAR_MEMORY_MIN + opened + 2 * 8 * WORDS_IN_FLIGHT_MAX;
    BASE_BYTES + fixed as u64 + minutes * sources * MINUTE_BYTES * COPIES
}

/// The most that a process has ever had resident.
fn resident(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel keeps the mark");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|e| panic!("{name} is no number: {e}")))
}

impl Stage<'_> {
    /// The newest commit that rows in ClickHouse are of.
    fn newest_rows(&self) -> u64 {
        self.base.number("SELECT max(_commit) FROM {}.rows_ledger")
    }

    /// ClickHouse is away for a while; what was on its way when it was killed may still come to a commit.
    fn clickhouse_is_away(&self, running: &mut Running, away: Duration) {
        let Services { clickhouse, .. } = self.services;
        clickhouse.kill();
        thread::sleep(away);
        let newest = self.follower.pipeline.newest();
        thread::sleep(Duration::from_secs(1));
        assert_eq!(self.follower.pipeline.newest(), newest, "nothing is committed while ClickHouse is away");
        clickhouse.start_again();
        running.until("a commit after ClickHouse is back", || self.follower.pipeline.newest() != newest);
    }

    /// S3 is away for a while: from its end on there is no commit, and rows go no further than those may that are not committed.
    fn s3_is_away(&self, running: &mut Running, away: Duration) {
        let Services { s3, .. } = self.services;
        s3.kill();
        let newest = self.follower.pipeline.newest();
        thread::sleep(away);
        assert_eq!(self.follower.pipeline.newest(), newest, "nothing is committed while S3 is away");
        let rows = self.newest_rows();
        thread::sleep(Duration::from_secs(1));
        assert_eq!(self.newest_rows(), rows, "rows go on while nothing is committed");
        s3.start_again();
        running.until("a commit after S3 is back", || self.follower.pipeline.newest() != newest);
    }

    /// Waits until nothing new is committed any more.
    fn catches_up(&self, running: &mut Running) {
        loop {
            let before = self.follower.read();
            thread::sleep(CAUGHT_UP);
            assert!(running.runs(), "it ended while it caught up:\n{}", running.said());
            if self.follower.read() == before {
                return;
            }
        }
    }
}

#[test]
fn memory_is_bounded_while_clickhouse_and_then_s3_are_away() {
    let away = Duration::from_secs(asked("MINUET_SYSTEMS_AWAY_S").unwrap_or(AWAY_S));
    let (rate, sources) = (asked("MINUET_SYSTEMS_RATE"), asked("MINUET_SYSTEMS_SOURCES").unwrap_or(SOURCES));
    // As long as both are away, and as they take to start.
    let over = away.mul_f64(2.25);
    let load = Load::new(rate.unwrap_or(RATE) as usize, sources as usize, over);
    let (allowed, bytes) = (allowed(&load, sources), load.events() * load.text as u64);
    assert!(bytes > 2 * allowed - BASE_BYTES, "{bytes} bytes of events would not fill the {allowed} allowed");
    let own = Own::start();
    let stage = Stage::of(own.services(), "systems-outage", &load.dataflow, PARTITIONS);
    let memory = format!("{}MiB", PULSAR_MEMORY_MIN >> 20);
    let mut running = Running::start(stage.follower.pipeline.command(1).args(["--memory", &memory]));
    let Fed { took, .. } = thread::scope(|scope| {
        let sending = scope.spawn(|| feed::send(&stage.topic, load.entries(), over));
        running.until("its first commits", || stage.follower.pipeline.manifests().len() > 2);
        stage.clickhouse_is_away(&mut running, away);
        stage.s3_is_away(&mut running, away);
        sending.join().expect("all is sent")
    });
    stage.catches_up(&mut running);
    let most = resident(&running);
    running.signal("TERM");
    running.end().demand(143).demand_words(&[
        "trying again",
        "answers again",
        "the store is away",
        "the store is back",
    ]);
    let sent = load.events() as f64 / took.as_secs_f64();
    println!(
        "{} MiB resident at most, {} MiB allowed; {} events, {} MiB, {sent:.0} a second",
        most >> 20,
        allowed >> 20,
        load.events(),
        bytes >> 20
    );
    assert!(most <= allowed, "{most} bytes were resident, {allowed} are allowed");
    assert!(rate.is_none_or(|rate| sent >= KEPT * rate as f64), "{sent:.0} events a second are no {rate:?}");
    stage.demand(Shape::new(2, 1), &load.expected(), "both were away");
}
