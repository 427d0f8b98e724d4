//! What the rows must be, by a plain program: one thread, every event a tree, every number exact, nothing shared with the engine.
//!
//! It follows DESIGN.md section 3 as it is written: per partition (a file), entry by entry (a block, or 1,000 payloads).

mod entries;
mod exact;
mod rows;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apache_avro::types::Value;

use entries::{CAPTURE_ENTRY, Event, entries};
use rows::Group;
pub(crate) use rows::date_time;
use written::Dataflow;
use written::{Cell, at};

/// Event times end here: 2^32 seconds after 1970.
const TIME_END_MS: i64 = (1 << 32) * 1_000;

/// The longest source in bytes; a longer one makes the event malformed.
const SOURCE_BYTES: usize = 1_024;

/// The longest text label in bytes.
const TEXT_BYTES: usize = 16 * 1_024;

/// What must come out.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The rows as lines of JSON, sorted.
    pub(crate) rows: Vec<String>,
    /// The numbers of the summary.
    pub(crate) summary: BTreeMap<String, u64>,
}

/// An event that can be folded.
struct Good {
    time: i64,
    source: String,
    cells: BTreeMap<String, Cell>,
}

/// Computes what a dataflow must make of these files, which are its partitions in this order.
pub(crate) fn expected(dataflow_folder: &Path, files: &[PathBuf]) -> Expected {
    expected_in(dataflow_folder, files, CAPTURE_ENTRY)
}

/// The same where capture files were carried elsewhere, in entries of so many payloads.
pub(crate) fn expected_in(dataflow_folder: &Path, files: &[PathBuf], entry: usize) -> Expected {
    let dataflow = Dataflow::read(dataflow_folder);
    let names = ["read", "folded", "malformed", "late", "too_far_ahead", "nulls", "non_finite", "idle_decisions"];
    let mut summary: BTreeMap<String, u64> = names.iter().map(|name| ((*name).to_owned(), 0)).collect();
    let mut groups: BTreeMap<(i64, String), Group> = BTreeMap::new();
    for (partition, file) in files.iter().enumerate() {
        let mut max_time: Option<i64> = None;
        let mut place = 0;
        for entry in entries(file, &dataflow.schema, entry) {
            let closed_before = max_time.map(|time| (time - dataflow.out_of_order).max(0) / 60_000);
            for event in entry {
                place += 1;
                *summary.get_mut("read").unwrap() += 1;
                let Some(good) = read(&dataflow, event) else {
                    *summary.get_mut("malformed").unwrap() += 1;
                    continue;
                };
                max_time = max_time.max(Some(good.time));
                let minute = good.time / 60_000;
                if closed_before.is_some_and(|closed| minute < closed) {
                    *summary.get_mut("late").unwrap() += 1;
                    continue;
                }
                *summary.get_mut("folded").unwrap() += 1;
                let cells = good.cells.values();
                *summary.get_mut("nulls").unwrap() += cells.clone().filter(|cell| **cell == Cell::Null).count() as u64;
                *summary.get_mut("non_finite").unwrap() +=
                    cells.filter(|cell| **cell == Cell::NonFinite).count() as u64;
                let when = (good.time, partition, place);
                groups.entry((minute, good.source)).or_default().fold(when, &good.cells);
            }
        }
    }
    let mut overflows = 0;
    let mut rows: Vec<String> =
        groups.iter().map(|((minute, source), group)| group.row(&dataflow, *minute, source, &mut overflows)).collect();
    rows.sort();
    summary.insert("rows".to_owned(), rows.len() as u64);
    summary.insert("counted".to_owned(), summary["folded"]);
    summary.insert("overflows".to_owned(), overflows);
    Expected { rows, summary }
}

/// How many events each block of an Avro object container file has.
pub(crate) fn block_sizes(dataflow_folder: &Path, file: &Path) -> Vec<usize> {
    let schema = Dataflow::read(dataflow_folder).schema;
    entries(file, &schema, CAPTURE_ENTRY).iter().map(Vec::len).collect()
}

/// What is needed of an event; `None` where it is malformed.
fn read(dataflow: &Dataflow, event: Event) -> Option<Good> {
    let value = event?;
    let time = match at(&value, dataflow.time.as_deref()?) {
        Value::TimestampMillis(t) | Value::LocalTimestampMillis(t) | Value::Long(t) => *t,
        Value::TimestampMicros(t) | Value::LocalTimestampMicros(t) => t.div_euclid(1_000),
        Value::TimestampNanos(t) | Value::LocalTimestampNanos(t) => t.div_euclid(1_000_000),
        Value::Date(days) => i64::from(*days) * 86_400_000,
        Value::Int(t) => i64::from(*t),
        Value::Null => return None,
        other => panic!("an event time that is {other:?}"),
    };
    let source = match at(&value, &dataflow.source) {
        Value::String(text) | Value::Enum(_, text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Null => return None,
        other => panic!("a source that is {other:?}"),
    };
    let cells: BTreeMap<String, Cell> =
        dataflow.fields().map(|path| (path.to_owned(), Cell::of(at(&value, path)))).collect();
    let long_text = |cell: &Cell| matches!(cell, Cell::Text(text) if text.len() > TEXT_BYTES);
    let bad = !(0..TIME_END_MS).contains(&time)
        || source.is_empty()
        || source.len() > SOURCE_BYTES
        || cells.values().any(long_text);
    (!bad).then_some(Good { time, source, cells })
}
