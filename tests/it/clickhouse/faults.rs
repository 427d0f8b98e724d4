//! What a network does to inserts; what ends a run, and what only delays it.

use std::time::Duration;

use fault_proxy::{ALWAYS, Fault, Proxy, Requests};

use super::rounds::calm;
use super::setup::Base;
use crate::harness::scratch;
use crate::servers::ClickHouse;

/// Inserts into a table of rows.
fn inserts() -> Requests {
    Requests::of("POST").query("INSERT").query("rows%60")
}

#[test]
fn lost_answers_refusals_and_cut_bodies_double_nothing_and_lose_nothing() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let proxy = Proxy::before(server.address());
    let base = Base::new(server, "faults");
    let mut running = base.pipeline(&calm, proxy.address()).start(2);
    for fault in [
        Fault::Lost,
        Fault::Refused,
        Fault::Unavailable { after_body: false },
        Fault::Unavailable { after_body: true },
        Fault::Cut { after: 300 },
        Fault::Delayed(Duration::from_millis(300)),
        Fault::Lost,
    ] {
        proxy.fault(inserts(), fault, 2);
        running.until(&format!("{fault:?}"), || proxy.waiting() == 0);
    }
    let ended = running.end().demand(0).demand_words(&["trying again", "answers again"]);
    assert_eq!(ended.summary(), calm.summary);
    base.demand(&calm, "faults");
}

#[test]
fn a_signal_ends_a_run_whose_clickhouse_is_away() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let proxy = Proxy::before(server.address());
    let base = Base::new(server, "away");
    let pipeline = base.pipeline(&calm, proxy.address());
    proxy.away();
    let mut early = pipeline.start(1);
    early.until_said(&["looking at", "trying again"]);
    early.signal("TERM");
    assert!(early.ends_within(Duration::from_secs(5)), "it waits for its sink");
    early.end().demand(143);
    proxy.back();
    proxy.fault(inserts(), Fault::Unavailable { after_body: false }, ALWAYS);
    let mut late = pipeline.start(1);
    late.until_said(&["inserting block", "trying again"]);
    late.signal("TERM");
    assert!(late.ends_within(Duration::from_secs(5)), "it waits for an insert");
    late.end().demand(143);
    proxy.heal();
    pipeline.run(2).demand(0);
    base.demand(&calm, "away");
}

#[test]
fn what_stays_wrong_ends_the_run_with_what_to_do() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "fatal");
    let mut pipeline = base.pipeline(&calm, server.address());
    pipeline.flags.retain(|flag| flag != "--create-tables");
    pipeline.run(1).demand(78).demand_words(&["`fatal`.`rows` is missing", "--create-tables", "minuet ddl"]);
    let mut stranger = pipeline.clone();
    stranger.flags[1] = "stranger".to_owned();
    stranger.run(1).demand(78).demand_words(&["clickhouse_user", "--clickhouse-password-file"]);
    let proxy = Proxy::before(server.address());
    let mut midway = base.pipeline(&calm, proxy.address());
    proxy.fault(inserts(), Fault::Unavailable { after_body: true }, ALWAYS);
    let mut running = midway.start(1);
    running.until_said(&["inserting block"]);
    base.query("DROP TABLE {}.rows");
    proxy.heal();
    running.end().demand(78).demand_words(&["inserting block", "code: 60", "--create-tables"]);
    midway.flags.retain(|flag| flag != "--create-tables");
    midway.run(1).demand(78).demand_words(&["`fatal`.`rows` is missing"]);
}
