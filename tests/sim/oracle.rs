//! What must come of a story, the slow and obvious way: one partition after another, from its beginning to its end.
//!
//! - `W_p` is the largest event time of the entries of p read so far, too far ahead and malformed ones aside, minus `out_of_order`;
//!   `M_p` is its minute.
//! - An event is malformed where it cannot be decoded or its time is before 1970, too far ahead where its time exceeds its
//!   publish time by more than `max_ahead`, late where its minute is before `M_p` at the start of its entry.

use std::collections::BTreeMap;

use minuet::aggregate::Value;
use minuet::limits::REJECTS_KEPT_PER_MINUTE;
use minuet::snapshot::Counters;

use crate::story::{Event, LogEntry, MINUTE, Story, source_name};

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Folded,
    Malformed,
    Late,
    TooFarAhead,
}

/// Minute and source: the key of a row.
pub type Key = (u64, String);

/// An event with its place and verdict.
pub struct Judged {
    pub partition: u32,
    pub entry: u64,
    pub index: u32,
    /// Its place among the events of its partition.
    place: usize,
    pub verdict: Verdict,
    /// Whether its reject is kept aside.
    kept: bool,
    event: Event,
}

/// A reject: its entry, its index in it and its reason.
pub type Kept = (u64, u32, &'static str);

/// What must come of a story.
pub struct Expected {
    events: Vec<Judged>,
    pub rows: BTreeMap<Key, Vec<Value>>,
    /// Per partition, the minute of its watermark at the start of each entry, and after the last.
    minutes: Vec<Vec<Option<u64>>>,
}

impl Expected {
    pub fn of(story: &Story) -> Self {
        let (mut events, mut minutes) = (Vec::new(), Vec::new());
        for (partition, log) in (0..).zip(&story.logs) {
            minutes.push(judge(partition, log, story.plan.out_of_order, story.plan.max_ahead, &mut events));
        }
        let mut groups: BTreeMap<Key, Vec<&Judged>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.verdict == Verdict::Folded) {
            groups.entry(event.key()).or_default().push(event);
        }
        let rows = groups.into_iter().map(|(key, events)| (key.clone(), row(&key, events))).collect();
        Expected { events, rows, minutes }
    }

    /// `M_p` at the start of an entry; `None` where it is not known yet.
    pub fn minute(&self, partition: u32, entry: u64) -> Option<u64> {
        self.minutes[partition as usize][entry as usize]
    }

    /// What the events of a partition before entry `end` come to.
    pub fn counters(&self, partition: u32, end: u64) -> Counters {
        let mut counters = Counters::default();
        for event in self.events.iter().filter(|event| event.partition == partition && event.entry < end) {
            counters.read += 1;
            match event.verdict {
                Verdict::Folded => {
                    counters.folded += 1;
                    counters.nulls += u64::from(event.event.level.is_none());
                }
                Verdict::Malformed => counters.malformed += 1,
                Verdict::Late => counters.late += 1,
                Verdict::TooFarAhead => counters.too_far_ahead += 1,
            }
        }
        counters
    }

    /// Events per row, of what lies before a cut: per partition, the number of its next entry.
    pub fn counts(&self, cut: &BTreeMap<u32, u64>) -> BTreeMap<Key, u64> {
        let mut counts = BTreeMap::new();
        let before = |event: &&Judged| event.entry < cut.get(&event.partition).copied().unwrap_or(0);
        for event in self.events.iter().filter(|event| event.verdict == Verdict::Folded).filter(before) {
            *counts.entry(event.key()).or_default() += 1;
        }
        counts
    }

    /// The rejects of a partition before entry `end` that are kept.
    pub fn rejects(&self, partition: u32, end: u64) -> Vec<Kept> {
        let kept = |event: &&Judged| event.partition == partition && event.kept && event.entry < end;
        self.events.iter().filter(kept).map(|event| (event.entry, event.index, event.reason())).collect()
    }
}

impl Judged {
    fn key(&self) -> Key {
        ((self.event.at / MINUTE) as u64, source_name(self.event.source))
    }

    fn reason(&self) -> &'static str {
        match self.verdict {
            Verdict::Folded => "folded",
            Verdict::Malformed => "malformed",
            Verdict::Late => "late",
            Verdict::TooFarAhead => "too_far_ahead",
        }
    }
}

/// Judges the events of a partition, and says where its watermark stood.
fn judge(
    partition: u32,
    log: &[LogEntry],
    out_of_order: i64,
    max_ahead: i64,
    judged: &mut Vec<Judged>,
) -> Vec<Option<u64>> {
    let mut newest: Option<i64> = None;
    let minute = |newest: Option<i64>| newest.map(|newest| ((newest - out_of_order) / MINUTE) as u64);
    let mut minutes = vec![None];
    let (mut place, mut kept_in, mut kept) = (0, None, 0);
    for (number, entry) in (0..).zip(log) {
        let open = newest.map_or(0, |newest| (newest - out_of_order) / MINUTE);
        for (index, event) in (0..).zip(&entry.events) {
            let verdict = if event.garbage || event.at < 0 {
                Verdict::Malformed
            } else if entry.published.is_some_and(|published| event.at - published > max_ahead) {
                Verdict::TooFarAhead
            } else if event.at / MINUTE < open {
                Verdict::Late
            } else {
                Verdict::Folded
            };
            if verdict != Verdict::Folded && kept_in != Some(open) {
                (kept_in, kept) = (Some(open), 0);
            }
            kept += u64::from(verdict != Verdict::Folded);
            judged.push(Judged {
                partition,
                entry: number,
                index,
                place,
                verdict,
                kept: verdict != Verdict::Folded && kept <= REJECTS_KEPT_PER_MINUTE,
                event: event.clone(),
            });
            place += 1;
        }
        let times = judged.iter().rev().take(entry.events.len());
        let moves = times.filter(|event| matches!(event.verdict, Verdict::Folded | Verdict::Late));
        newest = newest.max(moves.map(|event| event.event.at).max());
        minutes.push(minute(newest));
    }
    minutes
}

/// The values of a row after its minute.
fn row((_, source): &Key, mut events: Vec<&Judged>) -> Vec<Value> {
    events.sort_by_key(|event| (event.event.at, event.partition, event.place));
    let values: Vec<i64> = events.iter().map(|event| i64::from(event.event.value)).collect();
    let levels: Vec<i64> = events.iter().filter_map(|event| event.event.level).collect();
    let float = |value: Option<i64>| value.map_or(Value::Null, |value| Value::Float(value as f64));
    let integer = |value: Option<i64>| value.map_or(Value::Null, Value::Integer);
    vec![
        Value::Text(source.clone()),
        Value::Unsigned(events.len() as u64),
        float(Some(values.iter().sum())),
        float(values.iter().min().copied()),
        float(values.iter().max().copied()),
        float(values.first().copied()),
        float(values.last().copied()),
        Value::Unsigned(levels.len() as u64),
        Value::Integer(levels.iter().sum()),
        integer(levels.iter().min().copied()),
        integer(levels.iter().max().copied()),
        integer(levels.first().copied()),
        integer(levels.last().copied()),
    ]
}
