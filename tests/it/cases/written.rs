//! A case as it is written: `events.jsonl`, in the order in which things happen, and `rows.jsonl`, what must come out. The format is
//! that of `dataflows/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::encode::{encode, instant};

/// A case.
#[derive(Debug)]
pub(super) struct Case {
    /// Its dataflow's folder.
    pub(super) dataflow: PathBuf,
    /// The dataflow's and its own name, for messages.
    pub(super) name: String,
    pub(super) schema_json: String,
    pub(super) steps: Vec<Step>,
    /// The rows that must come out, sorted.
    pub(super) rows: Vec<String>,
    /// What must become of the events: read, folded, malformed, late, too far ahead.
    pub(super) summary: [u64; 5],
}

/// A step of a case.
#[derive(Debug)]
pub(super) enum Step {
    Entry(Entry),
    /// This partition has been read to its end, and is quiet for long enough.
    Idle(u32),
    Crash,
}

/// An entry of a partition.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) partition: u32,
    pub(super) payloads: Vec<Vec<u8>>,
    pub(super) publish_time: Option<i64>,
    /// The newest event time in it, in milliseconds, as far as it is written as events.
    pub(super) latest: i64,
    /// Whether all its payloads are written as events of the schema.
    pub(super) well_formed: bool,
}

impl Case {
    /// Reads a case's folder.
    pub(super) fn read(dataflow: &Path, folder: &Path) -> Self {
        let of = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let settings: toml::Table = of(dataflow.join("dataflow.toml")).parse().expect("dataflow.toml is TOML");
        let schema_json = of(dataflow.join(settings["event"]["schema"].as_str().expect("a schema is named")));
        let name = format!("{}/{}", file_name(dataflow), file_name(folder));
        let mut reader = StepReader {
            schema: Schema::parse_str(&schema_json).expect("a shipped schema parses"),
            time: settings["event"].get("time").and_then(toml::Value::as_str).map(str::to_owned),
            open: BTreeMap::new(),
            steps: Vec::new(),
            name: &name,
        };
        story(&of(folder.join("events.jsonl"))).for_each(|line| reader.line(line));
        let steps = reader.finish();
        let text = of(folder.join("rows.jsonl"));
        let mut rows: Vec<String> = story(&text).map(str::to_owned).collect();
        let last = rows.pop().unwrap_or_else(|| panic!("{name}: rows.jsonl has no summary"));
        let summary: BTreeMap<String, BTreeMap<String, u64>> =
            serde_json::from_str(&last).unwrap_or_else(|e| panic!("{name}: the last line is no summary: {e}: {last}"));
        let summary =
            ["read", "folded", "malformed", "late", "too_far_ahead"].map(|counter| summary["summary"][counter]);
        rows.sort();
        Case { dataflow: dataflow.to_owned(), steps, rows, schema_json, summary, name }
    }

    /// Partitions that it has.
    pub(super) fn partitions(&self) -> u32 {
        let numbers = self.steps.iter().filter_map(|step| match step {
            Step::Entry(entry) => Some(entry.partition + 1),
            Step::Idle(partition) => Some(partition + 1),
            Step::Crash => None,
        });
        numbers.max().unwrap_or(1)
    }

    /// Whether it says where the run dies.
    pub(super) fn has_crashes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Crash))
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

/// The lines that are not words.
fn story(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a folder has a name").to_string_lossy().into_owned()
}

/// Gathers entries from lines.
struct StepReader<'a> {
    schema: Schema,
    /// The field with the event time.
    time: Option<String>,
    /// What came of each partition since the end of its last entry.
    open: BTreeMap<u32, Entry>,
    steps: Vec<Step>,
    name: &'a str,
}

impl StepReader<'_> {
    fn line(&mut self, line: &str) {
        let name = self.name;
        let json: Map<String, Json> =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}, events.jsonl: {e}: {line}"));
        let keys: Vec<&str> = json.keys().map(String::as_str).filter(|key| *key != "publish_time").collect();
        let number = |key: &str| u32::try_from(json[key].as_u64().expect("a partition is a number")).unwrap();
        match keys.as_slice() {
            ["partition", "event" | "payload"] => self.event(number("partition"), &json),
            ["end_of_entry"] => {
                let entry = self.open.remove(&number("end_of_entry"));
                self.steps
                    .push(Step::Entry(entry.unwrap_or_else(|| panic!("{name}: an entry without events: {line}"))));
            }
            ["idle"] => self.between(Step::Idle(number("idle"))),
            ["crash"] => self.between(Step::Crash),
            _ => panic!("{name}: events.jsonl has no such line: {line}"),
        }
    }

    fn event(&mut self, partition: u32, json: &Map<String, Json>) {
        let publish_time =
            json.get("publish_time").map(|time| time.as_i64().expect("a publish time is in milliseconds"));
        let new = || Entry { partition, publish_time, well_formed: true, ..Entry::default() };
        let entry = self.open.entry(partition).or_insert_with(new);
        assert_eq!(entry.publish_time, publish_time, "{}: an entry is published at once", self.name);
        if let Some(event) = json.get("event") {
            entry.payloads.push(encode(&self.schema, event));
            let time = self.time.iter().flat_map(|path| path.split('.')).try_fold(event, |json, part| json.get(part));
            let time = time.filter(|_| self.time.is_some()).and_then(|time| match time {
                Json::String(text) => Some(instant(text, 3)),
                other => other.as_i64(),
            });
            entry.latest = entry.latest.max(time.unwrap_or(0));
        } else {
            let payload = json["payload"].as_str().expect("a payload is a text");
            entry.payloads.push(STANDARD.decode(payload).expect("a payload is in base64"));
            entry.well_formed = false;
        }
    }

    fn between(&mut self, step: Step) {
        assert!(self.open.is_empty(), "{}: {step:?} comes in the middle of an entry", self.name);
        self.steps.push(step);
    }

    fn finish(mut self) -> Vec<Step> {
        self.steps.extend(self.open.into_values().map(Step::Entry));
        self.steps
    }
}
