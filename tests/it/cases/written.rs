//! A case as it is written: `events.jsonl` and `rows.jsonl`, as dataflows/README.md says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
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
    /// The rows that must come out, sorted, byte for byte.
    pub(super) rows: Vec<String>,
    /// The counts that must come out.
    pub(super) summary: BTreeMap<String, u64>,
}

/// A step of a case.
#[derive(Debug)]
pub(super) enum Step {
    Entry(Entry),
    /// This partition has been read to its end and stays quiet.
    Idle(u32),
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
        let lines = |file: &str| -> Vec<String> {
            let text = of(folder.join(file));
            text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
        };
        let mut rows = lines("rows.jsonl");
        let last = rows.pop().unwrap_or_else(|| panic!("{name}: rows.jsonl has no summary"));
        let summary: BTreeMap<String, BTreeMap<String, u64>> =
            serde_json::from_str(&last).unwrap_or_else(|e| panic!("{name}: its summary: {e}: {last}"));
        rows.sort();
        let mut steps = Steps { schema, name: name.clone(), pending: BTreeMap::new(), steps: Vec::new() };
        lines("events.jsonl").iter().for_each(|line| steps.read(line));
        let steps = steps.finish();
        Case { dataflow: dataflow.to_owned(), steps, rows, schema_json, name, summary: summary["summary"].clone() }
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

/// Puts the lines of `events.jsonl` together: events of a partition up to the end of their entry.
struct Steps {
    schema: Schema,
    name: String,
    pending: BTreeMap<u32, Entry>,
    steps: Vec<Step>,
}

impl Steps {
    fn read(&mut self, line: &str) {
        let line: Map<String, Json> =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{}, events.jsonl: {e}: {line}", self.name));
        const KNOWN: [&str; 7] = ["partition", "event", "payload", "publish_time", "end_of_entry", "idle", "crash"];
        let unknown = line.keys().find(|key| !KNOWN.contains(&key.as_str()));
        assert!(unknown.is_none(), "{}: {unknown:?} in events.jsonl is none of {KNOWN:?}", self.name);
        let number = |key: &str| line.get(key).map(|number| number.as_u64().expect("partitions are numbers") as u32);
        if let Some(partition) = number("end_of_entry") {
            self.steps.extend(self.pending.remove(&partition).map(Step::Entry));
        } else if let Some(partition) = number("idle") {
            assert!(!self.pending.contains_key(&partition), "{}: an idle line inside of an entry", self.name);
            self.steps.push(Step::Idle(partition));
        } else if line.contains_key("crash") {
            assert!(self.pending.is_empty(), "{}: a crash line inside of an entry", self.name);
            self.steps.push(Step::Crash);
        } else {
            self.take(number("partition").expect("an event has a partition"), &line);
        }
    }

    fn take(&mut self, partition: u32, line: &Map<String, Json>) {
        let (payload, well_formed) = match (line.get("event"), line.get("payload")) {
            (Some(event), None) => (encode(&self.schema, event), true),
            (None, Some(payload)) => {
                let text = payload.as_str().expect("a payload is a text in base64");
                (BASE64_STANDARD.decode(text).expect("a payload is a text in base64"), false)
            }
            _ => panic!("{}: a line has either an event or a payload", self.name),
        };
        let publish_time = line.get("publish_time").map(|time| time.as_i64().expect("milliseconds"));
        let entry = self.pending.entry(partition).or_insert(Entry {
            partition,
            payloads: Vec::new(),
            publish_time,
            well_formed: true,
        });
        assert_eq!(entry.publish_time, publish_time, "{}: an entry is published at once", self.name);
        entry.payloads.push(payload);
        entry.well_formed &= well_formed;
    }

    fn finish(mut self) -> Vec<Step> {
        self.steps.extend(self.pending.into_values().map(Step::Entry));
        self.steps
    }
}
