//! The read path against a broker's double: what is read, whatever happens on the way.

use std::thread;
use std::time::Instant;

use pulsar_double::{Damage, Double, Fault, Message, Position as At, Settings, Shape};

use super::*;
use crate::connect::pulsar::{Address, Auth, Security};
use crate::dataflow::edges::{Entry, Framing, Next, Writer};
use crate::snapshot::Position;

const TOPIC: &str = "persistent://t/n/events";
const PATIENCE: Duration = Duration::from_secs(60);

fn config(double: &Double) -> Config {
    let address: Address = format!("{}/t/n/events", double.url()).parse().unwrap();
    let security = Security { auth: Auth::None, roots: None, client: None };
    Config {
        client: Client::new(address, security).unwrap(),
        subscription: "s".to_owned(),
        start: Begin::Earliest,
        memory: 64 << 20,
        accept_gap: false,
        check: Arc::new(|json| if json.contains("bad") { Err("it has no source".to_owned()) } else { Ok(()) }),
        threads: 1,
    }
}

fn small_ledgers() -> Double {
    let double = Double::start(Settings { ledger_entries: 7, ..Settings::default() });
    double.create_topic(TOPIC, 0);
    double.create_subscription(TOPIC, "s");
    double
}

/// Entries of two messages `FROM`, `FROM + 1` and so on.
fn append(double: &Double, topic: &str, entries: std::ops::Range<u32>) {
    for entry in entries {
        let of = |index: u32| Message::of((2 * entry + index).to_be_bytes().to_vec());
        double.append(topic, &Shape::default().entry(&[of(0), of(1)]));
    }
}

/// A partition as a slot reads it.
struct Slot {
    _source: PulsarSource,
    reader: Box<dyn Reader>,
    gaps: usize,
    /// Where it said that reading begins.
    begins: Option<Position>,
}

impl Slot {
    fn open(config: Config, from: Option<Position>) -> Self {
        let source = PulsarSource::open(config).unwrap();
        let start = Start { partition: 0, from, begun: from.is_some() };
        let reader = source.open(vec![start], Arc::new(|| {})).unwrap();
        Slot { _source: source, reader, gaps: 0, begins: None }
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.reader.next(0)? {
                Next::Entry(entry) if entry.framing.events() == 0 => self.begins = Some(entry.next),
                Next::Entry(entry) => return Ok(Some(entry)),
                Next::Gap(_) => self.gaps += 1,
                Next::CaughtUp => return Ok(None),
                Next::Waiting => thread::sleep(Duration::from_millis(1)),
                Next::Ended => panic!("a topic does not end"),
            }
            assert!(Instant::now() < end, "nothing comes");
        }
    }

    /// All that comes until the broker has no more, and the position behind it.
    fn rest(&mut self) -> (Vec<u32>, Option<Position>) {
        let (mut numbers, mut next) = (Vec::new(), None);
        while let Some(entry) = self.next().unwrap() {
            numbers.extend(numbers_of(&entry));
            next = Some(entry.next);
        }
        (numbers, next)
    }
}

fn numbers_of(entry: &Entry) -> Vec<u32> {
    let Framing::Payloads(spans) = &entry.framing else { panic!("payloads") };
    let number = |payload: &[u8]| u32::from_be_bytes(payload.try_into().unwrap());
    spans.iter().map(|span| number(entry.payload(*span).unwrap())).collect()
}

fn all(entries: u32) -> Vec<u32> {
    (0..2 * entries).collect()
}

#[test]
fn what_comes_later_is_read_after_the_end() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..30);
    let mut slot = Slot::open(config(&double), None);
    assert_eq!(slot.rest().0, all(30));
    append(&double, TOPIC, 30..31);
    let end = Instant::now() + PATIENCE;
    let late = loop {
        if let Some(entry) = slot.next().unwrap() {
            break entry;
        }
        assert!(Instant::now() < end);
    };
    assert_eq!(numbers_of(&late), [60, 61]);
}

#[test]
fn nothing_that_happens_on_the_way_is_seen_in_what_is_read() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..2);
    let of = |number: u32| Message::of(number.to_be_bytes().to_vec());
    let lost = double.append(TOPIC, &Shape::default().entry(&[of(4), of(5)]));
    append(&double, TOPIC, 3..100);
    for damage in [Damage::Twice, Damage::Swapped, Damage::Cut, Damage::Closed, Damage::Unload, Damage::Checksum] {
        double.plan(None, Fault::Entry(None, damage), 1);
    }
    double.plan(None, Fault::Entry(Some(lost), Damage::Lost), 1);
    let mut slot = Slot::open(config(&double), None);
    let mut numbers = Vec::new();
    for turn in 0..100 {
        let entry = slot.next().unwrap().expect("not yet the end");
        numbers.extend(numbers_of(&entry));
        slot.reader.acknowledge(0, entry.next);
        slot.reader.recycle(entry);
        match turn {
            20 => double.disconnect(),
            40 => double.crash(),
            60 => double.unload(TOPIC),
            _ => {}
        }
    }
    assert_eq!(numbers, all(100));
    assert!(double.happened().len() >= 5, "{:?}", double.happened());
}

#[test]
fn what_no_manifest_covers_stays_at_the_broker_however_often_it_is_connected_to() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..40);
    let mut slot = Slot::open(config(&double), None);
    let first: Vec<Entry> = (0..12).map(|_| slot.next().unwrap().expect("not yet the end")).collect();
    slot.reader.acknowledge(0, first[2].next);
    assert_eq!(slot.rest().0, (24..80).collect::<Vec<u32>>());
    let reconnects = |slot: &Slot| slot._source.status()[0].reconnects.values().sum::<u64>();
    for _ in 0..3 {
        let before = reconnects(&slot);
        double.disconnect();
        let end = Instant::now() + PATIENCE;
        while reconnects(&slot) == before || !slot._source.status()[0].connected {
            assert!(Instant::now() < end);
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(slot.rest().0, Vec::<u32>::new(), "what is sent again is dropped");
    }
    let witness = first[1].position;
    let kept = double.mark_delete(TOPIC, "s").expect("it has subscribed");
    assert!(kept < At::new(witness.0.cast_signed(), witness.1.cast_signed() + 1), "{kept:?}");
    drop(slot);
    double.roll(TOPIC);
    double.trim(TOPIC);
    let mut slot = Slot::open(config(&double), Some(first[2].next));
    assert_eq!(slot.rest().0, (6..80).collect::<Vec<u32>>(), "whoever begins at the manifest misses nothing");
}

#[test]
fn a_run_goes_on_exactly_where_the_last_one_was() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..14);
    let mut slot = Slot::open(config(&double), None);
    let (numbers, next) = slot.rest();
    assert_eq!(numbers, all(14));
    // All of two ledgers is covered, yet the last entry stays: it proves what follows it.
    slot.reader.acknowledge(0, next.unwrap());
    let covered = At::new(i64::try_from(next.unwrap().0).unwrap(), i64::try_from(next.unwrap().1).unwrap() - 2);
    let end = Instant::now() + PATIENCE;
    while double.mark_delete(TOPIC, "s") != Some(covered) {
        assert!(Instant::now() < end, "{:?}", double.mark_delete(TOPIC, "s"));
        thread::sleep(Duration::from_millis(5));
    }
    drop(slot);
    double.roll(TOPIC);
    double.trim(TOPIC);
    double.restart();
    append(&double, TOPIC, 14..20);
    let mut slot = Slot::open(config(&double), next);
    assert_eq!(slot.rest().0, (28..40).collect::<Vec<u32>>());
    assert_eq!(slot._source.status()[0].repeats, 1, "the witness");
}

#[test]
fn another_s_acknowledgement_of_all_is_no_loss() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..7);
    let mut slot = Slot::open(config(&double), None);
    let next = slot.rest().1.unwrap();
    drop(slot);
    double.move_cursor(TOPIC, "s", At::new(next.0 as i64, next.1 as i64 - 1));
    double.roll(TOPIC);
    double.trim(TOPIC);
    append(&double, TOPIC, 7..9);
    assert_eq!(Slot::open(config(&double), Some(next)).rest().0, [14, 15, 16, 17]);
}

#[test]
fn a_cursor_that_was_moved_over_entries_is_moved_back() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..6);
    let mut slot = Slot::open(config(&double), None);
    let first = slot.next().unwrap().unwrap();
    drop(slot);
    double.move_cursor(TOPIC, "s", At::new(first.position.0 as i64, 4));
    assert_eq!(Slot::open(config(&double), Some(first.next)).rest().0, (2..12).collect::<Vec<u32>>());
}

#[test]
fn expired_entries_are_refused_or_agreed_to() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..20);
    let mut slot = Slot::open(config(&double), None);
    let first = slot.next().unwrap().unwrap();
    drop(slot);
    double.expire(TOPIC, i64::MAX);
    let mut refused = Slot::open(config(&double), Some(first.next));
    let error = refused.next().unwrap_err();
    assert!(error.to_string().contains("--accept-gap"), "{error}");
    drop(refused);
    let mut agreed = Slot::open(Config { accept_gap: true, ..config(&double) }, Some(first.next));
    let numbers = agreed.rest().0;
    assert_eq!(agreed.gaps, 1);
    assert_eq!(numbers, (28..40).collect::<Vec<u32>>());
}

#[test]
fn a_first_run_begins_where_it_is_told_to() {
    let double = small_ledgers();
    let entry = |time: u64, number: u32| {
        let shape = Shape { publish_time: time, ..Shape::default() };
        double.append(TOPIC, &shape.entry(&[Message::of(number.to_be_bytes().to_vec())]));
    };
    (0..10).for_each(|number| entry(1_000 + u64::from(number), number));
    for (start, first) in [(Begin::Earliest, 0), (Begin::At(1_004), 4), (Begin::Latest, 10)] {
        let mut slot = Slot::open(Config { start, ..config(&double) }, None);
        assert_eq!(slot.rest().0, (first..10).collect::<Vec<u32>>(), "{start:?}");
    }
}

/// Reads what is there of an empty topic: where it begins.
fn begin_empty(double: &Double) -> Position {
    let mut slot = Slot::open(config(double), None);
    assert_eq!(slot.rest(), (Vec::new(), None));
    slot.begins.expect("an empty partition has a place, too")
}

#[test]
fn what_is_skipped_before_the_first_entry_was_read_is_read_all_the_same() {
    let double = small_ledgers();
    let place = begin_empty(&double);
    append(&double, TOPIC, 0..5);
    double.move_cursor(TOPIC, "s", At::new(place.0.cast_signed(), 4));
    append(&double, TOPIC, 5..6);
    assert_eq!(Slot::open(config(&double), Some(place)).rest().0, all(6));
}

#[test]
fn what_expires_before_the_first_entry_was_read_is_missed() {
    let double = small_ledgers();
    let place = begin_empty(&double);
    append(&double, TOPIC, 0..20);
    double.expire(TOPIC, i64::MAX);
    let error = Slot::open(config(&double), Some(place)).next().unwrap_err().to_string();
    assert!(error.contains("--accept-gap") && error.contains("nothing was read of ledger"), "{error}");
    let mut agreed = Slot::open(Config { accept_gap: true, ..config(&double) }, Some(place));
    assert_eq!((agreed.rest().0, agreed.gaps), ((28..40).collect::<Vec<u32>>(), 1));
}

#[test]
fn an_empty_topic_may_be_unloaded() {
    let double = small_ledgers();
    let mut slot = Slot::open(config(&double), None);
    assert_eq!(slot.rest().0, all(0));
    let first = slot.begins;
    double.unload(TOPIC);
    let end = Instant::now() + PATIENCE;
    while slot.begins == first {
        assert_eq!(slot.rest().0, all(0));
        assert!(Instant::now() < end, "the new place is told");
        thread::sleep(Duration::from_millis(5));
    }
    append(&double, TOPIC, 0..9);
    let end = Instant::now() + PATIENCE;
    let mut numbers = Vec::new();
    while numbers.len() < 18 {
        numbers.extend(slot.rest().0);
        assert!(Instant::now() < end, "{numbers:?}");
    }
    assert_eq!((numbers, slot.gaps), (all(9), 0));
    drop(slot);
    assert_eq!(Slot::open(config(&double), first).next().unwrap_err().fault, crate::error::Fault::Data);
}

#[test]
fn a_first_run_behind_the_last_entry_keeps_that_one_as_its_witness() {
    let double = small_ledgers();
    append(&double, TOPIC, 0..5);
    let latest = || Config { start: Begin::Latest, ..config(&double) };
    let mut slot = Slot::open(latest(), None);
    assert_eq!(slot.rest().0, all(0));
    let place = slot.begins.unwrap();
    drop(slot);
    assert_eq!(double.mark_delete(TOPIC, "s"), Some(At::new(place.0.cast_signed(), 3)), "the last is not acknowledged");
    double.roll(TOPIC);
    double.trim(TOPIC);
    append(&double, TOPIC, 5..7);
    let read = Slot::open(latest(), Some(place)).rest().0;
    assert_eq!(read, [10, 11, 12, 13]);
    // A subscription that is made anew begins with what is left, and what was not to be read is dropped.
    double.move_cursor(TOPIC, "s", At::new(place.0.cast_signed(), -1));
    assert_eq!(Slot::open(latest(), Some(place)).rest().0, read);
}

#[test]
fn each_version_of_a_schema_is_looked_up_once() {
    let double = small_ledgers();
    let versions: Vec<Vec<u8>> =
        ["\"long\"", "\"bad\"", "\"int\""].iter().map(|text| double.register_schema(TOPIC, 4, text)).collect();
    let mut shapes: Vec<Shape> =
        versions.iter().map(|v| Shape { schema_version: Some(v.clone()), ..Shape::default() }).collect();
    shapes.push(Shape::default());
    for shape in shapes.iter().cycle().take(8) {
        double.append(TOPIC, &shape.entry(&[Message::of(vec![0, 0, 0, 1])]));
    }
    let mut slot = Slot::open(config(&double), None);
    let writers: Vec<Writer> = std::iter::from_fn(|| slot.next().unwrap()).map(|entry| entry.writer).collect();
    assert_eq!(writers.len(), 8);
    assert_eq!(writers[0], Writer::Schema("\"long\"".into()));
    assert_eq!(writers[1], Writer::Unreadable("schema version 1: it has no source".into()));
    assert_eq!(writers[2], Writer::Schema("\"int\"".into()));
    assert_eq!(writers[3], Writer::Own);
    assert_eq!(writers[..4], writers[4..]);
}

#[test]
fn a_schema_of_another_kind_is_refused_at_the_start() {
    let double = small_ledgers();
    double.register_schema(TOPIC, 2, "{}");
    let error = PulsarSource::open(config(&double)).err().expect("it is refused");
    assert!(error.to_string().contains("allowed are Avro"), "{error}");
}

#[test]
fn what_cannot_be_opened_is_kept_aside_and_what_must_not_be_misread_ends_the_run() {
    let double = small_ledgers();
    let messages = [Message::of(b"a".to_vec()), Message::of(b"b".to_vec())];
    double.append(TOPIC, &Shape { first_size: Some(1_000), ..Shape::default() }.entry(&messages));
    double.append(TOPIC, &Shape { chunks: Some(3), ..Shape::default() }.entry(&messages));
    let mut slot = Slot::open(config(&double), None);
    let entry = slot.next().unwrap().unwrap();
    assert!(matches!(entry.writer, Writer::Unreadable(_)));
    assert_eq!(entry.framing.events(), 2);
    let error = slot.next().unwrap_err();
    assert!(error.to_string().contains("chunked"), "{error}");
}

#[test]
fn a_damaged_entry_is_read_again_and_then_the_run_ends() {
    let double = small_ledgers();
    let damaged = double.append(TOPIC, &Shape::default().entry(&[Message::of(vec![0; 4])]));
    append(&double, TOPIC, 0..3);
    double.plan(None, Fault::Entry(Some(damaged), Damage::Checksum), 2);
    assert_eq!(Slot::open(config(&double), None).next().unwrap().unwrap().bytes.len(), 12);
    double.plan(None, Fault::Entry(Some(damaged), Damage::Checksum), 3);
    let error = Slot::open(config(&double), None).next().unwrap_err();
    assert!(error.to_string().contains("its checksum is wrong, 3 times"), "{error}");
}

#[test]
fn one_that_is_not_polled_stops_no_other_and_takes_no_memory() {
    let double = Double::start(Settings::default());
    double.create_topic(TOPIC, 2);
    let names = [0, 1].map(|number| format!("{TOPIC}-partition-{number}"));
    for name in &names {
        for number in 0..40_u32 {
            let large = [number.to_be_bytes().to_vec(), vec![7; 300_000]].concat();
            double.append(name, &Shape::single().entry(&[Message::of(large)]));
        }
    }
    let source = PulsarSource::open(Config { memory: 1 << 20, ..config(&double) }).unwrap();
    let start = |partition| Start { partition, from: None, begun: false };
    let mut reader = source.open(vec![start(0), start(1)], Arc::new(|| {})).unwrap();
    thread::sleep(Duration::from_millis(300));
    let end = Instant::now() + PATIENCE;
    let mut read = 0;
    while read < 40 {
        assert!(Instant::now() < end, "{:?}", source.status());
        match reader.next(1).unwrap() {
            Next::Entry(entry) if entry.framing.events() > 0 => {
                assert_eq!(entry.bytes[..4], u32::to_be_bytes(read));
                read += 1;
            }
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
    let paused = &source.status()[0];
    assert!(paused.bytes < 3_000_000, "{paused:?}");
}

fn cut(partition: u32, name: &str) -> PartitionCut {
    PartitionCut::beginning(partition, name, "")
}

#[test]
fn more_partitions_are_fine_and_fewer_or_others_are_not() {
    let names: Vec<String> = ["a-0", "a-1", "a-2"].map(str::to_owned).to_vec();
    assert_eq!(mismatch(&names, &[]), None);
    assert_eq!(mismatch(&names, &[cut(0, "a-0"), cut(1, "a-1")]), None);
    assert!(mismatch(&names, &[cut(1, "b-1")]).unwrap().contains("it is a-1 now"));
    assert!(mismatch(&names, &[cut(3, "a-3")]).unwrap().contains("there are 3 partitions now"));
}
