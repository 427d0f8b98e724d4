//! A steady load of any length: events are made as they are sent, and the rows that must come of them are reckoned beside.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::stage::ENTRY;
use crate::harness::scratch;
use crate::oracle::{Expected, date_time};

/// Partitions.
pub(super) const PARTITIONS: usize = 8;

/// Bytes a second of all events, so that a slow load fills the memory as quickly as a fast one.
const BYTES_A_SECOND: usize = 12 << 20;

/// Event time of the first event: 2026-01-01, in milliseconds.
const BEGIN_MS: usize = 1_767_225_600_000;

/// Event time of all, in milliseconds: ten hours, so that many minutes close.
const SPAN_MS: usize = 36_000_000;

/// Events of which most bytes are of no use.
pub(super) struct Load {
    _place: TempDir,
    /// The dataflow's folder.
    pub(super) dataflow: PathBuf,
    sources: usize,
    /// Bytes of an event's text that no column uses.
    pub(super) text: usize,
    /// Events of each partition.
    events: usize,
}

impl Load {
    /// So many events a second, of so many sources in turn, for so long.
    pub(super) fn new(rate: usize, sources: usize, over: Duration) -> Self {
        let place = scratch();
        let dataflow = place.path().join("sensors");
        fs::create_dir(&dataflow).unwrap();
        let schema = r#"{"type": "record", "name": "Event", "fields": [{"name": "key", "type": "string"},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "value", "type": "double"},
            {"name": "text", "type": "string"}]}"#;
        fs::write(dataflow.join("schema.avsc"), schema).unwrap();
        let settings = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"key\"\ntime = \"at\"\n[window]\n\
            idle_after = \"1s\"\nout_of_order = \"5s\"\n[[measures]]\nfield = \"value\"\nas = [\"sum\", \"max\"]\n";
        fs::write(dataflow.join("dataflow.toml"), settings).unwrap();
        // Whole entries only.
        let events = rate * over.as_secs() as usize / PARTITIONS / ENTRY * ENTRY;
        let text = (BYTES_A_SECOND / rate).max(1);
        Load { _place: place, dataflow, sources, text, events }
    }

    /// Events of all partitions.
    pub(super) fn events(&self) -> u64 {
        (self.events * PARTITIONS) as u64
    }

    /// The entries of each partition, made when they are asked for.
    pub(super) fn entries(&self) -> Vec<impl ExactSizeIterator<Item = Vec<Vec<u8>>> + Send + '_> {
        let letters: Vec<u8> = (b'a'..=b'z').cycle().take(self.text + 26).collect();
        let of = |partition| {
            let letters = letters.clone();
            let entry = move |entry: usize| {
                let numbers = entry * ENTRY..(entry + 1) * ENTRY;
                numbers.map(|number| self.event(partition, number, &letters)).collect()
            };
            (0..self.events / ENTRY).map(entry)
        };
        (0..PARTITIONS).map(of).collect()
    }

    /// The source, time and value of an event: the values are whole quarters, so that sums are exact in any order.
    fn said(&self, partition: usize, number: usize) -> (usize, usize, f64) {
        let source = (number * PARTITIONS + partition) % self.sources;
        (source, BEGIN_MS + number * SPAN_MS / self.events, (number % 1_000_000) as f64 / 4.0)
    }

    fn event(&self, partition: usize, number: usize, letters: &[u8]) -> Vec<u8> {
        let (source, at, value) = self.said(partition, number);
        let (mut event, source) = (Vec::with_capacity(self.text + 40), name(source));
        zigzag(source.len(), &mut event);
        event.extend(source.bytes());
        zigzag(at, &mut event);
        event.extend(value.to_le_bytes());
        zigzag(self.text, &mut event);
        event.extend(&letters[number % 26..][..self.text]);
        event
    }

    /// What must come of it.
    pub(super) fn expected(&self) -> Expected {
        let mut groups: BTreeMap<(usize, usize), (u64, f64, f64)> = BTreeMap::new();
        for number in 0..self.events {
            for partition in 0..PARTITIONS {
                let (source, at, value) = self.said(partition, number);
                let (count, sum, max) = groups.entry((at / 60_000, source)).or_insert((0, 0.0, value));
                (*count, *sum, *max) = (*count + 1, *sum + value, max.max(value));
            }
        }
        let row = |((minute, source), (count, sum, max)): (&(usize, usize), &(u64, f64, f64))| {
            let (start, key) = (date_time(*minute as i64 * 60), name(*source));
            format!(
                r#"{{"window_start":"{start}","key":"{key}","count":{count},"value_sum":{sum:?},"value_max":{max:?}}}"#
            )
        };
        let mut rows: Vec<String> = groups.iter().map(row).collect();
        rows.sort();
        let none = ["malformed", "late", "too_far_ahead", "nulls", "non_finite", "idle_decisions", "overflows"];
        let all = ["read", "folded", "counted"].map(|name| (name, self.events()));
        let summary = none.map(|name| (name, 0)).into_iter().chain(all).chain([("rows", rows.len() as u64)]);
        let summary = summary.map(|(name, count)| (name.to_owned(), count)).collect();
        Expected { rows, summary }
    }

    /// Writes it to capture files, one for each partition.
    fn write(&self, folder: &Path) -> Vec<PathBuf> {
        let write = |(partition, entries): (usize, _)| {
            let frame = |event: Vec<u8>| [&(event.len() as u32).to_le_bytes()[..], &event].concat();
            let file = folder.join(format!("part-{partition}.events"));
            fs::write(&file, Iterator::flatten(entries).flat_map(frame).collect::<Vec<u8>>()).unwrap();
            file
        };
        self.entries().into_iter().enumerate().map(write).collect()
    }
}

fn name(source: usize) -> String {
    format!("s-{source}")
}

/// A number that is not negative, as Avro writes it.
fn zigzag(number: usize, out: &mut Vec<u8>) {
    let mut rest = number * 2;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[test]
fn what_is_reckoned_is_what_the_oracle_reads() {
    let (load, place) = (Load::new(4_000, 30, Duration::from_secs(2)), scratch());
    let oracle = crate::oracle::expected_in(&load.dataflow, &load.write(place.path()), ENTRY);
    let reckoned = load.expected();
    crate::harness::demand_rows(&reckoned.rows, &oracle.rows, "reckoned");
    assert_eq!(reckoned.summary, oracle.summary);
    assert!(load.events() == 8_000 && oracle.rows.len() > 1_000);
}
