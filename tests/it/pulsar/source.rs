//! The source alone on a real broker: what is read, once and in order, whatever the broker and its operator do.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use minuet::connect::pulsar::{Auth, Begin, Client, Config, PulsarSource, Security};
use minuet::dataflow::edges::{Entry, Framing, Next, Reader, Source, Start};
use minuet::error::Result;
use minuet::snapshot::Position;

use super::broker::{Broker, Settings};
use super::sender::{Manner, Sender};
use super::topic::Topic;

const PATIENCE: Duration = Duration::from_secs(90);

fn config(topic: &Topic<'_>) -> Config {
    let security = Security { auth: Auth::None, roots: None, client: None };
    Config {
        client: Client::new(topic.url().parse().unwrap(), security).unwrap(),
        subscription: "reader".to_owned(),
        start: Begin::Earliest,
        memory: 64 << 20,
        accept_gap: false,
        check: Arc::new(|_| Ok(())),
        threads: 1,
    }
}

/// Sends one entry of two messages for each number.
fn send(topic: &Topic<'_>, numbers: std::ops::Range<u32>) {
    let mut sender = Sender::open(topic.broker, &topic.logs()[0]);
    for number in numbers {
        sender.send(&[&number.to_string(), "x"], &Manner::default());
    }
    sender.finish();
}

/// A partition as a slot reads it.
struct Slot {
    source: PulsarSource,
    reader: Box<dyn Reader>,
    gaps: usize,
    /// Where it said that reading begins.
    begins: Option<Position>,
}

impl Slot {
    fn open(config: Config, from: Option<Position>) -> Self {
        let source = PulsarSource::open(config).unwrap();
        let reader = source.open(vec![Start { partition: 0, from, begun: from.is_some() }], Arc::new(|| {})).unwrap();
        Slot { source, reader, gaps: 0, begins: None }
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.reader.next(0)? {
                Next::Entry(entry) if entry.framing.events() == 0 => self.begins = Some(entry.next),
                Next::Entry(entry) => return Ok(Some(entry)),
                Next::Gap(_) => self.gaps += 1,
                Next::CaughtUp => return Ok(None),
                Next::Waiting => thread::sleep(Duration::from_millis(2)),
                Next::Ended => panic!("a topic does not end"),
            }
            assert!(Instant::now() < end, "nothing comes: {:?}", self.source.status());
        }
    }

    /// The numbers of all entries until the broker has no more, and the position behind them.
    fn rest(&mut self) -> (Vec<u32>, Option<Position>) {
        let (mut numbers, mut next) = (Vec::new(), None);
        while let Some(entry) = self.next().unwrap() {
            numbers.push(number_of(&entry));
            next = Some(entry.next);
        }
        (numbers, next)
    }

    /// Covers everything and waits for the receipt.
    fn acknowledge(&mut self, next: Position) {
        self.reader.acknowledge(0, next);
        let end = Instant::now() + PATIENCE;
        while self.source.status()[0].acknowledged.is_none() {
            assert!(Instant::now() < end, "{:?}", self.source.status());
            thread::sleep(Duration::from_millis(10));
        }
        // The cursor is stored once a second.
        thread::sleep(Duration::from_millis(1_200));
    }
}

fn number_of(entry: &Entry) -> u32 {
    let Framing::Payloads(spans) = &entry.framing else { panic!("payloads") };
    std::str::from_utf8(entry.payload(spans[0]).unwrap()).unwrap().parse().unwrap()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<u32> {
    range.collect()
}

#[test]
fn a_first_run_begins_where_it_is_told_to() {
    let topic = Topic::make(Broker::shared(), "source-start", 0);
    topic.subscribe("reader");
    send(&topic, 0..5);
    thread::sleep(Duration::from_millis(50));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let time = i64::try_from(now).unwrap();
    thread::sleep(Duration::from_millis(50));
    send(&topic, 5..9);
    for (start, first) in [(Begin::Latest, 9), (Begin::At(time), 5), (Begin::Earliest, 0)] {
        let mut slot = Slot::open(Config { start, ..config(&topic) }, None);
        assert_eq!(slot.rest().0, numbers(first..9), "{start:?}");
    }
}

#[test]
fn roll_overs_unloads_and_a_killed_broker_are_not_seen_in_what_is_read() {
    let lines = ["managedLedgerMaxEntriesPerLedger=20", "managedLedgerMinLedgerRolloverTimeMinutes=0"];
    let broker = Broker::start(Settings { lines: &lines, secure: false });
    let topic = Topic::make(&broker, "source-ledgers", 0);
    topic.subscribe("reader");
    send(&topic, 0..95);
    let mut slot = Slot::open(config(&topic), None);
    let mut read = Vec::new();
    for turn in 0..95 {
        let entry = slot.next().unwrap().expect("there is more");
        read.push(number_of(&entry));
        if turn == 30 {
            topic.unload();
        }
    }
    assert_eq!(read, numbers(0..95));
    let next = slot.rest().1.or(slot.source.status()[0].next).unwrap();
    slot.acknowledge(next);
    // All but the last entry is acknowledged; what is full goes.
    topic.unload();
    topic.trim(0);
    broker.kill();
    broker.start_again();
    send(&topic, 95..140);
    assert_eq!(slot.rest().0, numbers(95..140));
    drop(slot);
    let mut slot = Slot::open(config(&topic), Some(next));
    let (rest, end) = slot.rest();
    assert_eq!(rest, numbers(95..140));
    slot.acknowledge(end.unwrap());
    drop(slot);
    topic.unload();
    topic.trim(0);
    thread::sleep(Duration::from_secs(2));
    topic.trim(0);
    assert!(topic.ledgers(0).len() <= 2, "{:?}", topic.ledgers(0));
    send(&topic, 140..141);
    assert_eq!(Slot::open(config(&topic), end).rest().0, numbers(140..141));
}

/// Reads until so many numbers have come.
fn wait_for(slot: &mut Slot, count: usize) -> Vec<u32> {
    let (end, mut numbers) = (Instant::now() + PATIENCE, Vec::new());
    while numbers.len() < count {
        numbers.extend(slot.rest().0);
        assert!(Instant::now() < end, "{numbers:?}");
    }
    numbers
}

#[test]
fn a_partition_that_was_empty_misses_nothing_that_goes_before_its_first_entry() {
    let lines = ["managedLedgerMaxEntriesPerLedger=10", "managedLedgerMinLedgerRolloverTimeMinutes=0"];
    let broker = Broker::start(Settings { lines: &lines, secure: false });
    let topic = Topic::make(&broker, "source-empty", 0);
    let mut slot = Slot::open(config(&topic), None);
    assert_eq!(slot.rest().0, numbers(0..0));
    let first = slot.begins.expect("an empty partition has a place, too");
    // The broker drops the empty ledger and nothing is missing.
    topic.unload();
    let end = Instant::now() + PATIENCE;
    while slot.begins == Some(first) {
        assert_eq!(slot.rest().0, numbers(0..0));
        assert!(Instant::now() < end, "the new place is told");
        thread::sleep(Duration::from_millis(5));
    }
    let place = slot.begins.unwrap();
    drop(slot);
    send(&topic, 0..5);
    topic.skip_all(0, "reader");
    send(&topic, 5..7);
    let mut slot = Slot::open(config(&topic), Some(place));
    assert_eq!(wait_for(&mut slot, 7), numbers(0..7), "what was skipped is still there");
    drop(slot);
    send(&topic, 7..15);
    topic.skip_all(0, "reader");
    thread::sleep(Duration::from_secs(2));
    topic.unload();
    topic.trim(0);
    send(&topic, 15..16);
    let error = Slot::open(config(&topic), Some(place)).next().unwrap_err();
    assert!(error.to_string().contains("--accept-gap"), "{error}");
}

#[test]
fn a_first_run_behind_the_last_entry_goes_on_when_that_ledger_was_closed() {
    let lines = ["managedLedgerMaxEntriesPerLedger=10", "managedLedgerMinLedgerRolloverTimeMinutes=0"];
    let broker = Broker::start(Settings { lines: &lines, secure: false });
    let topic = Topic::make(&broker, "source-latest", 0);
    topic.subscribe("reader");
    send(&topic, 0..5);
    let latest = || Config { start: Begin::Latest, ..config(&topic) };
    let mut slot = Slot::open(latest(), None);
    assert_eq!(slot.rest().0, numbers(0..0));
    let place = slot.begins.unwrap();
    drop(slot);
    topic.unload();
    topic.trim(0);
    broker.kill();
    broker.start_again();
    send(&topic, 5..7);
    let mut slot = Slot::open(latest(), Some(place));
    assert_eq!(wait_for(&mut slot, 2), numbers(5..7));
    drop(slot);
    topic.retain(60, 100);
    topic.unsubscribe("reader");
    let mut slot = Slot::open(latest(), Some(place));
    assert_eq!(wait_for(&mut slot, 2), numbers(5..7), "a subscription that is made anew is no new beginning");
}

#[test]
fn a_cursor_that_an_operator_moved_is_moved_back_or_its_gap_refused() {
    let lines = ["managedLedgerMaxEntriesPerLedger=10", "managedLedgerMinLedgerRolloverTimeMinutes=0"];
    let broker = Broker::start(Settings { lines: &lines, secure: false });
    let topic = Topic::make(&broker, "source-skipped", 0);
    topic.retain(60, 100);
    topic.subscribe("reader");
    send(&topic, 0..25);
    let mut slot = Slot::open(config(&topic), None);
    let first = slot.next().unwrap().unwrap();
    drop(slot);
    topic.skip_all(0, "reader");
    assert_eq!(Slot::open(config(&topic), Some(first.next)).rest().0, numbers(1..25));
    topic.retain(0, 0);
    topic.skip_all(0, "reader");
    thread::sleep(Duration::from_secs(2));
    topic.unload();
    send(&topic, 25..36);
    topic.trim(0);
    let error = Slot::open(config(&topic), Some(first.next)).next().unwrap_err();
    assert!(error.to_string().contains("--accept-gap"), "{error}");
    let mut agreed = Slot::open(Config { accept_gap: true, ..config(&topic) }, Some(first.next));
    let rest = agreed.rest().0;
    assert_eq!((agreed.gaps, rest.last()), (1, Some(&35)));
}
