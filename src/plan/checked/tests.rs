use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::{Plan, Problem};
use super::load;
use crate::aggregate::{Column, ColumnType};
use crate::limits::DATAFLOW_FILE_BYTES_MAX;

const SCHEMA: &str = r#"{"type": "record", "name": "Reading", "fields": [
    {"name": "id", "type": "string"},
    {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
    {"name": "count_of_day", "type": "int"},
    {"name": "temperature", "type": "double"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "on", "type": "boolean"},
    {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "inner", "type": ["null", {"type": "record", "name": "Inner", "fields": [{"name": "depth", "type": "long"}]}]}]}"#;

const DATAFLOW: &str = r#"
version = 1
[event]
schema = "schema.avsc"
source = "id"
time = "at"
[window]
out_of_order = "5s"
[[measures]]
field = "temperature"
as = ["avg", "min"]
[[measures]]
field = "price"
as = ["sum"]
[[measures]]
field = "inner.depth"
as = ["max", "count"]
[[measures]]
field = "on"
as = ["share"]
[[labels]]
field = "colour"
"#;

/// A dataflow's folder of this name.
fn folder(name: &str, dataflow: &str, schema: &str) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("dataflow.toml"), dataflow).unwrap();
    fs::write(dir.join("schema.avsc"), schema).unwrap();
    (place, dir)
}

fn loaded(dataflow: &str, schema: &str) -> Plan {
    let (_place, dir) = folder("readings", dataflow, schema);
    load(&dir).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn refused(dir: &Path) -> Vec<Problem> {
    load(dir).expect_err("the folder has problems")
}

/// The problems of a folder as file (its name alone) and key.
fn places(dataflow: &str, schema: &str) -> Vec<(String, String)> {
    let (_place, dir) = folder("readings", dataflow, schema);
    let place = |problem: Problem| {
        let file = Path::new(&problem.file).file_name().unwrap().to_string_lossy().into_owned();
        (file, problem.key)
    };
    refused(&dir).into_iter().map(place).collect()
}

fn pair(file: &str, key: &str) -> (String, String) {
    (file.to_owned(), key.to_owned())
}

fn column(name: &str, kind: ColumnType, nullable: bool) -> Column {
    Column { name: name.to_owned(), kind, nullable }
}

#[test]
fn a_dataflow_without_problems_becomes_a_plan() {
    let plan = loaded(DATAFLOW, SCHEMA);
    assert_eq!(plan.name, "readings");
    assert_eq!((plan.out_of_order, plan.max_ahead, plan.idle_after), (5_000, 600_000, 30_000));
    assert_eq!((plan.key_groups, plan.lanes, plan.rows_per_insert), (256, 4, 100_000));
    assert_eq!(plan.selection.source, "id");
    assert_eq!(plan.selection.time.as_deref(), Some("at"));
    assert_eq!(plan.selection.fields, ["temperature", "price", "inner.depth", "on", "colour"]);
    let columns = plan.layout.columns();
    assert_eq!(columns[0], column("window_start", ColumnType::DateTime, false));
    assert_eq!((columns[1].name.as_str(), columns[1].nullable), ("id", false));
    assert_eq!(columns[2], column("count", ColumnType::UInt64, false));
    assert_eq!(columns[3], column("temperature_avg", ColumnType::Float64, true));
    assert_eq!((columns[5].name.as_str(), &columns[5].kind), ("price_sum", &ColumnType::Decimal { scale: 2 }));
    assert_eq!(columns[6], column("depth_max", ColumnType::Int64, true));
    assert_eq!(columns[7], column("depth_count", ColumnType::UInt64, false));
    assert_eq!(columns[8], column("on_share", ColumnType::Float64, true));
    assert_eq!(columns[9].name, "colour");
    assert_eq!(columns.len(), 10);
    assert_eq!(plan.fingerprint.len(), 64);
}

#[test]
fn a_folder_that_is_none() {
    let place = tempfile::tempdir().unwrap();
    let missing = refused(&place.path().join("missing"));
    assert_eq!(missing.len(), 1);
    assert!(missing[0].found.starts_with("no folder that can be opened"), "{}", missing[0]);
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(refused(&file)[0].found, "a file");
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let problems = refused(&empty);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].file.ends_with("dataflow.toml"));
    assert!(problems[0].found.starts_with("no file that can be read"));
}

#[test]
fn names_of_folders_are_names_of_pipelines() {
    for name in ["Readings", "a_b", "a b", "größe", &"a".repeat(65)] {
        let (_place, dir) = folder(name, DATAFLOW, SCHEMA);
        let problems = refused(&dir);
        assert_eq!(problems.len(), 1, "{name}");
        assert!(problems[0].found.contains(name), "{}", problems[0]);
    }
    for name in ["a", "0-x", &"a".repeat(64)] {
        let (_place, dir) = folder(name, DATAFLOW, SCHEMA);
        assert_eq!(load(&dir.join(".")).unwrap().name, name);
    }
}

#[test]
fn files_that_cannot_be_read_as_text() {
    assert_eq!(places("version = ", SCHEMA), [pair("dataflow.toml", "")]);
    let long = format!("{DATAFLOW}#{}", "x".repeat(DATAFLOW_FILE_BYTES_MAX));
    assert_eq!(places(&long, SCHEMA), [pair("dataflow.toml", "")]);
    let (_place, dir) = folder("readings", DATAFLOW, SCHEMA);
    fs::write(dir.join("schema.avsc"), [b'{', 0xff]).unwrap();
    assert_eq!(refused(&dir)[0].found, "a byte at offset 1 that is not UTF-8");
    fs::remove_file(dir.join("schema.avsc")).unwrap();
    fs::create_dir(dir.join("schema.avsc")).unwrap();
    assert!(refused(&dir)[0].file.ends_with("schema.avsc"));
}

#[test]
fn a_schema_outside_of_the_folder_is_refused() {
    for file in ["../schema.avsc", "/etc/passwd", "a/../../schema.avsc"] {
        let text = DATAFLOW.replace("schema.avsc", file);
        assert_eq!(places(&text, SCHEMA), [pair("dataflow.toml", "event.schema")], "{file}");
    }
    assert_eq!(places(&DATAFLOW.replace("schema.avsc", "other.avsc"), SCHEMA), [pair("other.avsc", "")]);
}

#[test]
fn a_broken_schema_hides_no_problem_of_the_keys() {
    let text = DATAFLOW.replace("version = 1", "version = 2").replace("\"avg\"", "\"mean\"");
    let expected =
        [pair("schema.avsc", ""), pair("dataflow.toml", "version"), pair("dataflow.toml", "measures[0].as[0]")];
    for schema in ["{", "\"string\"", "{\"type\": \"record\"}", ""] {
        assert_eq!(places(&text, schema), expected, "{schema}");
    }
}

#[test]
fn problems_of_keys_and_of_fields_come_together() {
    let text = DATAFLOW
        .replace("time = \"at\"", "time = \"att\"")
        .replace("\"temperature\"", "\"temprature\"")
        .replace("\"inner.depth\"", "\"inner\"")
        .replace("\"5s\"", "5")
        .replace("\"colour\"", "\"tags\"");
    let (_place, dir) = folder("readings", &text, SCHEMA);
    let problems = refused(&dir);
    let found: Vec<(&str, Option<&str>)> =
        problems.iter().map(|problem| (problem.key.as_str(), problem.did_you_mean.as_deref())).collect();
    let expected = [
        ("window.out_of_order", Some("5s")),
        ("event.time", Some("at")),
        ("measures[0].field", Some("temperature")),
        ("measures[2].field", None),
        ("labels[0].field", None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_time_that_cannot_be_counted_is_refused_at_its_key() {
    let text = DATAFLOW.replace("time = \"at\"", "time = \"count_of_day\"");
    assert_eq!(places(&text, SCHEMA), [pair("dataflow.toml", "event.time")]);
}

#[test]
fn the_fingerprint_tells_what_changes_rows() {
    let base = loaded(DATAFLOW, SCHEMA).fingerprint;
    let same = [
        (format!("# a comment\n{DATAFLOW}"), SCHEMA.to_owned()),
        (DATAFLOW.replace("\"5s\"", "\"5000ms\"\nidle_after = \"1h\""), SCHEMA.to_owned()),
        (format!("{DATAFLOW}\n[output]\nrows_per_insert = 7"), SCHEMA.to_owned()),
        (format!("{DATAFLOW}\n[state]\nkey_groups = 256"), SCHEMA.to_owned()),
        (DATAFLOW.to_owned(), SCHEMA.replace("\"Reading\",", "\"Reading\", \"doc\": \"words\",")),
    ];
    for (dataflow, schema) in same {
        assert_eq!(loaded(&dataflow, &schema).fingerprint, base, "{dataflow}");
    }
    let different = [
        (DATAFLOW.replace("\"5s\"", "\"6s\""), SCHEMA.to_owned()),
        (DATAFLOW.replace("\"5s\"", "\"5s\"\nmax_ahead = \"1m\""), SCHEMA.to_owned()),
        (DATAFLOW.replace("\"min\"", "\"max\""), SCHEMA.to_owned()),
        (DATAFLOW.replace("[\"avg\", \"min\"]", "[\"min\", \"avg\"]"), SCHEMA.to_owned()),
        (DATAFLOW.replace("time = \"at\"", ""), SCHEMA.to_owned()),
        (DATAFLOW.replace("\"id\"", "\"count_of_day\""), SCHEMA.to_owned()),
        (DATAFLOW.replace("\"id\"", "{ field = \"id\", name = \"sensor\" }"), SCHEMA.to_owned()),
        (format!("{DATAFLOW}pick = \"first\""), SCHEMA.to_owned()),
        (format!("{DATAFLOW}name = \"hue\""), SCHEMA.to_owned()),
        (format!("{DATAFLOW}format = \"<{{}}>\""), SCHEMA.to_owned()),
        (format!("{DATAFLOW}\n[state]\nkey_groups = 128"), SCHEMA.to_owned()),
        (format!("{DATAFLOW}\n[output]\nlanes = 8"), SCHEMA.to_owned()),
        (DATAFLOW.to_owned(), SCHEMA.replace("timestamp-millis", "timestamp-micros")),
        (DATAFLOW.to_owned(), SCHEMA.replace("\"BLUE\"", "\"GREEN\"")),
        (DATAFLOW.to_owned(), SCHEMA.replace("\"scale\": 2", "\"scale\": 3")),
    ];
    let count = different.len();
    let mut seen = BTreeSet::from([base]);
    for (dataflow, schema) in different {
        assert!(seen.insert(loaded(&dataflow, &schema).fingerprint), "{dataflow}\n{schema}");
    }
    assert_eq!(seen.len(), count + 1);
}

fn shipped() -> Vec<PathBuf> {
    let below = Path::new(env!("CARGO_MANIFEST_DIR")).join("dataflows");
    let mut found: Vec<PathBuf> = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

#[test]
fn shipped_dataflows_have_no_problems() {
    let name = |dir: &PathBuf| dir.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(shipped().iter().map(name).collect::<Vec<_>>(), ["departures", "orders", "sensors", "sensors-compact"]);
    for dir in shipped() {
        load(&dir).unwrap_or_else(|problems| panic!("{problems:#?}"));
    }
}
