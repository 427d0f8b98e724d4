//! Against a plain oracle: a map from (source, minute) to all its events, summed with big integers.

use proptest::prelude::*;

use super::*;
use crate::aggregate::{FinishedRow, Value};
use crate::limits::SOURCE_SILENT_MINUTES;
use crate::time::LAST_EPOCH;

mod oracle;

use oracle::{Event, Oracle, dataflow, events};

/// Where an event goes and when.
#[derive(Clone, Debug)]
struct Scene {
    events: Vec<Event>,
    /// Per event: how far its stamp is behind its minute, whether it comes through a partial, and where it stands in the shuffle.
    ways: Vec<(u64, bool, u64)>,
    /// Batches end after so many events.
    batch: usize,
    /// Close after every so many batches.
    close_every: usize,
}

fn scene() -> impl Strategy<Value = Scene> {
    (events(0..60), 1usize..20, 1usize..6).prop_flat_map(|(events, batch, close_every)| {
        let ways = prop::collection::vec((0u64..4, any::<bool>(), any::<u64>()), events.len());
        ways.prop_map(move |ways| Scene { events: events.clone(), ways, batch, close_every })
    })
}

/// Partial records of some events, made by tables of their own.
fn preaggregated(layout: &Arc<Layout>, events: &[Event]) -> Vec<u64> {
    let mut tables = OpenTables::new(layout.clone());
    for event in events {
        tables.fold(0, &event.record());
    }
    let mut out = Vec::new();
    tables.close(0, &mut |_| panic!("no minute is 0"), &mut |record| out.extend_from_slice(record));
    out
}

/// Events of minutes from 10 on are stamped up to this, so that closes before the last merge stamps but complete no minute.
const LAST_STAMP: Epoch = 9;

/// Runs a scene through tables and returns its rows, sorted.
fn run(layout: &Arc<Layout>, scene: &Scene) -> Vec<FinishedRow> {
    let mut order: Vec<usize> = (0..scene.events.len()).collect();
    order.sort_by_key(|&index| scene.ways[index].2);
    let mut tables = OpenTables::new(layout.clone());
    let mut closed = 0;
    for (number, batch) in order.chunks(scene.batch).enumerate() {
        let mut whole = Vec::new();
        for &index in batch {
            let (event, (back, through_partial, _)) = (&scene.events[index], scene.ways[index]);
            let stamp = (event.minute - back).clamp(closed + 1, LAST_STAMP);
            if through_partial {
                whole.push(event.clone());
                if whole.len() == 3 {
                    tables.merge(stamp, &preaggregated(layout, &whole));
                    whole.clear();
                }
            } else {
                tables.fold(stamp, &event.record());
            }
        }
        tables.merge(closed + 1, &preaggregated(layout, &whole));
        if number % scene.close_every == 0 {
            closed = (closed + 1).min(LAST_STAMP - 1);
            let mut kept = Vec::new();
            tables.close(closed, &mut |_| panic!("minutes are from 10"), &mut |record| kept.extend_from_slice(record));
            assert!(record::records(&kept).all(|record| layout.unpack(record).count > 0));
            if number % 2 == 1 {
                // A crash: the open partials of the snapshot are restored, and what was stamped later comes again.
                let mut later = Vec::new();
                tables.close(LAST_STAMP, &mut |_| panic!("minutes are from 10"), &mut |record| {
                    later.extend_from_slice(record);
                });
                tables = OpenTables::new(layout.clone());
                let restored = record::records(&later).flat_map(|record| {
                    let mut words = Vec::new();
                    layout.pack(&layout.unpack(record), &mut words).expect("its own partial");
                    assert_eq!(layout.unpack(&words), layout.unpack(record), "unpack and pack are inverses");
                    words
                });
                tables.merge(closed, &restored.collect::<Vec<u64>>());
            }
        }
    }
    let mut rows = Vec::new();
    let nothing: &mut dyn FnMut(&[u64]) = &mut |_| panic!("nothing is open past the end");
    tables.close(10_000, &mut |record| rows.push(layout.finish(record)), nothing);
    assert_eq!((tables.tables(), tables.sources()), (0, 0));
    rows.sort_by_key(oracle::row_key);
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_way_gives_the_rows_of_the_oracle(scene in scene(), seed in any::<u64>()) {
        let layout = Arc::new(dataflow());
        let rows = run(&layout, &scene);
        let mut oracle = Oracle::default();
        scene.events.iter().for_each(|event| oracle.add(event));
        let expected = oracle.rows();
        prop_assert_eq!(rows.len(), expected.len());
        for (row, expected) in rows.iter().zip(&expected) {
            prop_assert_eq!(row, expected);
        }
        // Zeros compare equal whatever their sign, bits do not: compare the rows of two orders in words.
        let mut other = scene;
        for (index, way) in other.ways.iter_mut().enumerate() {
            way.2 = way.2.wrapping_add(seed).rotate_left(index as u32);
            way.1 = !way.1;
        }
        let other_rows = run(&layout, &other);
        prop_assert_eq!(format!("{rows:?}"), format!("{other_rows:?}"));
    }

    #[test]
    fn partials_of_the_same_events_are_equal(events in events(1..30), seed in any::<u64>()) {
        let layout = Arc::new(dataflow());
        let named = |events: &[Event]| {
            let records = preaggregated(&layout, events);
            let mut all: Vec<_> = record::records(&records).map(|record| layout.unpack(record)).collect();
            all.sort_by_key(|partial| (partial.minute, partial.source.clone()));
            all
        };
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|event| event.order.wrapping_mul(seed | 1));
        prop_assert_eq!(named(&events), named(&shuffled));
    }

    #[test]
    fn damaged_records_never_panic(events in events(1..6), hits in prop::collection::vec((any::<usize>(), any::<u64>()), 1..6)) {
        let layout = Arc::new(dataflow());
        let mut batch: Vec<u64> = events.iter().flat_map(|event| event.record()).collect();
        let mut partials = preaggregated(&layout, &events);
        for (place, value) in hits {
            let (one, other) = (place % batch.len(), place % partials.len());
            batch[one] = value >> (place % 64);
            partials[other] = value >> (place % 64);
        }
        let mut tables = OpenTables::new(layout.clone());
        tables.fold(1, &batch);
        tables.merge(1, &partials);
        tables.fold(1, &partials);
        tables.merge(1, &batch);
        let fixed = PARTIAL_HEADER_WORDS + layout.state_words();
        let whole = record::records(&partials).chain(record::records(&batch)).filter(|record| record.len() >= fixed);
        for record in whole {
            layout.finish(record);
            let _ = layout.pack(&layout.unpack(record), &mut Vec::new());
        }
        for commit in [20, LAST_EPOCH] {
            tables.close(commit, &mut |record| drop(layout.finish(record)), &mut |record| drop(layout.unpack(record)));
        }
    }
}

fn event(source: &str, minute: Minute, order: u64) -> Event {
    Event { source: source.to_owned(), minute, order, ..Event::default() }
}

#[test]
fn later_stamps_wait_and_open_minutes_stay() {
    let layout = Arc::new(dataflow());
    let mut tables = OpenTables::new(layout.clone());
    tables.fold(4, &event("a", 5, 1).record());
    tables.fold(5, &event("a", 5, 2).record());
    tables.fold(5, &event("a", 7, 3).record());
    tables.fold(6, &event("a", 7, 4).record());
    tables.fold(6, &event("b", 6, 5).record());
    let mut close = |commit| {
        let (mut closed, mut open) = (Vec::new(), Vec::new());
        let counts = |record: &[u64]| {
            let partial = layout.unpack(record);
            (String::from_utf8(partial.source).expect("ascii"), partial.minute, partial.count)
        };
        tables.close(commit, &mut |record| closed.push(counts(record)), &mut |record| open.push(counts(record)));
        (closed, open, tables.tables())
    };
    assert_eq!(close(5), (vec![("a".into(), 5, 2)], vec![("a".into(), 7, 1)], 3));
    assert_eq!(close(6), (vec![("b".into(), 6, 1)], vec![("a".into(), 7, 2)], 1));
    assert_eq!(close(7), (vec![("a".into(), 7, 2)], vec![], 0));
    assert_eq!(close(8), (vec![], vec![], 0));
}

#[test]
fn memory_is_used_again() {
    let layout = Arc::new(dataflow());
    let mut tables = OpenTables::new(layout);
    let mut largest = 0;
    for minute in 10..400u64 {
        for number in 0..50 {
            let event = event(&format!("{}-{number}", minute / SOURCE_SILENT_MINUTES), minute, number);
            tables.fold(minute, &event.record());
        }
        let mut rows = 0;
        tables.close(minute, &mut |_| rows += 1, &mut |_| {});
        assert_eq!(rows, 50);
        if minute < 150 {
            largest = largest.max(tables.bytes());
        }
    }
    assert!(tables.bytes() <= largest + largest / 4, "{} > {largest}", tables.bytes());
    assert!(tables.sources() <= 150, "{}", tables.sources());
}

#[test]
fn dead_texts_of_a_table_that_batches_do_not_end_with_are_bounded() {
    let mut tables = OpenTables::new(Arc::new(dataflow()));
    for order in 0..20_000u64 {
        let text = Some("x".repeat(order as usize % 97));
        let mut batch = Event { text, ..event("a", 10, order) }.record();
        batch.extend(event("a", 11, order).record());
        tables.fold(10, &batch);
    }
    assert!(tables.bytes() < 600_000, "{}", tables.bytes());
}

#[test]
fn dead_texts_are_bounded() {
    let layout = Arc::new(dataflow());
    let mut tables = OpenTables::new(layout.clone());
    for order in 0..20_000u64 {
        let text = Some("x".repeat(order as usize % 97));
        let event = Event { text, ..event(&format!("{}", order % 7), 10, order) };
        tables.fold(10, &event.record());
    }
    assert!(tables.bytes() < 600_000, "{}", tables.bytes());
    let mut rows = Vec::new();
    tables.close(10, &mut |record| rows.push(layout.finish(record)), &mut |_| {});
    rows.sort_by_key(oracle::row_key);
    let last = rows[0].values.last().cloned();
    let newest = (0..20_000usize).rfind(|order| order % 7 == 0).expect("there are some");
    assert_eq!(last, Some(Value::Text("x".repeat(newest % 97))));
}
