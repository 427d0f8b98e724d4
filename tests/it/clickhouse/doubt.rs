//! A commit in doubt: a run wrote its rows and was killed before its manifest.

use std::time::Duration;

use fault_proxy::{ALWAYS, Fault, Proxy, Requests};

use super::rounds::calm;
use super::setup::Base;
use crate::harness::{Pipeline, Undisturbed, scratch};
use crate::servers::ClickHouse;

/// Ledgers that are taken before one is not.
const TAKEN: u32 = 3;

/// Kills a run whose newest rows are stored and whose manifest is not; gives the commit.
pub(super) fn doubt(base: &Base, calm: &Undisturbed, server: &ClickHouse) -> (Pipeline, u64) {
    let proxy = Proxy::before(server.address());
    let pipeline = base.pipeline(calm, proxy.address());
    let ledgers = Requests::of("POST").query("INSERT").query("rows_ledger%60");
    proxy.fault(ledgers.clone(), Fault::Delayed(Duration::ZERO), TAKEN);
    proxy.fault(ledgers.clone(), Fault::HalfOpen, ALWAYS);
    let mut running = pipeline.start(2);
    running.until("a ledger that is not taken", || proxy.count(&ledgers) > TAKEN as usize);
    running.kill();
    running.end();
    let newest = pipeline.newest().expect("it has committed");
    let commit = newest["next"][0].as_u64().expect("a commit is named");
    let rows = base.number(&format!("SELECT count() FROM {{}}.rows WHERE _commit = {commit}"));
    assert!(rows > 0, "commit {commit} has no rows yet");
    (base.pipeline(calm, server.address()), commit)
}

#[test]
fn rows_that_a_token_hides_are_stored_under_another() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "hidden");
    let (pipeline, commit) = doubt(&base, &calm, server);
    // As a server that is killed between the two can be left: the token is known, the rows are gone.
    base.query(&format!("DELETE FROM {{}}.rows WHERE _commit = {commit}"));
    pipeline.run(3).demand(0).demand_words(&["storing it under another token"]);
    base.demand(&calm, "hidden");
}

#[test]
fn stale_rows_of_an_earlier_attempt_go_away() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "stale");
    let (pipeline, commit) = doubt(&base, &calm, server);
    // One in a lane that has rows now too, one in a lane that has none.
    for lane in ["min(_lane)", "77"] {
        base.query(&format!(
            "INSERT INTO {{}}.rows (window_start, event_source_id, count, _commit, _lane, _block, _revision) SELECT \
             max(window_start), 'ghost', 1, {commit}, {lane}, 5, 1 FROM {{}}.rows WHERE _commit = {commit}"
        ));
    }
    assert_eq!(base.number("SELECT count() FROM {}.rows WHERE event_source_id = 'ghost'"), 2);
    pipeline.run(1).demand(0).demand_words(&["removing rows of an earlier attempt"]);
    base.demand(&calm, "stale");
}

#[test]
fn lines_of_an_insert_that_a_killed_run_had_under_way_go_away() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "late_lines");
    let (_, commit) = doubt(&base, &calm, server);
    let proxy = Proxy::before(server.address());
    let ledgers = Requests::of("POST").query("INSERT").query("rows_ledger%60");
    proxy.fault(ledgers.clone(), Fault::Refused, ALWAYS);
    let mut running = base.pipeline(&calm, proxy.address()).start(2);
    running.until("a ledger of the second run", || proxy.count(&ledgers) > 0);
    // The first run's insert comes through now, after the second has cleared the tables: with what came out otherwise then.
    let ghosts = [
        ("rows_rejects", "partition, position, reason", "'ghost', (1, 1), 'late'"),
        ("rows_ledger", "partition, read, folded", "'ghost', 5, 5"),
        ("rows_ledger_minutes", "window_start, _lane, events, rows, counted", "toDateTime(60), 77, 5, 1, 5"),
    ];
    for (table, columns, values) in ghosts {
        base.query(&format!("INSERT INTO {{}}.{table} ({columns}, _commit, _revision) SELECT {values}, {commit}, 1"));
    }
    proxy.heal();
    running.end().demand(0).demand_words(&["of an earlier attempt"]);
    base.demand(&calm, "late lines");
}

#[test]
fn a_run_from_an_older_manifest_stores_again_what_it_removes() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "back");
    let mut pipeline = base.pipeline(&calm, server.address());
    pipeline.flags.extend(["--keep", "1000"].map(str::to_owned));
    pipeline.run(2).demand(0);
    base.demand(&calm, "forth");
    // The genesis, for how many commits there are later is a matter of how fast the machine is.
    pipeline.run_with(3, &["--from", "2"]).demand(0);
    base.demand(&calm, "back");
    assert_eq!(base.number("SELECT countIf(went_back) FROM {}.rows_runs"), 1);
}
