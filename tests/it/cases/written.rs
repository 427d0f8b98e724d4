//! A case as it is written: `events.jsonl`, a step a line, and `rows.jsonl`, the rows that must come out.
//!
//! ```text
//!  {"partition": 0, "events": [{...}, {...}]}      an entry; with "publish_time" (milliseconds) where the case needs one
//!  {"partition": 0, "payloads": ["00ff", ""]}      an entry of payloads in hex, for those that are no events
//!  {"idle": [1], "clock": 1767225900000}           these partitions (or `true`: all) fall silent; the wall clock goes on to there
//!  {"crash": true}                                 the run dies here and another begins, with other workers
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use serde_json::{Map, Value as Json};

use super::encode::encode;

/// A case.
#[derive(Debug)]
pub(super) struct Case {
    /// Its dataflow's folder.
    pub(super) dataflow: PathBuf,
    /// The dataflow's and its own name, for messages.
    pub(super) name: String,
    pub(super) schema_json: String,
    pub(super) steps: Vec<Step>,
    /// What must come out, as it is compared, sorted.
    pub(super) rows: Vec<String>,
}

/// A step of a case.
#[derive(Debug)]
pub(super) enum Step {
    Entry(Entry),
    /// These partitions (all, where none are named) fall silent, and the wall clock goes on.
    Idle {
        partitions: Option<Vec<u32>>,
        clock: Option<i64>,
    },
    Crash,
}

/// An entry of a partition.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) partition: u32,
    pub(super) payloads: Vec<Vec<u8>>,
    pub(super) publish_time: Option<i64>,
    /// Whether all its payloads are events of the schema.
    pub(super) well_formed: bool,
}

impl Case {
    /// Reads a case's folder.
    pub(super) fn read(dataflow: &Path, folder: &Path) -> Self {
        let of = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let settings: toml::Table = of(dataflow.join("dataflow.toml")).parse().expect("dataflow.toml is TOML");
        let schema_json = of(dataflow.join(settings["event"]["schema"].as_str().expect("a schema is named")));
        let schema = Schema::parse_str(&schema_json).expect("a shipped schema parses");
        let name = format!("{}/{}", file_name(dataflow), file_name(folder));
        let lines = |file: &str| -> Vec<Map<String, Json>> {
            let text = of(folder.join(file));
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines
                .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}, {file}: {e}: {line}")))
                .collect()
        };
        let mut rows: Vec<String> = lines("rows.jsonl").iter().map(compared).collect();
        rows.sort();
        let steps = lines("events.jsonl").iter().map(|line| step(&schema, line, &name)).collect();
        Case { dataflow: dataflow.to_owned(), steps, rows, schema_json, name }
    }

    /// Partitions that it has.
    pub(super) fn partitions(&self) -> u32 {
        let numbers = self.steps.iter().filter_map(|step| match step {
            Step::Entry(entry) => Some(entry.partition + 1),
            _ => None,
        });
        numbers.max().unwrap_or(1)
    }

    /// The entries of a partition.
    pub(super) fn entries(&self, number: u32) -> Vec<&Entry> {
        let entries = self.steps.iter().filter_map(|step| match step {
            Step::Entry(entry) if entry.partition == number => Some(entry),
            _ => None,
        });
        entries.collect()
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a folder has a name").to_string_lossy().into_owned()
}

fn step(schema: &Schema, line: &Map<String, Json>, name: &str) -> Step {
    const KNOWN: [&str; 7] = ["partition", "events", "payloads", "publish_time", "idle", "clock", "crash"];
    let unknown = line.keys().find(|key| !KNOWN.contains(&key.as_str()));
    assert!(unknown.is_none(), "{name}: {unknown:?} in events.jsonl is none of {KNOWN:?}");
    if line.get("crash") == Some(&Json::Bool(true)) {
        return Step::Crash;
    }
    if let Some(idle) = line.get("idle") {
        let partitions = idle.as_array().map(|list| list.iter().map(|n| n.as_u64().unwrap() as u32).collect());
        return Step::Idle { partitions, clock: line.get("clock").and_then(Json::as_i64) };
    }
    let list = |key: &str| line.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut payloads: Vec<Vec<u8>> = list("events").iter().map(|event| encode(schema, event)).collect();
    let raw = list("payloads");
    payloads.extend(raw.iter().map(|payload| unhex(payload.as_str().expect("a payload is a text of hex digits"))));
    Step::Entry(Entry {
        partition: line.get("partition").map_or(0, |number| number.as_u64().unwrap() as u32),
        payloads,
        publish_time: line.get("publish_time").map(|time| time.as_i64().expect("a publish time is in milliseconds")),
        well_formed: raw.is_empty(),
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).expect("a hex digit")).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A row as it is compared: columns by name, and whole numbers without a point, however a person wrote them.
pub(super) fn compared(row: &Map<String, Json>) -> String {
    let same = |value: &Json| match value.as_f64() {
        Some(number) if !value.is_i64() && !value.is_u64() && number.fract() == 0.0 && number.abs() < 1e15 => {
            Json::from(number as i64)
        }
        _ => value.clone(),
    };
    let columns: BTreeMap<&str, Json> = row.iter().map(|(name, value)| (name.as_str(), same(value))).collect();
    serde_json::to_string(&columns).unwrap()
}
