//! The source: the same entries as the generator's, resumed exactly, bounded, paced, ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::connect::generate::{Generated, Pace};
use crate::dataflow::edges::{Entry, Next, Reader, Source, Start};
use crate::error::Fault;
use crate::limits::QUEUED_ENTRIES_MAX;
use crate::snapshot::Position;

fn source(events: u64) -> Generated {
    Generated::new(sensors(Spec { out_of_order: 0.1, late: 0.1, malformed: 0.1, ..small(events) }), Pace::Flat).unwrap()
}

fn open(source: &Generated, starts: &[(u32, Option<u64>)]) -> Box<dyn Reader> {
    let start = |&(partition, from): &(u32, Option<u64>)| Start {
        partition,
        from: from.map(|entry| Position(entry, 0)),
        begun: false,
    };
    let main = thread::current();
    source.open(starts.iter().map(start).collect(), Arc::new(move || main.unpark())).unwrap()
}

/// Reads a partition to its end, sleeping until woken where there is nothing yet.
fn drain(reader: &mut dyn Reader, partition: u32) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        match reader.next(partition).unwrap() {
            Next::Entry(entry) => entries.push(entry),
            Next::Waiting => thread::park_timeout(Duration::from_millis(50)),
            Next::Ended => return entries,
            other => panic!("a generated partition never gives {other:?}"),
        }
    }
}

fn bytes(entries: &[Entry]) -> Vec<(Position, Position, Vec<u8>, usize)> {
    entries.iter().map(|e| (e.position, e.next, e.bytes.clone(), e.framing.events())).collect()
}

#[test]
fn entries_are_those_of_the_generator() {
    let source = source(9_500);
    let mut reader = open(&source, &[(0, None), (1, None)]);
    for partition in [1, 0] {
        let entries = drain(&mut *reader, partition);
        assert_eq!(entries.len() as u64, source.generator.entries(partition));
        let mut batch = Batch::default();
        for (number, entry) in (0..).zip(&entries) {
            source.generator.fill(partition, number, &mut batch);
            assert_eq!(entry.bytes, batch.bytes);
            assert_eq!((entry.position, entry.next), (Position(number, 0), Position(number + 1, 0)));
            assert_eq!(entry.publish_time, Some(batch.last_ns / 1_000_000));
        }
        assert!(matches!(reader.next(partition).unwrap(), Next::Ended));
    }
}

#[test]
fn a_position_resumes_exactly() {
    let source = source(14_000);
    let whole = bytes(&drain(&mut *open(&source, &[(1, None)]), 1));
    for from in 0..=whole.len() {
        let rest = bytes(&drain(&mut *open(&source, &[(1, Some(from as u64))]), 1));
        assert_eq!(rest, whole[from..]);
    }
}

#[test]
fn an_unread_partition_does_not_hold_up_another_and_stays_bounded() {
    let source = source(60_000);
    let made = Arc::new(AtomicUsize::new(0));
    let (count, main) = (Arc::clone(&made), thread::current());
    let wake = move || {
        count.fetch_add(1, Ordering::SeqCst);
        main.unpark();
    };
    let starts = [0, 1].map(|partition| Start { partition, from: None, begun: false });
    let mut reader = source.open(starts.to_vec(), Arc::new(wake)).unwrap();
    assert_eq!(drain(&mut *reader, 0).len(), 30);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(made.load(Ordering::SeqCst), 30 + QUEUED_ENTRIES_MAX);
    assert_eq!(drain(&mut *reader, 1).len(), 30);
}

#[test]
fn pace_follows_event_time() {
    // 4 entries per partition, 40 s of event time each, at 400 times the speed: the last is due after 0.3 s.
    let source = Generated::new(sensors(small(8_000)), Pace::Speed(400.0)).unwrap();
    let began = Instant::now();
    let mut reader = open(&source, &[(0, None), (1, None)]);
    assert_eq!(drain(&mut *reader, 0).len() + drain(&mut *reader, 1).len(), 8);
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
}

#[test]
fn a_reader_that_waits_for_its_pace_is_dropped_at_once() {
    let source = Generated::new(sensors(small(80_000)), Pace::Speed(0.001)).unwrap();
    let mut reader = open(&source, &[(0, None)]);
    drop(reader.next(0).unwrap());
    drop(reader);
}

#[test]
fn partitions_are_named_and_tied_to_the_spec() {
    let partitions = source(10).partitions().unwrap();
    assert_eq!(partitions.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["generated-00000", "generated-00001"]);
    assert_eq!(partitions, source(10).partitions().unwrap());
    assert_ne!(partitions[0].identity, source(11).partitions().unwrap()[0].identity);
}

#[test]
fn what_is_not_there_is_an_error() {
    let source = source(10);
    let wake: crate::dataflow::edges::Wake = Arc::new(|| {});
    for (partition, from) in [(2, None), (0, Some(Position(2, 0)))] {
        let error = source.open(vec![Start { partition, from, begun: false }], Arc::clone(&wake)).err().unwrap();
        assert_eq!(error.fault, Fault::Data);
    }
    assert!(open(&source, &[(0, None)]).next(1).is_err());
    assert!(Generated::new(sensors(small(1)), Pace::Speed(0.0)).is_err());
}
