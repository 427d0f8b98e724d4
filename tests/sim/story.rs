//! What a seed says before anything runs: the dataflow and the logs of its partitions.

use std::fs;
use std::sync::{Arc, OnceLock};

use minuet::connect::memory::payload_entry;
use minuet::dataflow::edges::{Entry, Framing};
use minuet::plan::{self, Plan};

use crate::dice::Dice;

/// 2026-01-01 in minutes.
const START: i64 = 29_453_760;

/// Milliseconds in a minute.
pub const MINUTE: i64 = 60_000;

/// Longer than any story takes: no partition is ever declared idle.
const NEVER_IDLE: i64 = 24 * 60 * MINUTE;

const SCHEMA: &str = r#"{"type": "record", "name": "Event", "fields": [
    {"name": "source", "type": "string"},
    {"name": "value", "type": "double"},
    {"name": "level", "type": ["null", "long"]},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;

const DATAFLOW: &str = r#"
version = 1
[event]
schema = "schema.avsc"
source = "source"
time = "at"
[window]
out_of_order = "5s"
[[measures]]
field = "value"
as = ["sum", "min", "max", "first", "last"]
[[measures]]
field = "level"
as = ["count", "sum", "min", "max", "first", "last"]
"#;

/// An event as the log has it.
#[derive(Clone, Debug)]
pub struct Event {
    pub source: u64,
    /// A whole number, so that sums of it are exact whatever adds them.
    pub value: i32,
    pub level: Option<i64>,
    /// Milliseconds since 1970; before it the event is malformed.
    pub at: i64,
    /// It cannot be decoded at all.
    pub garbage: bool,
}

/// An entry as the log has it.
#[derive(Clone, Debug)]
pub struct LogEntry {
    pub events: Vec<Event>,
    pub published: Option<i64>,
    /// Events one after another, as in a block of a file.
    pub run: bool,
}

/// Everything that is decided at the start.
pub struct Story {
    pub plan: Arc<Plan>,
    /// Per partition, its entries.
    pub logs: Vec<Vec<LogEntry>>,
    /// The same as the source gives them.
    pub entries: Vec<Vec<Entry>>,
    /// Whether the wall clock may declare partitions idle.
    pub idles: bool,
    /// When it begins, by the wall clock.
    pub begins: i64,
    /// How far the wall clock goes in one step, at most.
    pub tick: i64,
    /// How many times smaller the bounds are.
    pub narrow: usize,
    /// Times that the run is ended before its input is.
    pub deaths: u64,
}

impl Story {
    /// What it is about, in a line.
    pub fn about(&self) -> String {
        let (plan, sizes) = (&self.plan, self.logs.iter().map(Vec::len).collect::<Vec<_>>());
        format!(
            "partitions of {sizes:?} entries, out_of_order {} ms, max_ahead {} ms, idle_after {} ms, {} key groups, {} lanes, \
             bounds {} times smaller, up to {} ms a step",
            plan.out_of_order, plan.max_ahead, plan.idle_after, plan.key_groups, plan.lanes, self.narrow, self.tick
        )
    }

    pub fn tell(dice: &mut Dice) -> Story {
        let idles = dice.percent(20);
        let plan = plan(dice, idles);
        let shape = Shape::draw(dice);
        let logs: Vec<Vec<LogEntry>> = (0..shape.partitions).map(|_| log(dice, &plan, &shape)).collect();
        let live = idles || dice.percent(50);
        let later = if live { 0 } else { dice.between(1, 600) * MINUTE };
        Story {
            entries: logs
                .iter()
                .map(|log| (0..).zip(log).map(|(number, entry)| stored(number, entry)).collect())
                .collect(),
            logs,
            idles,
            begins: START * MINUTE + later,
            tick: if idles { 2_000 } else { dice.one_of(&[1, 30, 500, 3_000]) },
            narrow: dice.one_of(&[1, 16, 1_000, 20_000]),
            deaths: dice.one_of(&[0, 1, 1, 2, 2, 3, 5]),
            plan: Arc::new(plan),
        }
    }
}

/// How the logs of a story look.
struct Shape {
    partitions: u64,
    sources: u64,
    entries: i64,
    /// Milliseconds from one entry to the next, at most.
    step: i64,
    /// Minutes by which one partition may be ahead of another at their beginnings.
    skew: i64,
    published: bool,
    /// Bad events in a hundred.
    bad: u64,
}

impl Shape {
    fn draw(dice: &mut Dice) -> Shape {
        Shape {
            partitions: dice.between(1, 6) as u64,
            sources: dice.one_of(&[1, 2, 5, 20, 60]),
            entries: dice.one_of(&[0, 4, 12, 25, 40]),
            step: dice.one_of(&[300, 5_000, 20_000, 70_000]),
            skew: dice.one_of(&[0, 0, 1, 5, 40]),
            published: dice.percent(60),
            bad: dice.one_of(&[0, 3, 15]),
        }
    }
}

/// The dataflow of all stories as it is written.
fn written() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("story");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("schema.avsc"), SCHEMA).unwrap();
        fs::write(folder.join("dataflow.toml"), DATAFLOW).unwrap();
        plan::load(&folder).unwrap_or_else(|problems| panic!("{problems:?}"))
    })
}

fn plan(dice: &mut Dice, idles: bool) -> Plan {
    Plan {
        out_of_order: dice.one_of(&[0, 2_000, 5_000, 30_000, 90_000, 200_000]),
        max_ahead: dice.one_of(&[1_000, 60_000, 600_000]),
        idle_after: if idles { 30_000 } else { NEVER_IDLE },
        key_groups: dice.one_of(&[4, 16, 256]),
        lanes: dice.one_of(&[1, 2, 4, 7]),
        rows_per_insert: dice.one_of(&[1, 3, 1_000]),
        ..written().clone()
    }
}

/// One partition's log: its time goes on from entry to entry, its events lie about it.
fn log(dice: &mut Dice, plan: &Plan, shape: &Shape) -> Vec<LogEntry> {
    let mut now = (START + dice.between(0, shape.skew)) * MINUTE;
    let entries = dice.between(shape.entries / 2, shape.entries);
    let entry = |_| {
        now += dice.between(0, shape.step);
        if dice.percent(3) {
            now += dice.between(1, 9) * MINUTE;
        }
        let events = match dice.below(40) {
            0 => 0,
            1 => dice.between(50, 200),
            _ => dice.one_of(&[1, 2, 3, 8]),
        };
        let published = shape.published.then(|| now + dice.between(0, 2_000));
        let run = dice.percent(30);
        let events = (0..events).map(|_| event(dice, plan, shape, now, run, published)).collect();
        LogEntry { events, published, run }
    };
    (0..entries).map(entry).collect()
}

fn event(dice: &mut Dice, plan: &Plan, shape: &Shape, now: i64, run: bool, published: Option<i64>) -> Event {
    let behind = dice.between(0, plan.out_of_order.max(1_000));
    let mut event = Event {
        source: dice.below(shape.sources),
        value: dice.between(-1_000_000, 1_000_000) as i32,
        level: dice.percent(80).then(|| dice.between(-9, 9)),
        at: now - behind,
        garbage: false,
    };
    if dice.percent(shape.bad) {
        match (dice.below(4), published) {
            (0, Some(published)) => event.at = published + plan.max_ahead + dice.between(-5, 60 * MINUTE),
            (1, _) => event.at = -1,
            // Within a run nobody would know where the next one begins: that entry would end here.
            (2, _) if !run => event.garbage = true,
            _ => event.at = now - plan.out_of_order - dice.between(0, 4 * MINUTE),
        }
    }
    event
}

/// An entry as the source gives it.
fn stored(number: u64, entry: &LogEntry) -> Entry {
    let payloads: Vec<Vec<u8>> = entry.events.iter().map(payload).collect();
    let mut stored = payload_entry(number, &payloads, entry.published);
    if entry.run {
        stored.framing = Framing::Run(payloads.len() as u32);
    }
    stored
}

/// The name of a source.
pub fn source_name(source: u64) -> String {
    format!("source-{source}")
}

fn payload(event: &Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    let name = source_name(event.source);
    long(name.len() as i64, &mut bytes);
    bytes.extend(name.as_bytes());
    bytes.extend(f64::from(event.value).to_le_bytes());
    match event.level {
        None => long(0, &mut bytes),
        Some(level) => {
            long(1, &mut bytes);
            long(level, &mut bytes);
        }
    }
    long(event.at, &mut bytes);
    if event.garbage {
        bytes.truncate(bytes.len() / 2);
    }
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
