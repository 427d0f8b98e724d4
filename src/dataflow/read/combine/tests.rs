//! Events that are folded on the way give the rows of events that are not, wherever they are sent.

use proptest::prelude::*;

use super::*;
use crate::aggregate::record::{EventHead, order, records, write_event};
use crate::aggregate::{Kind, Output, Render, SourceKind, Statistic, hash_source};
use crate::limits::BATCH_WORDS;
use crate::time::LAST_EPOCH;

/// A float and a text, of each what an order of merging could spoil.
fn layout() -> Arc<Layout> {
    let statistics = |field, statistics: &[Statistic]| -> Vec<Output> {
        let output = |statistic: &Statistic| {
            let name = format!("f{field}_{statistic:?}");
            Output { name, field, statistic: *statistic, render: Render::Plain }
        };
        statistics.iter().map(output).collect()
    };
    let mut outputs = statistics(0, &[Statistic::Sum, Statistic::Min, Statistic::Avg, Statistic::First]);
    outputs.extend(statistics(1, &[Statistic::First, Statistic::Last]));
    Arc::new(Layout::new("source", SourceKind::Text, vec![Kind::Float, Kind::Text], outputs))
}

#[derive(Clone, Debug)]
struct Event {
    source: u8,
    minute: Minute,
    value: Option<f64>,
    text: Option<String>,
}

/// Batches of events, and whether the epoch rises after each.
fn scene() -> impl Strategy<Value = Vec<(Vec<Event>, bool)>> {
    let value = prop::option::of(prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), -9.0..9.0]);
    let event = (0_u8..4, 100_u64..103, value, prop::option::of("[a-c]{0,9}"))
        .prop_map(|(source, minute, value, text)| Event { source, minute, value, text });
    prop::collection::vec((prop::collection::vec(event, 0..12), any::<bool>()), 0..40)
}

fn batch(events: &[Event], place: &mut u64) -> Batch {
    let mut batch = Batch::new(2, Records::Events);
    for event in events {
        let source = [b's', event.source];
        *place += 1;
        let head = EventHead {
            hash: hash_source(&source),
            minute: event.minute,
            time: event.minute.cast_signed() * 60_000,
            order: order(1, *place),
            present: u64::from(event.value.is_some()) | u64::from(event.text.is_some()) << 1,
        };
        let words = [event.value.unwrap_or_default().to_bits(), 0];
        let texts = event.text.iter().map(|text| (1, text.as_bytes()));
        write_event(&mut batch.words, &head, &words, &source, texts);
        batch.records += 1;
    }
    batch
}

/// The rows of all that was sent, in the order of (minute, source), in words of Rust: bits of zeros and digits are compared too.
fn rows(layout: &Arc<Layout>, sent: &[Batch]) -> Vec<String> {
    let mut tables = OpenTables::new(Arc::clone(layout));
    for batch in sent {
        assert_eq!((batch.from, batch.records as usize), (2, records(&batch.words).count()));
        match batch.kind {
            Records::Events => tables.fold(7, &batch.words),
            Records::Partials => tables.merge(7, &batch.words),
        }
    }
    let mut rows = Vec::new();
    tables.close(LAST_EPOCH, &mut |partial| rows.push(format!("{:?}", layout.finish(partial))), &mut |_| {});
    rows.sort();
    rows
}

/// What a combiner sends of a scene, and what it says of it.
fn combined(combine: Combine, layout: &Arc<Layout>, scene: &[(Vec<Event>, bool)]) -> (Vec<Batch>, Vec<Combined>) {
    let mut combiner = Combiner::new(combine, Arc::clone(layout), 2);
    let (mut sent, mut said, mut place) = (Vec::new(), Vec::new(), 0);
    let mut send = |batch: &mut Batch| sent.push(batch.take());
    for (events, rises) in scene {
        combiner.take(&mut batch(events, &mut place), &mut send);
        if *rises {
            said.extend(combiner.rise(&mut send));
        }
    }
    said.extend(combiner.rise(&mut send));
    (sent, said)
}

proptest! {
    #[test]
    fn folded_or_not_the_rows_are_the_same(scene in scene()) {
        let layout = layout();
        let events: u64 = scene.iter().map(|(events, _)| events.len() as u64).sum();
        let (one_by_one, silence) = combined(Combine::Off, &layout, &scene);
        prop_assert!(silence.is_empty() && one_by_one.iter().all(|batch| batch.kind == Records::Events));
        let expected = rows(&layout, &one_by_one);
        let (folded, said) = combined(Combine::On, &layout, &scene);
        prop_assert!(folded.iter().all(|batch| batch.kind == Records::Partials));
        prop_assert_eq!(&rows(&layout, &folded), &expected);
        prop_assert_eq!(said.iter().map(|said| said.events).sum::<u64>(), events);
        let partials: u64 = folded.iter().map(|batch| u64::from(batch.records)).sum();
        prop_assert_eq!(said.iter().map(|said| said.partials).sum::<u64>(), partials);
        prop_assert!(said.iter().all(|said| said.goes_on && said.partials <= 12));
        prop_assert_eq!(&rows(&layout, &combined(Combine::Auto, &layout, &scene).0), &expected);
    }
}

/// Events of one source and minute each, and many of one source.
fn sparse(count: u8) -> Vec<Event> {
    (0..count).map(|source| Event { source, minute: 100, value: Some(1.0), text: None }).collect()
}

fn dense(count: usize) -> Vec<Event> {
    vec![Event { source: 0, minute: 100, value: Some(1.0), text: None }; count]
}

#[test]
fn where_it_does_not_pay_events_go_one_by_one_for_a_while() {
    let rests = COMBINE_REST_EPOCHS as usize;
    let mut scene = vec![(sparse(10), true); 2 + rests + 1];
    // Epochs without events are not counted.
    scene.insert(5, (Vec::new(), true));
    let (sent, said) = combined(Combine::Auto, &layout(), &scene);
    let kinds: Vec<Records> = sent.iter().map(|batch| batch.kind).collect();
    let mut expected = vec![Records::Events; rests + 3];
    // The first epoch may be short and decides nothing; the second does, and it is tried again after the rest.
    (expected[0], expected[1], expected[rests + 2]) = (Records::Partials, Records::Partials, Records::Partials);
    assert_eq!(kinds, expected);
    let goes_on: Vec<bool> = said.iter().map(|said| said.goes_on).collect();
    assert_eq!(goes_on, [true, false, false]);
}

#[test]
fn where_it_pays_it_goes_on() {
    let at_the_limit = dense(COMBINE_GAIN_MIN as usize);
    let (sent, said) = combined(Combine::Auto, &layout(), &vec![(at_the_limit, true); 9]);
    assert!(sent.iter().all(|batch| batch.kind == Records::Partials));
    assert_eq!(said, [Combined { slot: 2, events: COMBINE_GAIN_MIN, partials: 1, goes_on: true }; 9]);
}

#[test]
fn what_is_held_is_bounded_although_no_epoch_rises() {
    let layout = layout();
    let mut combiner = Combiner::new(Combine::On, Arc::clone(&layout), 0);
    let (mut sent, mut most, mut place) = (0, 0, 0);
    let long = "x".repeat(1_000);
    while sent == 0 {
        let mut events = Batch::new(0, Records::Events);
        while !events.is_full() {
            place += 1;
            let source = format!("{long}{place}");
            let hash = hash_source(source.as_bytes());
            let head = EventHead { hash, minute: 5, time: 300_000, order: place, present: 0 };
            write_event(&mut events.words, &head, &[0, 0], source.as_bytes(), std::iter::empty());
            events.records += 1;
        }
        combiner.take(&mut events, &mut |batch| sent += u64::from(batch.records));
        most = most.max(combiner.tables.bytes());
    }
    assert_eq!(sent, place, "all of it goes out at once");
    assert!(most <= COMBINE_BYTES_MAX && combiner.tables.bytes() < BATCH_WORDS, "{most}");
    assert_eq!(combiner.rise(&mut |_| panic!("nothing is left")).map(|said| said.partials), Some(sent));
}

#[test]
fn the_flag_is_read_and_one_process_needs_no_folding() {
    for (text, alone, several) in
        [("auto", Combine::Off, Combine::Auto), ("on", Combine::On, Combine::On), ("off", Combine::Off, Combine::Off)]
    {
        let combine: Combine = text.parse().expect("it is allowed");
        assert_eq!((combine.across(1), combine.across(2)), (alone, several));
    }
    let refused = "maybe".parse::<Combine>().expect_err("it is not allowed");
    assert!(refused.to_string().contains("auto, on and off"), "{refused}");
}
