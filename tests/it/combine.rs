//! Folding before the exchange: the same bytes whatever is chosen, and the choice is the one that pays.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use minuet::cluster::Outcome;
use minuet::connect::memory::{MemorySource, Standing, payload_entry};
use minuet::dataflow::Combine;
use minuet::dataflow::edges::Combined;
use minuet::error::Error;
use minuet::limits::{SOURCE_BYTES_MAX, WORDS_IN_FLIGHT_MAX};
use minuet::plan::{self, Plan};

use super::harness::{Dice, Pipeline, Running, WORKERS, dataflow, demand_rows, generate, scratch};
use super::memory::Place;

/// Runs that are killed, each with another choice than the one before.
const LIVES: usize = 8;

/// Milliseconds from a start to its kill.
const KILL_AFTER: std::ops::Range<u64> = 50..500;

/// 2026-01-01 in minutes.
const START: i64 = 29_453_760;

/// What a run of files is compared with: its rows and its summary when nothing is folded before the exchange.
fn one_by_one(
    name: &str,
    place: &Path,
    settings: &[(&str, &str)],
) -> (Pipeline, std::collections::BTreeMap<String, u64>) {
    let input = place.join(format!("{name}-in"));
    generate(&dataflow(name), &input, settings);
    let pipeline =
        Pipeline::new(&dataflow(name), input.join("*").display().to_string(), &place.join(format!("{name}-off")));
    let ended = pipeline.run_with(1, &["--combine", "off"]).demand(0);
    assert_eq!(exchange(&ended.stdout)["folded"], 0);
    (pipeline, ended.summary())
}

/// The numbers that a run says of its exchange.
fn exchange(stdout: &str) -> serde_json::Value {
    let last = stdout.lines().last().unwrap_or_default();
    let parsed: serde_json::Value = serde_json::from_str(last).expect("the last line is JSON");
    parsed["exchange"].clone()
}

fn compare(name: &str, settings: &[(&str, &str)]) {
    let place = scratch();
    let (off, summary) = one_by_one(name, place.path(), settings);
    for workers in WORKERS {
        let of = format!("{name} --combine on -w {workers}");
        let on = Pipeline::new(&off.dataflow, off.source.clone(), &place.path().join(format!("w{workers}")));
        let ended = on.run_with(workers, &["--combine", "on"]).demand(0);
        demand_rows(&on.rows(), &off.rows(), &of);
        assert_eq!(ended.summary(), summary, "{of}");
        let exchange = exchange(&ended.stdout);
        assert_eq!(exchange["folded"], summary["folded"], "{of}");
        assert!(exchange["partials"].as_u64() < exchange["folded"].as_u64(), "{of}: {exchange}");
        assert!(exchange["slots_folding"].as_u64() >= Some(1), "{of}: {exchange}");
    }
}

/// What can be wrong with events.
const TROUBLE: [(&str, &str); 4] =
    [("out-of-order", "0.2"), ("late", "0.02"), ("malformed", "0.01"), ("non-finite", "0.01")];

fn trouble<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    TROUBLE.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn folded_sensors_give_the_same_bytes() {
    let more = [("seed", "31"), ("events", "40000"), ("sources", "300"), ("rate", "200"), ("partitions", "7")];
    compare("sensors", &trouble(&more));
}

#[test]
fn folded_decimals_and_texts_give_the_same_bytes() {
    let more = [("seed", "32"), ("events", "30000"), ("sources", "100"), ("rate", "100"), ("partitions", "3")];
    compare("orders", &trouble(&more));
}

#[test]
fn killed_and_started_with_the_other_choice() {
    let place = scratch();
    let more = [("seed", "33"), ("events", "250000"), ("sources", "400"), ("rate", "150"), ("partitions", "6")];
    let (off, summary) = one_by_one("sensors", place.path(), &trouble(&more));
    let pipeline = Pipeline::new(&off.dataflow, off.source.clone(), &place.path().join("life"));
    let (mut dice, mut kills) = (Dice::new("combine"), 0);
    for combine in ["on", "off"].into_iter().cycle().take(LIVES) {
        let workers = dice.one_of(&WORKERS);
        let mut running = Running::start(pipeline.command(workers).args(["--combine", combine]));
        if !running.ends_within(Duration::from_millis(dice.between(KILL_AFTER.start, KILL_AFTER.end))) {
            running.kill();
        }
        kills += usize::from(running.end().was_killed());
    }
    assert!(kills >= 3, "only {kills} kills: the runs were over before they came");
    let ended = pipeline.run_with(2, &["--combine", "on"]).demand(0);
    demand_rows(&pipeline.rows(), &off.rows(), "a life of both choices");
    assert_eq!(ended.summary(), summary);
}

#[test]
fn another_choice_is_refused() {
    let place = scratch();
    let pipeline = Pipeline::new(&dataflow("sensors"), "nothing", place.path());
    pipeline.run_with(1, &["--combine", "maybe"]).demand(2).demand_words(&["--combine", "auto, on and off", "maybe"]);
}

/// A dataflow of few columns, whose sources are texts.
fn small_plan() -> Arc<Plan> {
    let place = scratch();
    let folder = place.path().join("combine");
    fs::create_dir(&folder).unwrap();
    let schema = r#"{"type": "record", "name": "Event", "fields": [{"name": "key", "type": "string"},
        {"name": "value", "type": "double"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;
    fs::write(folder.join("schema.avsc"), schema).unwrap();
    let settings = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"key\"\ntime = \"at\"\n[window]\nout_of_order = \"5s\"\n\
        [[measures]]\nfield = \"value\"\nas = [\"sum\", \"min\", \"max\", \"last\"]\n";
    fs::write(folder.join("dataflow.toml"), settings).unwrap();
    Arc::new(plan::load(&folder).unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn long(value: i64, out: &mut Vec<u8>) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// An event of the small dataflow in Avro's binary form.
fn payload(key: &str, value: f64, at: i64) -> Vec<u8> {
    let mut out = Vec::new();
    long(key.len() as i64, &mut out);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&value.to_le_bytes());
    long(at, &mut out);
    out
}

/// Entries of a partition: each of ten seconds, with 60 events of so many keys in turn.
fn log(partition: i64, entries: i64, keys: i64) -> Vec<Vec<Vec<u8>>> {
    let event = |entry: i64, number: i64| {
        let place = entry * 60 + number;
        let at = START * 60_000 + entry * 10_000 + (number * 7_919) % 10_000;
        // A third that no binary number is, so that sums are only equal where they are exact.
        payload(&format!("s{}", (place * 31 + partition) % keys), place as f64 / 3.0 - 500.0, at)
    };
    (0..entries).map(|entry| (0..60).map(|number| event(entry, number)).collect()).collect()
}

/// The first `share` percent of each log.
fn source(logs: &[Vec<Vec<Vec<u8>>>], share: usize, standing: &Standing) -> MemorySource {
    let source = MemorySource::new();
    for (number, log) in logs.iter().enumerate() {
        let entries = log[..log.len() * share / 100].iter().zip(0..);
        let entries = entries.map(|(payloads, place)| payload_entry(place, payloads, None)).collect();
        source.add(&format!("part-{number}"), entries, standing.clone());
    }
    source
}

/// Runs logs from their beginning to their end; gives the rows and what was said of the exchange.
fn straight(logs: &[Vec<Vec<Vec<u8>>>], combine: Combine, slots: usize) -> (Vec<String>, Vec<Combined>) {
    let place = Place { combine, ..Place::new(&small_plan()) };
    let run = place.start(&source(logs, 100, &Standing::Ended), slots);
    let watch = Arc::clone(&run.watch);
    assert_eq!(run.end().unwrap_or_else(|e| panic!("{combine:?}, {slots} slots: {e}")), Outcome::Finished);
    let combined = watch.seen().combined.clone();
    (place.rows(), combined)
}

#[test]
fn many_events_of_a_source_are_folded() {
    let logs: Vec<_> = (0..3).map(|partition| log(partition, 240, 5)).collect();
    let (expected, silence) = straight(&logs, Combine::Off, 1);
    assert!(silence.is_empty());
    assert_eq!(expected.len(), 5 * 40);
    for slots in [1, 2, 3, 5] {
        let (rows, combined) = straight(&logs, Combine::Auto, slots);
        demand_rows(&rows, &expected, &format!("auto, {slots} slots"));
        assert!(combined.iter().all(|combined| combined.goes_on), "{combined:?}");
        assert_eq!(combined.iter().map(|combined| combined.events).sum::<u64>(), 3 * 240 * 60);
    }
}

#[test]
fn lone_events_are_sent_one_by_one() {
    let logs: Vec<_> = (0..3).map(|partition| log(partition, 240, 100_000)).collect();
    let (expected, _) = straight(&logs, Combine::Off, 1);
    for slots in [1, 2, 3, 5] {
        let (rows, combined) = straight(&logs, Combine::Auto, slots);
        demand_rows(&rows, &expected, &format!("auto, {slots} slots"));
        let reading = slots.min(3);
        for slot in 0..reading {
            // Its first epoch decides nothing, the next one does; there are forty.
            let mine: Vec<bool> = combined.iter().filter(|said| said.slot == slot).map(|said| said.goes_on).collect();
            assert!(mine[0] && mine.len() < 6 && mine[1..].iter().all(|goes_on| !goes_on), "slot {slot}: {mine:?}");
        }
        let folded: u64 = combined.iter().map(|combined| combined.events).sum();
        assert!(folded < 3 * 240 * 60 / 4, "{folded} events were folded in vain");
    }
}

#[test]
fn every_choice_resumes_every_other() {
    let logs: Vec<_> = (0..4).map(|partition| log(partition, 180, 40)).collect();
    let (expected, _) = straight(&logs, Combine::Off, 1);
    let choices = [Combine::On, Combine::Off, Combine::Auto];
    for (first, slots) in (0..choices.len()).zip([[2, 3, 1], [5, 2, 3], [1, 5, 2]]) {
        let mut place = Place::new(&small_plan());
        for (run, share) in [40, 80].into_iter().enumerate() {
            place.combine = choices[(first + run) % choices.len()];
            let run = place.start(&source(&logs, share, &Standing::Waiting), slots[run]);
            assert!(run.until("commits", |seen| seen.commits.len() >= 3));
            run.fate.fail(Error::outside("playing a life", "it says that the run dies here"));
            assert!(run.end().is_err());
        }
        place.combine = choices[(first + 2) % choices.len()];
        let run = place.start(&source(&logs, 100, &Standing::Ended), slots[2]);
        assert_eq!(run.end().unwrap_or_else(|e| panic!("life {first}: {e}")), Outcome::Finished);
        demand_rows(&place.rows(), &expected, &format!("life {first}"));
    }
}

#[test]
fn more_partials_than_may_be_in_flight_go_out_at_once() {
    // Within `out_of_order` of a minute's beginning, so that the epoch rises after the first entry and then not before all is read.
    let keys = WORDS_IN_FLIGHT_MAX * 8 / SOURCE_BYTES_MAX + 2_000;
    let key = |number: usize| format!("{number:0>width$}", width = SOURCE_BYTES_MAX);
    let event = |number: usize| payload(&key(number), number as f64, START * 60_000 + number as i64 % 4_000);
    let numbers: Vec<usize> = (0..keys).collect();
    let mut entries: Vec<Vec<Vec<u8>>> =
        numbers.chunks(1_000).map(|chunk| chunk.iter().map(|number| event(*number)).collect()).collect();
    entries.extend((1..5).map(|minute| vec![payload("next", 1.0, (START + minute) * 60_000)]));
    let logs = [entries];
    let (rows, combined) = straight(&logs, Combine::On, 2);
    assert_eq!(rows.len(), keys + 4);
    assert!(combined.iter().any(|combined| combined.partials >= keys as u64 - 1_000), "{combined:?}");
}
