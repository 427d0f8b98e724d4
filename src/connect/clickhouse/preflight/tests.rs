use super::*;
use crate::aggregate::{Layout, SourceKind};

fn tables() -> Tables {
    Tables::new(Some("d"), "t", &Layout::new("who", SourceKind::Text, Vec::new(), Vec::new()))
}

/// The table of rows as it is described when it was made by us.
fn right() -> Found {
    Found {
        engine: "ReplacingMergeTree".into(),
        full: "ReplacingMergeTree(_revision) PARTITION BY toDate(window_start) ORDER BY (who, window_start) \
               SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 8192"
            .into(),
        sorting_key: "who, window_start".into(),
        columns: tables().rows.columns.into_iter().collect(),
    }
}

fn problems(found: &Found) -> Vec<Problem> {
    compare(&tables(), &tables().rows, found)
}

#[test]
fn tables_that_are_as_they_are_made_have_no_problems() {
    assert_eq!(problems(&right()), []);
}

#[test]
fn columns_are_added_and_changed_but_for_those_of_the_key() {
    let mut found = right();
    found.columns.remove("count");
    found.columns.insert("_commit".into(), "UInt32".into());
    found.columns.insert("who".into(), "LowCardinality(String)".into());
    found.columns.insert("more".into(), "String".into());
    let mends: Vec<String> = problems(&found).into_iter().map(|problem| problem.mend).collect();
    assert_eq!(mends.len(), 3, "{mends:?}");
    assert!(mends[0].starts_with("RENAME TABLE `d`.`t` TO `d`.`t_before`;"), "{mends:?}");
    assert_eq!(mends[1], "ALTER TABLE `d`.`t` ADD COLUMN `count` UInt64 AFTER `who`;");
    assert_eq!(mends[2], "ALTER TABLE `d`.`t` MODIFY COLUMN `_commit` UInt64;");
}

#[test]
fn engine_and_key_must_be_those_that_replace_rows() {
    for (engine, full) in [
        ("MergeTree", "MergeTree ORDER BY (who, window_start)"),
        (
            "ReplacingMergeTree",
            "ReplacingMergeTree ORDER BY (who, window_start) SETTINGS non_replicated_deduplication_window = 10000",
        ),
        (
            "ReplacingMergeTree",
            "ReplacingMergeTree(count) ORDER BY x SETTINGS non_replicated_deduplication_window = 10000",
        ),
    ] {
        let found = Found { engine: engine.into(), full: full.into(), ..right() };
        let problems = problems(&found);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].what.contains("needed is ReplacingMergeTree(_revision)"), "{problems:?}");
    }
    let found = Found { sorting_key: "window_start, who".into(), ..right() };
    assert!(problems(&found)[0].what.contains("needed is (who, window_start)"));
}

#[test]
fn windows_must_reach_over_an_outage() {
    let with = |engine: &str, settings: &str| {
        let full = format!("{engine}(_revision) ORDER BY x SETTINGS {settings}index_granularity = 8192");
        problems(&Found { engine: engine.into(), full, ..right() }).into_iter().map(|one| one.mend).collect::<Vec<_>>()
    };
    let plain = "ALTER TABLE `d`.`t` MODIFY SETTING non_replicated_deduplication_window = 10000;";
    assert_eq!(with("ReplacingMergeTree", ""), [plain]);
    assert_eq!(with("ReplacingMergeTree", "non_replicated_deduplication_window = 999, "), [plain]);
    assert!(with("ReplacingMergeTree", "non_replicated_deduplication_window = 1000, ").is_empty());
    let seconds = "ALTER TABLE `d`.`t` MODIFY SETTING replicated_deduplication_window_seconds = 604800;";
    assert_eq!(with("ReplicatedReplacingMergeTree", ""), [seconds]);
    assert!(with("SharedReplacingMergeTree", "replicated_deduplication_window_seconds = 604800, ").is_empty());
}
