//! `minuet ledger` on tables: all adds up after a run; whatever is taken away, doubled or changed is found, and where.

use serde_json::Value;

use super::doubt::doubt;
use super::rounds::calm;
use super::setup::Base;
use crate::harness::{Running, Undisturbed, dataflow, minuet, run, scratch};
use crate::servers::ClickHouse;

#[test]
fn the_rows_of_every_dataflow_have_the_hash_that_the_ledger_says() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let settings = [("seed", "5"), ("events", "30000"), ("sources", "40"), ("rate", "10"), ("late", "0.02")];
    for name in ["departures", "orders", "sensors", "sensors-compact"] {
        let calm = Undisturbed::generate(name, place.path(), &settings);
        let base = Base::new(server, &format!("ledger_{}", name.replace('-', "_")));
        base.pipeline(&calm, server.address()).run(2).demand(0);
        base.query("ALTER TABLE {}.rows ADD COLUMN mine UInt8 DEFAULT 7 AFTER window_start");
        let report: Value = serde_json::from_str(&base.ledger(&["--json"]).demand(0).stdout).unwrap();
        assert_eq!(report["rows"], calm.summary["rows"], "{name}");
        assert_eq!((&report["counters"]["folded"], &report["open"]), (&calm.summary["folded"].into(), &0.into()));
    }
}

#[test]
fn several_servers_are_read_together_and_one_alone_is_not_all() {
    let (servers, place) = ([ClickHouse::shared(), &ClickHouse::start()], scratch());
    let calm = calm(place.path());
    let bases = servers.map(|server| Base::new(server, "sharded"));
    let mut pipeline = bases[0].pipeline(&calm, servers[0].address());
    let both = format!("clickhouse://{},{}/sharded.rows", servers[0].address(), servers[1].address());
    pipeline.sink = Some(both.clone());
    pipeline.run(2).demand(0);
    let report: Value = serde_json::from_str(&bases[0].ledger_of(&both, &["--json"]).demand(0).stdout).unwrap();
    assert_eq!(report["rows"], calm.summary["rows"]);
    let told = bases[0].ledger(&[]).demand(65).stdout;
    assert!(told.contains("rows are missing"), "{told}");
    let one = "(SELECT window_start, event_source_id FROM {}.rows ORDER BY window_start, event_source_id LIMIT 1)";
    bases[1].query(&format!("DELETE FROM {{}}.rows WHERE (window_start, event_source_id) IN {one}"));
    let told = bases[0].ledger_of(&both, &[]).demand(65).stdout;
    assert!(told.contains("1 rows are missing") && told.contains("1 thing does not add up"), "{told}");
}

/// A finished run whose tables are changed and put right again.
struct Changed<'a> {
    base: Base<'a>,
    /// A row in the middle, as a condition.
    row: String,
    /// Where a finding about it must be.
    minute: String,
}

impl<'a> Changed<'a> {
    fn new(base: Base<'a>) -> Self {
        let middle = base.query(
            "SELECT window_start, event_source_id, _commit, _lane FROM {}.rows ORDER BY window_start, event_source_id LIMIT 1 OFFSET 700",
        );
        let parts: Vec<&str> = middle.split('\t').collect();
        let row = format!("window_start = '{}' AND event_source_id = '{}'", parts[0], parts[1]);
        let minute = format!("commit {}, minute {}, lane {}", parts[2], parts[0], parts[3]);
        Changed { base, row, minute }
    }

    /// Changes a table; demands that the check finds these words; puts it right.
    fn found(&self, table: &str, statement: &str, words: &[&str]) {
        self.base.query(&format!("CREATE TABLE {{}}.kept AS {{}}.{table}"));
        self.base.query(&format!("INSERT INTO {{}}.kept SELECT * FROM {{}}.{table}"));
        self.base.query(statement);
        let told = self.base.ledger(&[]).demand(65).stdout;
        for word in words {
            assert!(told.contains(word), "{statement}: {word:?} is not in\n{told}");
        }
        self.base.query("SYSTEM START MERGES");
        self.base.query(&format!("TRUNCATE TABLE {{}}.{table}"));
        self.base.query(&format!("INSERT INTO {{}}.{table} SELECT * FROM {{}}.kept SETTINGS insert_deduplicate = 0"));
        self.base.query("DROP TABLE {}.kept SYNC");
        self.base.ledger(&[]).demand(0);
    }
}

/// What a newer run has replaced is no fault, and there is a statement that removes it.
fn replaced_rows_are_told(changed: &Changed) {
    let Changed { base, row, .. } = changed;
    base.query("SYSTEM STOP MERGES {}.rows");
    base.query(&format!(
        "INSERT INTO {{}}.rows SELECT * REPLACE (0 AS _revision, 1.5 AS temperature_min) FROM {{}}.rows WHERE {row}"
    ));
    let told = base.ledger(&[]).demand(0).stdout;
    let mend = "OPTIMIZE TABLE `changed`.`rows` FINAL";
    assert!(told.contains("1 row is there in older revisions too") && told.contains(mend), "{told}");
    base.query("SYSTEM START MERGES");
    base.query(mend);
    let told = base.ledger(&[]).demand(0).stdout;
    assert!(!told.contains("older revisions"), "{told}");
}

/// Nor is a gap that was agreed to; but it is told.
fn gaps_are_told(changed: &Changed, commit: &str, partition: &str) {
    let (base, place) = (&changed.base, format!("commit {commit}, {partition}"));
    let gap = format!("_commit >= {commit} AND partition = '{partition}' SETTINGS mutations_sync = 2");
    base.query(&format!("ALTER TABLE {{}}.rows_ledger UPDATE gaps = 1 WHERE {gap}"));
    let told = base.ledger(&[]).demand(0).stdout;
    assert!(told.contains(&format!("{place}: a gap between")) && told.ends_with("what was read adds up\n"), "{told}");
    base.query(&format!("ALTER TABLE {{}}.rows_ledger UPDATE gaps = 0 WHERE {gap}"));
}

/// A line of the smaller tables that one run has there twice is a fault; one of an older run beside it is none.
fn doubled_lines_are_found(changed: &Changed) {
    let base = &changed.base;
    let one_of = |table: &str| format!("(SELECT * FROM {{}}.{table} ORDER BY _commit LIMIT 1)");
    for (table, named) in [
        ("rows_rejects", "`changed`.`rows_rejects` at http"),
        ("rows_ledger", "`changed`.`rows_ledger` at http"),
        ("rows_ledger_minutes", "`changed`.`rows_ledger_minutes` at http"),
    ] {
        base.query(&format!("SYSTEM STOP MERGES {{}}.{table}"));
        let again = format!(
            "INSERT INTO {{}}.{table} SELECT * FROM {} SETTINGS insert_deduplication_token = 'again'",
            one_of(table)
        );
        changed.found(table, &again, &[named, "stored 2 times, by runs 1", "1 thing does not"]);
        let older = format!("INSERT INTO {{}}.{table} SELECT * REPLACE (0 AS _revision) FROM {}", one_of(table));
        base.query(&format!("SYSTEM STOP MERGES {{}}.{table}"));
        base.query(&older);
        let [all, newest] = ["", " FINAL"].map(|how| base.number(&format!("SELECT count() FROM {{}}.{table}{how}")));
        assert_eq!(all, newest + 1, "{table}: the older line is not there");
        base.ledger(&[]).demand(0);
        base.query("SYSTEM START MERGES");
    }
}

#[test]
fn whatever_is_changed_is_found_and_named() {
    let (server, place) = (ClickHouse::start(), scratch());
    let calm = calm(place.path());
    let base = Base::new(&server, "changed");
    base.pipeline(&calm, server.address()).run(2).demand(0);
    let changed = Changed::new(base);
    let (row, minute) = (&changed.row, changed.minute.as_str());
    let update = |what: &str| format!("ALTER TABLE {{}}.rows UPDATE {what} WHERE {row} SETTINGS mutations_sync = 2");

    changed.found("rows", &format!("DELETE FROM {{}}.rows WHERE {row}"), &[minute, "1 rows are missing"]);
    changed.found("rows", &update("count = count + 1"), &[minute, "the counts of its rows come to"]);
    changed.found("rows", &update("temperature_min = 1.5"), &[minute, "the content of its rows has hash"]);
    changed.found("rows", &update("temperature_min = NULL"), &[minute, "the content of its rows has hash"]);
    changed.found("rows", &update("_lane = 99"), &[minute, "1 rows are missing", "lane 99: 1 rows that count"]);

    // What is stored twice is one again after a merge.
    let source = row.split('\'').nth(3).unwrap();
    let key = format!("event_source_id {source}, window_start {}", row.split('\'').nth(1).unwrap());
    changed.base.query("SYSTEM STOP MERGES {}.rows");
    let again = format!(
        "INSERT INTO {{}}.rows SELECT * FROM {{}}.rows WHERE {row} SETTINGS insert_deduplication_token = 'another'"
    );
    changed.found("rows", &again, &[&key, "stored 2 times, by runs 1", "`changed`.`rows` at http", "1 thing does not"]);
    changed.base.query("SYSTEM STOP MERGES {}.rows");
    let newer = format!(
        "INSERT INTO {{}}.rows SELECT * REPLACE (9 AS _revision, 1.5 AS temperature_min) FROM {{}}.rows WHERE {row}"
    );
    let words =
        [minute, "the content of its rows has hash", "1 thing does not", "1 row is there in older revisions too"];
    changed.found("rows", &newer, &words);
    replaced_rows_are_told(&changed);

    doubled_lines_are_found(&changed);
    let line = changed
        .base
        .query("SELECT _commit, partition FROM {}.rows_ledger ORDER BY _commit, partition LIMIT 1 OFFSET 9");
    let (commit, partition) = line.split_once('\t').unwrap();
    let place = format!("commit {commit}, {partition}");
    let line = format!("_commit = {commit} AND partition = '{partition}'");
    changed.found(
        "rows_ledger",
        &format!("DELETE FROM {{}}.rows_ledger WHERE {line}"),
        &[partition, "a hole: it begins at"],
    );
    let read = format!("ALTER TABLE {{}}.rows_ledger UPDATE read = read + 3 WHERE {line} SETTINGS mutations_sync = 2");
    changed.found("rows_ledger", &read, &[&place, " read, but "]);

    gaps_are_told(&changed, commit, partition);

    let line = format!("window_start = '{}'", row.split('\'').nth(1).unwrap());
    let gone = format!("DELETE FROM {{}}.rows_ledger_minutes WHERE {line}");
    changed.found("rows_ledger_minutes", &gone, &[minute, "have no line in the ledger"]);
    for (what, words) in [("events", "events were folded"), ("rows", "rows are missing"), ("hash", "has hash")] {
        let more = format!(
            "ALTER TABLE {{}}.rows_ledger_minutes UPDATE {what} = {what} + 1 WHERE {line} SETTINGS mutations_sync = 2"
        );
        changed.found("rows_ledger_minutes", &more, &[minute, words]);
    }
    let gone = format!("DELETE FROM {{}}.rows_rejects WHERE partition = '{partition}'");
    changed.found("rows_rejects", &gone, &[partition, "rejects are missing"]);
}

#[test]
fn what_is_no_sink_is_told_with_what_to_do() {
    let server = ClickHouse::shared();
    let base = Base::new(server, "nothing");
    base.ledger(&[]).demand(78).demand_words(&["nothing.rows", "no such table", "--sink"]);
    let nobody = format!("clickhouse://127.0.0.1:9/{}.rows", base.name);
    base.ledger_of(&nobody, &[]).demand(69).demand_words(&["127.0.0.1:9", "looking at the columns"]);
    base.query("CREATE DATABASE {}");
    base.query("CREATE TABLE {}.rows (window_start DateTime, a UInt8) ENGINE = MergeTree ORDER BY a");
    base.ledger(&[]).demand(78).demand_words(&["it has other columns"]);
}

#[test]
fn a_table_that_only_the_environment_names_is_that_of_ddl_and_run_to_check_too() {
    let server = ClickHouse::shared();
    let base = Base::new(server, "environment");
    base.query("CREATE DATABASE {}");
    let folder = dataflow("sensors-compact").display().to_string();
    let statements = run(["ddl", &folder, "--database", "environment"]).demand(0).stdout;
    assert!(statements.contains("`environment`.`sensors_compact`"), "{statements}");
    statements.split(";\n").filter(|text| !text.trim().is_empty()).for_each(|text| {
        base.query(text.trim().trim_end_matches(';'));
    });
    let mut check = minuet(["check", &folder, "--connect"].map(str::to_owned).into_iter().chain(base.who()));
    check.env("CLICKHOUSE_URL", format!("{}/environment", server.url()));
    let told = Running::start(&mut check).end().demand(0).stdout;
    assert!(told.contains("they are what the plan writes"), "{told}");
}

#[test]
fn what_the_tables_have_let_go_for_its_age_is_not_missed() {
    let (server, place) = (&ClickHouse::start(), scratch());
    let settings = [("seed", "5"), ("events", "30000"), ("sources", "40"), ("rate", "1")];
    let calm = Undisturbed::generate("sensors", place.path(), &settings);
    let base = Base::new(server, "aged");
    base.pipeline(&calm, server.address()).run(2).demand(0);
    let all = base.number("SELECT count() FROM {}.rows");
    // Half of the rows go, of the ledger only some lines of the oldest minutes.
    let age =
        base.number("SELECT toUnixTimestamp(now()) - toUnixTimestamp(quantileExact(0.5)(window_start)) FROM {}.rows");
    for (table, seconds) in [("rows", age), ("rows_ledger_minutes", age + 3_600)] {
        let keep = format!("MODIFY TTL window_start + toIntervalSecond({seconds}) SETTINGS mutations_sync = 2");
        base.query(&format!("ALTER TABLE {{}}.{table} {keep}"));
    }
    let left = base.number("SELECT count() FROM {}.rows");
    assert!(left < all && left > all / 3, "{left} of {all} rows are left");
    let told = base.ledger(&[]).demand(0).stdout;
    assert!(told.contains("minutes before") && told.contains("are not looked at"), "{told}");
    let looked_at = base.ledger(&["--json"]).demand(0);
    let report: Value = serde_json::from_str(&looked_at.stdout).unwrap();
    assert!(report["rows"].as_u64().is_some_and(|rows| rows > 1_000 && rows < left), "{report}");
    // A pipeline that is younger than its ledger's lines may become has all of them.
    for table in ["rows_ledger", "rows_rejects"] {
        base.query(&format!("ALTER TABLE {{}}.{table} MODIFY TTL written_at + toIntervalDay(1)"));
    }
    let oldest = "SELECT min(_commit) FROM {}.rows_ledger WHERE _commit > 0";
    let commit = base.number(oldest);
    assert!(!base.ledger(&[]).demand(0).stdout.contains("commits before"));
    base.query(&format!("DELETE FROM {{}}.rows_ledger WHERE _commit <= {commit}"));
    base.ledger(&[]).demand(65);
    base.query("ALTER TABLE {}.rows_runs UPDATE written_at = written_at - 99999 WHERE 1 SETTINGS mutations_sync = 2");
    base.query(&format!("ALTER TABLE {{}}.rows_ledger UPDATE written_at = written_at - 99999 WHERE _commit <= {commit} + 5 SETTINGS mutations_sync = 2"));
    let told = base.ledger(&[]).demand(0).stdout;
    assert!(told.contains("commits before"), "{told}");
}

#[test]
fn a_run_whose_number_another_has_is_refused() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "twins");
    let mut pipeline = base.pipeline(&calm, server.address());
    pipeline.flags.extend(["--keep", "1000"].map(str::to_owned));
    pipeline.run(2).demand(0);
    base.query(
        "INSERT INTO {}.rows_runs SELECT * REPLACE (attempt + 1 AS attempt, 'ghost' AS owner) FROM {}.rows_runs",
    );
    let words = ["another run 2 of pipeline 'sensors'", "owner ghost", "the state was copied", "--fresh"];
    pipeline.run_with(3, &["--from", "2"]).demand(78).demand_words(&words);
    base.demand(&calm, "refused");
}

#[test]
fn rows_in_doubt_that_are_older_than_the_table_keeps_are_not_missed() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "old_doubt");
    let (pipeline, _) = doubt(&base, &calm, server);
    for table in ["rows", "rows_ledger_minutes"] {
        let old = "MODIFY TTL window_start + toIntervalSecond(1) SETTINGS mutations_sync = 2";
        base.query(&format!("ALTER TABLE {{}}.{table} {old}"));
    }
    assert_eq!(base.number("SELECT count() FROM {}.rows"), 0, "the events are of the past");
    let ended = pipeline.run(3).demand(0).demand_words(&["older than the table keeps"]);
    assert!(!ended.stderr.contains("storing it under another token"), "{}", ended.stderr);
    base.ledger(&[]).demand(0);
}
