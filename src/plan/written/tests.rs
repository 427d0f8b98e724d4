use proptest::prelude::*;

use super::super::problem::{Problem, Problems};
use super::Written;
use crate::aggregate::Statistic;
use crate::limits::{
    IDLE_AFTER_DEFAULT_MS, KEY_GROUPS_DEFAULT, LANES_DEFAULT, MAX_AHEAD_DEFAULT_MS, ROWS_PER_INSERT_DEFAULT,
};

const SMALL: &str = r#"
version = 1
[event]
schema = "schema.avsc"
source = "id"
[window]
out_of_order = "5s"
"#;

const FULL: &str = r#"
version = 1
[event]
schema = "schema.avsc"
source = { field = "sensorId", format = "sensor_{}", name = "sensor" }
time = "meta.at"
[window]
out_of_order = "500ms"
max_ahead = "1h"
idle_after = "1d"
[[measures]]
field = "temperature"
as = ["avg", "min"]
names = { avg = "mean_temperature" }
[[measures]]
field = "delays.dep"
name = "dep_delay"
as = ["share"]
[[labels]]
field = "status"
pick = "first"
name = "state"
map = { "-1" = "off", "1" = "on" }
format = "<{}>"
[[labels]]
field = "kind"
[state]
key_groups = 64
[output]
lanes = 2
rows_per_insert = 10
"#;

fn read(text: &str) -> (Written, Vec<Problem>) {
    let mut problems = Problems::of("dataflow.toml");
    let written = Written::read(&text.parse().expect("the test's text is TOML"), &mut problems);
    (written, problems.into_list())
}

/// Keys of the problems of a text.
fn keys(text: &str) -> Vec<String> {
    read(text).1.into_iter().map(|problem| problem.key).collect()
}

/// The one problem that comes of replacing a part of the full text.
fn one(from: &str, to: &str) -> Problem {
    assert!(FULL.contains(from), "{from}");
    let (_, mut problems) = read(&FULL.replacen(from, to, 1));
    assert_eq!(problems.len(), 1, "{to}: {problems:#?}");
    problems.remove(0)
}

#[test]
fn a_small_file_takes_the_defaults() {
    let (written, problems) = read(SMALL);
    assert_eq!(problems, []);
    assert_eq!(written.schema.as_deref(), Some("schema.avsc"));
    let source = written.source.unwrap();
    assert_eq!((source.key.as_str(), source.field.as_str()), ("event.source", "id"));
    assert_eq!((written.time, written.measures.len(), written.labels.len()), (None, 0, 0));
    assert_eq!(written.window.out_of_order, 5_000);
    assert_eq!(written.window.max_ahead, MAX_AHEAD_DEFAULT_MS);
    assert_eq!(written.window.idle_after, IDLE_AFTER_DEFAULT_MS);
    let numbers = (written.key_groups, written.lanes, written.rows_per_insert);
    assert_eq!(numbers, (KEY_GROUPS_DEFAULT, LANES_DEFAULT, ROWS_PER_INSERT_DEFAULT));
}

#[test]
fn a_full_file_is_read_as_written() {
    let (written, problems) = read(FULL);
    assert_eq!(problems, []);
    let source = written.source.unwrap();
    assert_eq!((source.key.as_str(), source.field.as_str()), ("event.source.field", "sensorId"));
    assert_eq!((source.format.as_deref(), source.name.as_deref()), (Some("sensor_{}"), Some("sensor")));
    assert_eq!(written.time.as_deref(), Some("meta.at"));
    let window = (written.window.out_of_order, written.window.max_ahead, written.window.idle_after);
    assert_eq!(window, (500, 3_600_000, 86_400_000));
    let measure = &written.measures[0];
    assert_eq!(measure.key, "measures[0]");
    let statistics =
        [("measures[0].as[0]".to_owned(), Statistic::Avg), ("measures[0].as[1]".to_owned(), Statistic::Min)];
    assert_eq!(measure.statistics, statistics);
    assert_eq!(measure.names["avg"], "mean_temperature");
    assert_eq!(written.measures[1].name.as_deref(), Some("dep_delay"));
    let label = &written.labels[0];
    assert_eq!((label.key.as_str(), label.pick, label.name.as_deref()), ("labels[0]", Statistic::First, Some("state")));
    assert_eq!(label.map.as_ref().unwrap()[&-1], "off");
    assert_eq!(label.format.as_deref(), Some("<{}>"));
    assert_eq!(written.labels[1].pick, Statistic::Last);
    assert_eq!((written.key_groups, written.lanes, written.rows_per_insert), (64, 2, 10));
}

#[test]
fn an_empty_file_lacks_all_that_is_needed() {
    assert_eq!(keys(""), ["version", "event", "window"]);
    assert_eq!(keys("version = 1\n[event]\n[window]"), ["event.schema", "event.source", "window.out_of_order"]);
    assert_eq!(
        keys(&format!("{SMALL}\n[[measures]]\n[[labels]]")),
        ["measures[0].field", "measures[0].as", "labels[0].field"]
    );
}

#[test]
fn unknown_keys_are_refused_with_what_was_meant() {
    let cases = [
        ("[state]", "[stat]", "stat", "state"),
        ("time =", "tiem =", "event.tiem", "time"),
        ("format = \"sensor_{}\"", "fromat = \"x\"", "event.source.fromat", "format"),
        ("max_ahead", "max_aheed", "window.max_aheed", "max_ahead"),
        ("names =", "nams =", "measures[0].nams", "names"),
        ("pick =", "Pick =", "labels[0].Pick", "pick"),
        ("key_groups", "keygroups", "state.keygroups", "key_groups"),
        ("rows_per_insert", "row_per_insert", "output.row_per_insert", "rows_per_insert"),
    ];
    for (from, to, key, near) in cases {
        let problem = one(from, to);
        assert_eq!((problem.key.as_str(), problem.did_you_mean.as_deref()), (key, Some(near)));
    }
    assert_eq!(one("[state]", "[zebra]").did_you_mean, None);
}

#[test]
fn a_key_that_is_there_already_is_not_what_was_meant() {
    let problem = one("time =", "sourze = \"id\"\ntime =");
    assert_eq!((problem.key.as_str(), problem.did_you_mean), ("event.sourze", None));
}

#[test]
fn wrong_types_are_named() {
    let cases = [
        ("version = 1", "version = 2", "version", "the number 2"),
        ("version = 1", "version = \"1\"", "version", "the text \"1\""),
        ("schema = \"schema.avsc\"", "schema = 3", "event.schema", "the number 3"),
        ("schema = \"schema.avsc\"", "schema = \"\"", "event.schema", "an empty text"),
        ("time = \"meta.at\"", "time = true", "event.time", "true"),
        ("\"500ms\"", "1.5", "window.out_of_order", "the number 1.5"),
        ("\"500ms\"", "2026-01-01", "window.out_of_order", "the date or time 2026-01-01"),
        ("[\"share\"]", "\"share\"", "measures[1].as", "the text \"share\""),
        ("[\"share\"]", "[]", "measures[1].as", "an empty array"),
        ("[\"share\"]", "[7]", "measures[1].as[0]", "the number 7"),
        ("{ avg = \"mean_temperature\" }", "{ avg = 1 }", "measures[0].names.avg", "the number 1"),
        ("pick = \"first\"", "pick = \"middle\"", "labels[0].pick", "the text \"middle\""),
        ("\"on\" }", "[] }", "labels[0].map.1", "an empty array"),
    ];
    for (from, to, key, found) in cases {
        let problem = one(from, to);
        assert_eq!((problem.key.as_str(), problem.found.as_str()), (key, found));
    }
}

#[test]
fn a_table_where_an_array_of_tables_belongs() {
    let problems = read(&format!("labels = 1\n{SMALL}\n[measures]\nfield = \"a\"")).1;
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["measures", "labels"]);
    assert!(problems[0].allowed.contains("[[measures]]"));
    assert_eq!(keys_of_scalars(), ["measures[0]", "measures[1]"]);
}

fn keys_of_scalars() -> Vec<String> {
    keys(&format!("measures = [1, \"a\"]\n{SMALL}"))
}

#[test]
fn durations_without_a_unit_are_refused_with_one() {
    let problem = one("\"500ms\"", "5");
    assert_eq!(problem.key, "window.out_of_order");
    assert_eq!(problem.did_you_mean.as_deref(), Some("5s"));
    assert!(problem.allowed.contains("from 0s to 1d"), "{problem}");
    assert!(one("\"1d\"", "\"0s\"").allowed.contains("from 1ms to 1d"));
    assert_eq!(one("\"1d\"", "\"25h\"").key, "window.idle_after");
}

#[test]
fn bounds_of_numbers_hold() {
    for (from, tos) in [
        ("key_groups = 64", ["key_groups = 0", "key_groups = 32769", "key_groups = -1"]),
        ("lanes = 2", ["lanes = 0", "lanes = 257", "lanes = 99999999999"]),
        ("rows_per_insert = 10", ["rows_per_insert = 0", "rows_per_insert = 1000001", "rows_per_insert = 1.0"]),
    ] {
        for to in tos {
            assert!(one(from, to).allowed.starts_with("a whole number from 1 to "), "{to}");
        }
    }
}

#[test]
fn a_misspelt_statistic_is_one_problem_and_its_name_none() {
    let problem = one("\"avg\"", "\"agv\"");
    assert_eq!((problem.key.as_str(), problem.did_you_mean.as_deref()), ("measures[0].as[0]", Some("avg")));
}

#[test]
fn a_statistic_twice_or_a_name_for_none() {
    let twice = one("[\"share\"]", "[\"share\", \"share\"]");
    assert_eq!((twice.key.as_str(), twice.found.as_str()), ("measures[1].as[1]", "the text \"share\" a second time"));
    let unused = one("{ avg =", "{ max = \"m\", avg =");
    assert_eq!((unused.key.as_str(), unused.allowed.as_str()), ("measures[0].names.max", "avg, min"));
}

#[test]
fn formats_have_one_place_for_the_value() {
    for (from, to) in [("\"<{}>\"", "\"<>\""), ("\"<{}>\"", "\"{}{}\""), ("\"sensor_{}\"", "\"sensor_{0}\"")] {
        assert_eq!(one(from, to).allowed, "a text with exactly one {} in it");
    }
}

#[test]
fn map_keys_are_whole_numbers_written_one_way() {
    for key in ["one", "1.0", "01", "+2", " 1", "", "9223372036854775808"] {
        let problem = one("\"-1\" =", &format!("{key:?} ="));
        assert_eq!(problem.found, format!("the key {key:?}"));
    }
    assert_eq!(one("{ \"-1\" = \"off\", \"1\" = \"on\" }", "{}").found, "an empty table");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = r#"
        version = 3
        surprise = 1
        [event]
        source = 1
        [window]
        out_of_order = "x"
        max_ahead = -1
        [[measures]]
        as = ["agv", "sum"]
        [[labels]]
        field = []
        map = 1
        [output]
        lanes = 0
    "#;
    let expected = [
        "surprise",
        "version",
        "event.schema",
        "event.source",
        "window.out_of_order",
        "window.max_ahead",
        "measures[0].field",
        "measures[0].as[0]",
        "labels[0].field",
        "labels[0].map",
        "output.lanes",
    ];
    assert_eq!(keys(text), expected);
}

/// Any TOML value, a few levels deep, with keys that often mean something.
fn any_value() -> impl Strategy<Value = toml::Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(toml::Value::from),
        any::<bool>().prop_map(toml::Value::from),
        any::<f64>().prop_map(toml::Value::from),
        prop_oneof!["[a-z{}0-9]{0,6}", "avg|last|first|5s|id"].prop_map(toml::Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::from),
            prop::collection::btree_map(any_key(), inner, 0..6)
                .prop_map(|pairs| toml::Value::Table(pairs.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    "version|event|window|measures|labels|state|output|schema|source|time|field|format|name|names|as|pick|map|lanes|[a-z1]{1,3}"
}

proptest! {
    #[test]
    fn no_file_panics(pairs in prop::collection::btree_map(any_key(), any_value(), 0..8)) {
        let table: toml::Table = pairs.into_iter().collect();
        Written::read(&table, &mut Problems::of("dataflow.toml"));
    }
}
