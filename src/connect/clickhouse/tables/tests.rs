use super::*;

#[test]
fn names_are_quoted_whatever_is_in_them() {
    assert_eq!(quoted("a"), "`a`");
    assert_eq!(quoted("a`b\\c"), "`a\\`b\\\\c`");
}

#[test]
fn what_an_insert_gives_leaves_out_the_time_of_writing() {
    let table = rejects("t");
    assert_eq!(table.given().count(), table.columns.len() - 1);
    assert_eq!(minutes("t").given().count(), minutes("t").columns.len());
}

#[test]
fn days_are_kept_apart_only_where_a_key_has_one_day() {
    let tables = [rejects("t"), ledger("t"), minutes("t"), runs("t")];
    for table in tables {
        let parted = table.time.is_some_and(|time| time.partitions);
        assert_eq!(parted, table.key.iter().any(|name| name == "window_start"), "{}", table.name);
        assert!(table.key.iter().all(|key| table.columns.iter().any(|(name, _)| name == key)), "{}", table.name);
        assert!(table.columns.iter().any(|(name, _)| name == table.version), "{}", table.name);
    }
}

#[test]
fn the_replicated_form_has_windows_of_its_own() {
    let form = Form { replicated: true, ttl_days: Some(30) };
    let tables = Tables {
        database: Some("d".into()),
        rows: minutes("t"),
        rejects: rejects("t"),
        ledger: ledger("t"),
        minutes: minutes("t"),
        runs: runs("t"),
    };
    let text = tables.create(&tables.minutes, form);
    for words in [
        "CREATE TABLE IF NOT EXISTS `d`.`t_ledger_minutes`",
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', _revision)",
        "TTL window_start + toIntervalDay(30)",
        "SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800",
    ] {
        assert!(text.contains(words), "{words} is missing in {text}");
    }
    assert!(!tables.create(&tables.runs, form).contains("TTL"), "runs are kept");
}
