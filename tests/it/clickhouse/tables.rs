//! The tables: made by hand, by `--create-tables`, wrong, mended, foreign.

use super::rounds::calm;
use super::setup::Base;
use crate::harness::{Pipeline, dataflow, project, run, scratch};
use crate::servers::ClickHouse;

const DATAFLOWS: [&str; 4] = ["departures", "orders", "sensors", "sensors-compact"];

#[test]
fn each_dataflows_tables_are_what_ddl_prints_and_the_engine_takes_them() {
    let server = ClickHouse::shared();
    for name in DATAFLOWS {
        let printed = run([&"ddl".into(), &dataflow(name)]).demand(0).stdout;
        let kept = std::fs::read_to_string(dataflow(name).join("table.sql")).unwrap();
        assert_eq!(printed, kept, "write it anew: minuet ddl dataflows/{name} > dataflows/{name}/table.sql");
        let database = format!("ddl_{}", name.replace('-', "_"));
        let table = name.replace('-', "_");
        let arguments = ["--database", &database, "--ttl-days", "30"].map(std::path::PathBuf::from);
        let arguments = ["ddl".into(), dataflow(name)].into_iter().chain(arguments);
        let statements = run(arguments).demand(0).stdout;
        server.query(&format!("CREATE DATABASE {database}"));
        statements.split(";\n").filter(|text| !text.trim().is_empty()).for_each(|text| {
            server.query(text.trim().trim_end_matches(';'));
        });
        assert_eq!(server.query(&format!("SELECT count() FROM {database}.{table}_newest")), "0");
        // What `minuet ddl` makes is what a run takes.
        let engine =
            format!("SELECT engine_full FROM system.tables WHERE database = '{database}' AND name = '{table}'");
        assert!(server.query(&engine).contains("TTL window_start + toIntervalDay(30)"), "{}", server.query(&engine));
    }
}

#[test]
fn the_departures_are_those_of_the_oracle() {
    let server = ClickHouse::shared();
    let base = Base::new(server, "oracle");
    let data = project().join("tests/data/flights");
    let files = crate::harness::files(&data, &[".avro"]);
    let expected = crate::oracle::expected(&dataflow("departures"), &files);
    let calm = crate::harness::Undisturbed {
        dataflow: dataflow("departures"),
        source: data.join("part-*.avro").display().to_string(),
        rows: expected.rows,
        summary: expected.summary,
        took: std::time::Duration::ZERO,
    };
    base.pipeline(&calm, server.address()).run(2).demand(0);
    base.demand(&calm, "oracle");
    assert!(base.number("SELECT count() FROM {}.rows_rejects") > 0);
}

#[test]
fn what_is_wrong_with_the_tables_is_shown_at_once_and_its_statements_mend_it() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "wrong");
    let pipeline = base.pipeline(&calm, server.address());
    let database =
        ["ddl".into(), dataflow("sensors"), "--database".into(), "wrong".into(), "--table".into(), "rows".into()];
    let right = run(database).demand(0).stdout;
    base.query("CREATE DATABASE {}");
    let wrong = right
        .replace("    `temperature_min`       Nullable(Float64),\n", "")
        .replace("`humidity_avg`          Nullable(Float64)", "`humidity_avg` Nullable(Float32)")
        .replacen("SETTINGS non_replicated_deduplication_window = 10000", "SETTINGS index_granularity = 8192", 1)
        .replace("`reason`     LowCardinality(String)", "`reason` String");
    for statement in wrong.split(";\n").filter(|text| text.contains("CREATE TABLE")) {
        server.query(statement.trim());
    }
    let said = pipeline.run(1).demand(78).demand_words(&["4 problems"]).stderr;
    let mends: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with("ALTER TABLE")).collect();
    assert_eq!(mends.len(), 4, "{said}");
    mends.iter().for_each(|mend| {
        server.query(mend.trim_end_matches(';'));
    });
    pipeline.run(1).demand(0);
    base.demand(&calm, "mended");
}

#[test]
fn tables_that_cannot_be_altered_are_named_with_the_way_out() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "engine");
    base.query("CREATE DATABASE {}");
    base.query("CREATE TABLE {}.rows (window_start DateTime('UTC')) ENGINE = MergeTree ORDER BY window_start");
    let ended = base.pipeline(&calm, server.address()).run(1).demand(78);
    let words = [
        "needed is replacingmergetree(_revision)",
        "rename table `engine`.`rows`",
        "needed is (event_source_id, window_start)",
    ];
    let said = ended.demand_words(&words).stderr;
    let rename = said.lines().map(str::trim).find(|line| line.starts_with("RENAME TABLE")).unwrap();
    base.query(rename.split(';').next().unwrap());
    base.pipeline(&calm, server.address()).run(1).demand(0);
    base.demand(&calm, "renamed");
}

#[test]
fn a_table_has_one_pipeline_and_one_life() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "owned");
    let pipeline = base.pipeline(&calm, server.address());
    pipeline.run(1).demand(0);
    // Nothing is left to do, and that is no reason to write anything.
    pipeline.run(2).demand(0);
    base.demand(&calm, "again");
    let elsewhere = Pipeline { state: base.place().join("elsewhere"), ..pipeline.clone() };
    elsewhere.run(1).demand(78).demand_words(&["belongs to pipeline 'sensors'", "--fresh"]);
    elsewhere.run_with(1, &["--fresh"]).demand(0);
    base.demand(&calm, "afresh");
    pipeline.run(1).demand(78).demand_words(&["belong to another state"]);
    let other = base.place().join("other");
    let copied = other.join("sensors-too");
    std::fs::create_dir_all(&copied).unwrap();
    for file in ["dataflow.toml", "schema.avsc"] {
        std::fs::copy(dataflow("sensors").join(file), copied.join(file)).unwrap();
    }
    let stranger = Pipeline { dataflow: copied, state: other.join("state"), ..pipeline };
    stranger.run_with(1, &["--fresh"]).demand(78).demand_words(&["rows of pipeline 'sensors'"]);
    base.demand(&calm, "kept");
}
