//! `minuet check --connect` on tables: what is right, and what is not, with what to do.

use std::time::Duration;

use fault_proxy::{ALWAYS, Fault, Proxy, Requests};
use serde_json::Value;

use super::setup::Base;
use crate::harness::{Ended, dataflow, run};
use crate::servers::ClickHouse;

/// Tries a sink.
fn tried(base: &Base, sink: &str, more: &[&str]) -> Ended {
    let folder = dataflow("sensors").display().to_string();
    let verb = ["check", &folder, "--connect", "--sink", sink].map(str::to_owned);
    run(verb.into_iter().chain(base.who()).chain(more.iter().map(|one| (*one).to_owned())))
}

/// Demands an exit code and these words.
fn demand(ended: Ended, code: i32, words: &[&str]) -> String {
    let told = ended.demand(code).stdout;
    words.iter().for_each(|word| assert!(told.contains(word), "{word:?} is not in\n{told}"));
    told
}

#[test]
fn tables_are_compared_and_a_second_insert_must_be_swallowed() {
    let server = ClickHouse::shared();
    let base = Base::new(server, "probed");
    let sink = base.sink(server.address());
    demand(
        tried(&base, &sink, &[]),
        69,
        &["`probed`.`rows` is missing", "--create-tables", "Code: 81", "make the database"],
    );
    demand(
        tried(&base, &sink, &["--create-tables"]),
        0,
        &["5 are missing: the run makes them", "no database to try it in yet"],
    );
    base.query("CREATE DATABASE {}");
    demand(tried(&base, &sink, &["--create-tables"]), 0, &["the run makes them", "the second is swallowed"]);
    let folder = dataflow("sensors").display().to_string();
    let statements = run(["ddl", &folder, "--database", "probed", "--table", "rows"]).demand(0).stdout;
    statements.split(";\n").filter(|text| !text.trim().is_empty()).for_each(|text| {
        base.query(text.trim().trim_end_matches(';'));
    });
    let before = base.query("SHOW TABLES FROM {}");
    let ended = tried(&base, &sink, &["--json"]).demand(0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let steps = report["steps"].as_array().unwrap();
    assert!(steps.len() == 5 && steps.iter().all(|step| step["standing"] == "good"), "{report}");
    // An engine that forgets at once is found out, whatever its description says.
    base.query("ALTER TABLE {}.rows MODIFY SETTING non_replicated_deduplication_window = 0");
    let words = ["2 lines are there, one was to be", "ALTER TABLE `probed`.`rows` MODIFY SETTING non_replicated"];
    demand(tried(&base, &sink, &[]), 69, &words);
    assert_eq!(base.query("SHOW TABLES FROM {}"), before, "what was tried is left behind");
    assert_eq!(base.number("SELECT count() FROM {}.rows"), 0);
}

#[test]
fn what_cannot_be_reached_or_does_not_let_us_in_says_so() {
    let server = ClickHouse::shared();
    let base = Base::new(server, "unprobed");
    let nobody = tried(&base, "clickhouse://127.0.0.1:9/d.t", &[]);
    let told = demand(nobody, 69, &["FAIL  reach ClickHouse", "127.0.0.1:9", "see that the server runs"]);
    assert_eq!(told.lines().count(), 2, "{told}");
    std::fs::write(base.place().join("password"), "wrong\n").unwrap();
    let words = ["ok    reach ClickHouse", "FAIL  log in", "Code: 516", "CLICKHOUSE_PASSWORD"];
    let told = demand(tried(&base, &base.sink(server.address()), &[]), 69, &words);
    assert!(!told.contains("compare"), "{told}");
    let proxy = Proxy::before(server.address());
    proxy.fault(Requests::all(), Fault::Unavailable { after_body: true }, ALWAYS);
    demand(
        tried(&base, &base.sink(proxy.address()), &[]),
        69,
        &["FAIL  reach ClickHouse", "service unavailable", "see that the server runs"],
    );
    proxy.heal();
    proxy.fault(Requests::all(), Fault::Delayed(Duration::from_secs(30)), 1);
    demand(tried(&base, &base.sink(proxy.address()), &[]), 69, &["no answer in"]);
}
