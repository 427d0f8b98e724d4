//! Real data with known rows: a month of departures, encoded and computed by programs that know nothing of minuet.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::harness::{Pipeline, Shape, dataflow, demand_rows, files, project, scratch};
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

/// What must come out: the rows (sorted, numbers as they are compared), their columns, and the counts.
struct Known {
    rows: Vec<String>,
    columns: Map<String, Value>,
    counts: BTreeMap<String, u64>,
}

fn data() -> PathBuf {
    project().join("tests/data/flights")
}

fn known() -> Known {
    let read = |name: &str| fs::read(data().join(name)).unwrap_or_else(|e| panic!("tests/data/flights/{name}: {e}"));
    let text = text(&read("expected.jsonl.gz"));
    let parsed: Vec<Map<String, Value>> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let compared = |row: &Map<String, Value>| {
        let same = row.iter().map(|(name, value)| match name.as_str() {
            "window_start" => (name.clone(), Value::from(oracle::date_time(value.as_i64().unwrap() / 1_000))),
            _ => (name.clone(), number(value)),
        });
        serde_json::to_string(&same.collect::<BTreeMap<_, _>>()).unwrap()
    };
    let mut rows: Vec<String> = parsed.iter().map(compared).collect();
    rows.sort();
    let counts = serde_json::from_slice(&read("counts.json")).expect("counts.json is JSON");
    Known { rows, columns: parsed[0].clone(), counts }
}

fn demand_known(known: &Known, rows: &[String], summary: &BTreeMap<String, u64>, of: &str) {
    for (name, count) in &known.counts {
        assert_eq!(summary[name], *count, "{of}: {name}");
    }
    let mut found: Vec<String> = rows.iter().map(|line| renamed(line, &known.columns)).collect();
    found.sort();
    demand_rows(&found, &known.rows, of);
}

#[test]
fn the_rows_are_those_of_an_independent_program() {
    let known = known();
    let mut first: Option<Vec<String>> = None;
    for shape in Shape::all() {
        let place = scratch();
        let source = data().join("part-*.avro").display().to_string();
        let pipeline = Pipeline::new(&dataflow("departures"), source, place.path());
        let summary = pipeline.run_in(shape).summary();
        let rows = pipeline.rows();
        demand_known(&known, &rows, &summary, &shape.to_string());
        pipeline.demand_ledger(&shape.to_string());
        demand_rows(&rows, first.get_or_insert_with(|| rows.clone()), &format!("{shape}, bytes"));
    }
}

#[test]
fn the_oracle_agrees_with_the_independent_program() {
    let computed = oracle::expected(&dataflow("departures"), &files(&data(), &[".avro"]));
    demand_known(&known(), &computed.rows, &computed.summary, "oracle");
}

#[test]
fn the_rows_are_those_of_the_oracle() {
    let computed = oracle::expected(&dataflow("departures"), &files(&data(), &[".avro"]));
    let place = scratch();
    let source = data().join("part-*.avro").display().to_string();
    let pipeline = Pipeline::new(&dataflow("departures"), source, place.path());
    let summary = pipeline.run(2).demand(0).summary();
    demand_rows(&pipeline.rows(), &computed.rows, "departures");
    assert_eq!(summary, computed.summary);
}
