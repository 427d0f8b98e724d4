//! Small logs of events for the traps, and the plain way to the rows that they must give.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use minuet::connect::memory::{MemorySource, Standing, payload_entry};
use minuet::plan::{self, Plan};
use minuet::snapshot::Counters;

use crate::harness::{Dice, scratch};

/// 2026-01-01 in minutes.
pub(super) const START: i64 = 29_453_760;

/// Milliseconds in a minute.
pub(super) const MINUTE: i64 = 60_000;

/// `out_of_order` of the dataflow.
const OUT_OF_ORDER: i64 = 5_000;

/// Parts of one that values are counted in, so that the oracle's sums are whole numbers.
const PARTS: f64 = 1_024.0;

/// An event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) key: i64,
    /// In [`PARTS`].
    pub(super) value: i64,
    /// Milliseconds since 1970.
    pub(super) at: i64,
}

/// Partitions of entries of events; `None` is a payload that is no event.
pub(super) type Logs = Vec<Vec<Vec<Option<Event>>>>;

/// The dataflow that the traps run.
pub(super) fn plan() -> Arc<Plan> {
    let place = scratch();
    let folder = place.path().join("traps");
    fs::create_dir(&folder).unwrap();
    let schema = r#"{"type": "record", "name": "Event", "fields": [{"name": "key", "type": "long"},
        {"name": "value", "type": "double"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;
    fs::write(folder.join("schema.avsc"), schema).unwrap();
    let settings = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"key\"\ntime = \"at\"\n[window]\nout_of_order = \"5s\"\n\
        [[measures]]\nfield = \"value\"\nas = [\"sum\", \"min\", \"max\", \"last\"]\n";
    fs::write(folder.join("dataflow.toml"), settings).unwrap();
    Arc::new(plan::load(&folder).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// Logs that go on by seven seconds an entry, with late events and some that are none.
pub(super) fn logs(dice: &mut Dice, partitions: usize, entries: i64, keys: u64) -> Logs {
    let event = |dice: &mut Dice, now: i64| {
        let at = now - dice.between(0, 40_000) as i64;
        let value = dice.throw() as i64 >> dice.between(4, 60);
        (dice.between(0, 40) > 0).then(|| Event { key: dice.between(0, keys) as i64, value, at })
    };
    let mut entry = |number: i64| {
        let now = START * MINUTE + number * 7_000;
        (0..dice.between(1, 12)).map(|_| event(dice, now)).collect()
    };
    (0..partitions).map(|_| (0..entries).map(&mut entry).collect()).collect()
}

/// One event a minute from a minute on, in entries of their own.
pub(super) fn minutes(from: i64, minutes: i64) -> Vec<Vec<Option<Event>>> {
    let event = |minute| Event { key: 1, value: minute, at: (from + minute) * MINUTE };
    (0..minutes).map(|minute| vec![Some(event(minute))]).collect()
}

/// A source with the first `share` percent of the entries of each partition.
pub(super) fn source(logs: &Logs, share: usize, standing: &Standing) -> MemorySource {
    let source = MemorySource::new();
    for (number, entries) in logs.iter().enumerate() {
        let entries = entries[..entries.len() * share / 100].iter().enumerate();
        let entries = entries.map(|(place, events)| payload_entry(place as u64, &payloads(events), None));
        source.add(&format!("part-{number}"), entries.collect(), standing.clone());
    }
    source
}

/// The payloads of an entry.
pub(super) fn payloads(events: &[Option<Event>]) -> Vec<Vec<u8>> {
    events.iter().map(|event| event.map_or_else(Vec::new, payload)).collect()
}

fn payload(event: Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    long(event.key, &mut bytes);
    bytes.extend((event.value as f64 / PARTS).to_le_bytes());
    long(event.at, &mut bytes);
    bytes
}

/// An Avro long: zigzag, seven bits a byte, low ones first.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut left = (value << 1 ^ value >> 63) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// An event of a row as rows see it: time, partition, place in the partition, value.
type Folded = (i64, usize, usize, i64);

/// What must come of logs.
pub(super) struct Expected {
    pub(super) rows: Vec<String>,
    pub(super) counters: Counters,
    /// Partition, entry, index and reason of all that is kept aside.
    pub(super) rejects: Vec<(u32, u64, u32, &'static str)>,
}

/// Reads every partition from its beginning to its end, one after another.
pub(super) fn expected(logs: &Logs) -> Expected {
    let mut rows: BTreeMap<(i64, i64), Vec<Folded>> = BTreeMap::new();
    let mut counters = Counters::default();
    let mut rejects = Vec::new();
    for (partition, entries) in logs.iter().enumerate() {
        let (mut newest, mut place) = (None::<i64>, 0);
        for (number, events) in entries.iter().enumerate() {
            let open = newest.map_or(0, |newest| (newest - OUT_OF_ORDER) / MINUTE);
            for (index, event) in events.iter().enumerate() {
                place += 1;
                counters.read += 1;
                let mut reject = |reason| rejects.push((partition as u32, number as u64, index as u32, reason));
                match event {
                    None => {
                        counters.malformed += 1;
                        reject("malformed");
                    }
                    Some(event) if event.at / MINUTE < open => {
                        counters.late += 1;
                        reject("late");
                    }
                    Some(event) => {
                        counters.folded += 1;
                        // As a double has it: that is what goes over the wire.
                        let value = event.value as f64 as i64;
                        let row = rows.entry((event.at / MINUTE, event.key)).or_default();
                        row.push((event.at, partition, place, value));
                    }
                }
            }
            newest = newest.max(events.iter().flatten().map(|event| event.at).max());
        }
    }
    let mut rows: Vec<String> = rows.into_iter().map(|((minute, key), events)| row(minute, key, events)).collect();
    rows.sort();
    Expected { rows, counters, rejects }
}

fn row(minute: i64, key: i64, mut events: Vec<Folded>) -> String {
    events.sort_unstable();
    let values = || events.iter().map(|event| event.3);
    // Summed as whole numbers and rounded once.
    let sum = values().map(i128::from).sum::<i128>() as f64 / PARTS;
    let double = |value: f64| serde_json::to_string(&value).unwrap();
    let number = |value: Option<i64>| double(value.expect("a row has events") as f64 / PARTS);
    format!(
        r#"{{"window_start":"{}","key":{key},"count":{},"value_sum":{},"value_min":{},"value_max":{},"value_last":{}}}"#,
        crate::oracle::date_time(minute * 60),
        events.len(),
        double(sum),
        number(values().min()),
        number(values().max()),
        number(values().next_back()),
    )
}
