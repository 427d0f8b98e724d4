//! A sink of two servers: each lane is always on the same one, whatever is killed, and both together have each row once.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::rounds::{calm, long};
use super::setup::{Base, plain_rows};
use crate::harness::{Dice, Pipeline, Shape, Undisturbed, WORKERS, demand_rows, scratch};
use crate::servers::ClickHouse;

/// The two servers, each with its part of the tables.
struct Pair<'a> {
    servers: [&'a ClickHouse; 2],
    bases: [Base<'a>; 2],
}

impl<'a> Pair<'a> {
    fn new(servers: [&'a ClickHouse; 2], name: &str) -> Self {
        Pair { servers, bases: servers.map(|server| Base::new(server, name)) }
    }

    /// The sink, its servers named in this order.
    fn sink(&self, order: [usize; 2]) -> String {
        let [first, second] = order.map(|at| self.servers[at].address());
        format!("clickhouse://{first},{second}/{}.rows", self.bases[0].name)
    }

    fn pipeline(&self, calm: &Undisturbed) -> Pipeline {
        let mut pipeline = self.bases[0].pipeline(calm, self.servers[0].address());
        pipeline.sink = Some(self.sink([0, 1]));
        pipeline
    }

    /// What a statement answers on each.
    fn numbers(&self, sql: &str) -> [u64; 2] {
        [0, 1].map(|at| self.bases[at].number(sql))
    }

    /// Demands the rows of both together, each there once and each lane at its server, and that the ledger of both balances.
    fn demand(&self, calm: &Undisturbed, how: &str) {
        let read = |selection: &str| {
            let mut rows: Vec<String> = self.bases.iter().flat_map(|base| base.rows_of(selection)).collect();
            rows.sort();
            rows
        };
        let expected = plain_rows(&calm.rows);
        demand_rows(&read("SELECT * FROM {}.rows_newest"), &expected, how);
        let stored = self.numbers("SELECT count() FROM {}.rows");
        assert!(stored.iter().all(|rows| *rows > 0), "{how}: one server has nothing: {stored:?}");
        assert_eq!(stored[0] + stored[1], expected.len() as u64, "{how}: rows are there twice");
        let elsewhere = [0, 1].map(|at| format!("SELECT count() FROM {{}}.rows WHERE _lane % 2 != {at}"));
        let strays = [0, 1].map(|at| self.bases[at].number(&elsewhere[at]));
        assert_eq!(strays, [0, 0], "{how}: lanes at the other server");
        let rejects = self.numbers("SELECT count() FROM {}.rows_rejects");
        let newest = self.numbers("SELECT count() FROM {}.rows_rejects FINAL");
        assert_eq!(rejects, newest, "{how}: rejects are there twice");
        let report = self.bases[0].ledger_of(&self.sink([0, 1]), &["--json"]).demand(0).stdout;
        let report: Value = serde_json::from_str(&report).unwrap();
        for name in ["read", "folded", "late", "malformed"] {
            assert_eq!(report["counters"][name], calm.summary[name], "{how}: {name}");
        }
        assert_eq!((&report["rows"], &report["open"]), (&calm.summary["rows"].into(), &0.into()), "{how}");
        assert_eq!(report["rejects"], rejects[0] + rejects[1], "{how}");
    }
}

#[test]
fn two_servers_have_each_row_once_whoever_is_killed() {
    let (first, second, place) = (ClickHouse::start(), ClickHouse::start(), scratch());
    let (calm, mut dice) = (long(place.path()), Dice::new("killed shards"));
    let pair = Pair::new([&first, &second], "shards");
    let pipeline = pair.pipeline(&calm);
    for round in 0..6 {
        let mut running = pipeline.start(dice.one_of(&WORKERS));
        if running.ends_within(Duration::from_millis(dice.between(300, 1_500))) {
            break;
        }
        let struck = pair.servers[round % 2];
        struck.kill();
        thread::sleep(Duration::from_millis(dice.between(1, 300)));
        // It waits for the one that is away, and for that one only; mostly it does not live to see it back.
        if round % 3 > 0 {
            running.kill();
            running.end();
            struck.start_again();
            continue;
        }
        struck.start_again();
        running.ends_within(Duration::from_millis(dice.between(300, 900)));
        running.kill();
        running.end();
    }
    let summary = pipeline.run_in(Shape::new(2, 2)).summary();
    assert_eq!(summary, calm.summary);
    pair.demand(&calm, "killed shards");
}

#[test]
fn servers_in_another_order_are_refused() {
    let (first, second, place) = (ClickHouse::shared(), ClickHouse::start(), scratch());
    let (calm, pair) = (calm(place.path()), Pair::new([first, &second], "swapped"));
    let mut pipeline = pair.pipeline(&calm);
    let mut running = pipeline.start(2);
    running.until("a commit", || pipeline.newest().is_some_and(|newest| !newest["commit"].is_null()));
    running.kill();
    running.end();
    pipeline.sink = Some(pair.sink([1, 0]));
    pipeline.run(2).demand(78).demand_words(&["was written as server 1 of 2, and is now 0", "in the order"]);
    pipeline.sink = Some(pair.bases[0].sink(first.address()));
    pipeline.run(2).demand(78).demand_words(&["was written as server 0 of 2, and is now 0 of 1"]);
    pipeline.sink = Some(pair.sink([0, 1]));
    pipeline.run(1).demand(0);
    pair.demand(&calm, "after the refusals");
}
