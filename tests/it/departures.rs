//! Real data with known rows: a month of departures, encoded and computed by programs that know nothing of minuet.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde_json::{Map, Value};

use super::harness::{Pipeline, WORKERS, dataflow, demand_rows, project, scratch};
use super::oracle;

fn text(packed: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("expected.jsonl.gz unpacks");
    text
}

/// A number as it is compared: `5` and `5.0` are the same, all values of these rows being whole.
fn number(value: &Value) -> Value {
    match value.as_f64() {
        Some(whole) if whole.fract() == 0.0 => Value::from(whole as i64),
        _ => value.clone(),
    }
}

/// A row in the names of expected.jsonl.gz; columns that only minuet has are left out.
fn renamed(line: &str, columns: &Map<String, Value>) -> String {
    let row: Map<String, Value> = serde_json::from_str(line).expect("a row is JSON");
    let mut same = BTreeMap::new();
    for name in columns.keys() {
        let value = match name.as_str() {
            "window_start" => row["window_start"].clone(),
            "source" => row["carrier"].clone(),
            other => number(row.get(other).unwrap_or_else(|| panic!("no column {other} in {line}"))),
        };
        same.insert(name.clone(), value);
    }
    serde_json::to_string(&same).unwrap()
}

#[test]
fn the_rows_are_those_of_an_independent_program() {
    let data = project().join("tests/data/flights");
    let packed = fs::read(data.join("expected.jsonl.gz")).expect("tests/data/flights has expected.jsonl.gz");
    let lines: Vec<Map<String, Value>> =
        text(&packed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut expected: Vec<String> = lines
        .iter()
        .map(|row| {
            let same = row.iter().map(|(name, value)| match name.as_str() {
                "window_start" => {
                    let seconds = value.as_i64().unwrap() / 1_000;
                    (name.clone(), Value::from(oracle::date_time(seconds)))
                }
                _ => (name.clone(), number(value)),
            });
            serde_json::to_string(&same.collect::<BTreeMap<_, _>>()).unwrap()
        })
        .collect();
    expected.sort();
    let counts: BTreeMap<String, u64> =
        serde_json::from_slice(&fs::read(data.join("counts.json")).unwrap()).expect("counts.json is JSON");

    let mut first: Option<Vec<String>> = None;
    for workers in WORKERS {
        let place = scratch();
        let source = data.join("part-*.avro").display().to_string();
        let pipeline = Pipeline::new(&dataflow("departures"), source, place.path());
        let summary = pipeline.run(workers).demand(0).summary();
        for (name, count) in &counts {
            assert_eq!(summary[name], *count, "{name} with -w {workers}");
        }
        let rows = pipeline.rows();
        let mut found: Vec<String> = rows.iter().map(|line| renamed(line, &lines[0])).collect();
        found.sort();
        demand_rows(&found, &expected, &format!("-w {workers}"));
        demand_rows(&rows, first.get_or_insert_with(|| rows.clone()), &format!("-w {workers}, bytes"));
    }
}

#[test]
fn the_oracle_agrees_with_the_independent_program() {
    let data = project().join("tests/data/flights");
    let files = super::harness::files(&data, &[".avro"]);
    let computed = oracle::expected(&dataflow("departures"), &files);
    let counts: BTreeMap<String, u64> =
        serde_json::from_slice(&fs::read(data.join("counts.json")).unwrap()).expect("counts.json is JSON");
    for (name, count) in &counts {
        assert_eq!(computed.summary[name], *count, "{name}");
    }
    let place = scratch();
    let source = data.join("part-*.avro").display().to_string();
    let pipeline = Pipeline::new(&dataflow("departures"), source, place.path());
    let summary = pipeline.run(2).demand(0).summary();
    demand_rows(&pipeline.rows(), &computed.rows, "departures");
    assert_eq!(summary, computed.summary);
}
