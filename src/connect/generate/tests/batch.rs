//! Entries: a function of their number alone, with the shares that were asked for.

use super::*;
use crate::connect::generate::Tally;
use crate::error::Fault;
use crate::limits::MINUTE_MS;

fn time_of(value: &Value) -> Millis {
    let Value::TimestampMillis(time) = at(value, "event_time") else { panic!("no event time") };
    time
}

fn defects() -> Spec {
    Spec { out_of_order: 0.2, late: 0.05, malformed: 0.04, ..small(40_000) }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let all = |seed| payloads(&sensors(Spec { seed, ..defects() }), 1);
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
    assert_ne!(payloads(&sensors(defects()), 0), payloads(&sensors(defects()), 1));
}

/// Recorded runs name a seed; a change of what it gives must be meant, and these numbers changed with it.
#[test]
fn what_a_seed_gives_stays_the_same() {
    let hash = |generator: &Generator| xxhash_rust::xxh3::xxh3_64(&payloads(generator, 0).concat());
    assert_eq!(hash(&sensors(Spec { skew: 1.0, ..defects() })), 11602184336714838062);
    assert_eq!(hash(&everything(Spec { nulls: 0.1, non_finite: 0.1, idle: 1.0, ..defects() })), 1486533322938764251);
}

#[test]
fn an_entry_does_not_depend_on_what_was_generated_before() {
    let generator = everything(Spec { nulls: 0.2, ..defects() });
    let forwards: Vec<_> = (0..generator.entries(1)).map(|entry| filled(&generator, 1, entry)).collect();
    let other = everything(Spec { nulls: 0.2, ..defects() });
    for entry in (0..other.entries(1)).rev() {
        assert_eq!(filled(&other, 1, entry), forwards[entry as usize], "entry {entry}");
    }
}

fn filled(generator: &Generator, partition: u32, entry: u64) -> (Tally, Vec<Vec<u8>>) {
    let mut batch = Batch::default();
    let tally = generator.fill(partition, entry, &mut batch);
    (tally, split(&batch))
}

#[test]
fn entries_and_events_add_up() {
    for events in [0, 1, 999, 1_999, 2_000, 2_001, 7_777] {
        let generator = sensors(small(events));
        let found: Vec<_> = (0..2).map(|partition| payloads(&generator, partition).len() as u64).collect();
        assert_eq!(found, [generator.events(0), generator.events(1)]);
        assert_eq!(found.iter().sum::<u64>(), events);
        assert_eq!(filled(&generator, 0, generator.entries(0)), (Tally::default(), vec![]));
        assert_eq!(filled(&generator, 2, 0), (Tally::default(), vec![]));
    }
}

#[test]
fn a_duration_is_kept_at_the_rate() {
    let spec = Spec { extent: Extent::Duration(10 * MINUTE_MS), rate: 33.0, partitions: 3, ..small(0) };
    let start = spec.start;
    let generator = sensors(spec);
    let all: Vec<_> = (0..3).flat_map(|partition| payloads(&generator, partition)).collect();
    assert!((19_790..=19_810).contains(&all.len()), "{}", all.len());
    for payload in all {
        let time = time_of(&decode(generator.schema(), &payload).unwrap());
        assert!((start..start + 10 * MINUTE_MS).contains(&time));
    }
}

/// Reads a partition as the dataflow does: whole entries, the watermark moving between them.
#[test]
fn late_is_late_and_the_rest_is_not() {
    let generator = sensors(defects());
    let mut seen = Tally::default();
    let mut expected = Tally::default();
    let mut max_time: Option<Millis> = None;
    for entry in 0..generator.entries(0) {
        let (tally, payloads) = filled(&generator, 0, entry);
        expected.add(&tally);
        let watermark_minute = max_time.map(|max| (max - OUT_OF_ORDER).div_euclid(MINUTE_MS));
        for payload in payloads {
            seen.events += 1;
            seen.bytes += payload.len() as u64;
            let Some(value) = decode(generator.schema(), &payload) else {
                seen.malformed += 1;
                continue;
            };
            let time = time_of(&value);
            if watermark_minute.is_some_and(|minute| time.div_euclid(MINUTE_MS) < minute) {
                assert!(time < max_time.unwrap() - OUT_OF_ORDER);
                seen.late += 1;
            } else if max_time.is_some_and(|max| time < max) {
                seen.out_of_order += 1;
            }
            max_time = max_time.max(Some(time));
        }
    }
    assert_eq!((seen.events, seen.bytes), (expected.events, expected.bytes));
    assert_eq!((seen.late, seen.malformed), (expected.late, expected.malformed));
    // Some that were moved back are still after all before them.
    assert!(seen.out_of_order <= expected.out_of_order && seen.out_of_order * 100 > expected.out_of_order * 95);
}

#[test]
fn shares_are_about_right() {
    let generator = sensors(Spec { partitions: 1, rate: 500.0, ..defects() });
    let mut tally = Tally::default();
    (0..generator.entries(0)).for_each(|entry| tally.add(&filled(&generator, 0, entry).0));
    let near = |found: u64, share: f64| (found as f64 / tally.events as f64 / share - 1.0).abs() < 0.1;
    assert!(near(tally.out_of_order, 0.2) && near(tally.late, 0.05) && near(tally.malformed, 0.04), "{tally:?}");
}

#[test]
fn nulls_and_non_finite_are_about_right() {
    let spec = Spec { nulls: 0.1, non_finite: 0.02, ..small(40_000) };
    let (mut nulls, mut odd, mut all) = (0.0, 0.0, 0.0);
    let json = SENSORS.replacen(r#""type":"double""#, r#""type":["null","double"]"#, 1);
    let generator = Generator::new(&schema(&json), "event_source_id", Some("event_time"), OUT_OF_ORDER, spec).unwrap();
    for payload in payloads(&generator, 0) {
        let value = decode(generator.schema(), &payload).unwrap();
        all += 1.0;
        nulls += f64::from(u8::from(at(&value, "latitude") == Value::Null));
        odd += f64::from(u8::from(matches!(at(&value, "humidity"), Value::Double(found) if !found.is_finite())));
    }
    assert!((nulls / all - 0.1f64).abs() < 0.01, "{nulls} of {all}");
    assert!((odd / all - 0.02f64).abs() < 0.005, "{odd} of {all}");
}

#[test]
fn malformed_payloads_never_decode_and_come_in_several_kinds() {
    for generator in
        [sensors(Spec { malformed: 1.0, ..small(6_000) }), everything(Spec { malformed: 1.0, ..small(6_000) })]
    {
        let (mut empty, mut garbage, mut decoded, mut other) = (0, 0, 0, 0);
        for payload in payloads(&generator, 0) {
            match payload.as_slice() {
                [] => empty += 1,
                all if all.iter().all(|&byte| byte == 0xff) => garbage += 1,
                _ => other += 1,
            }
            decoded += usize::from(decode(generator.schema(), &payload).is_some());
        }
        assert_eq!(decoded as u64, generator.entries(0), "only the last event of each entry is good");
        assert!(empty > 500 && garbage > 500 && other > 1_500, "{empty} {garbage} {other}");
    }
}

#[test]
fn silent_partitions_leave_out_their_stretch() {
    let spec = Spec { idle: 0.5, idle_for: 4 * MINUTE_MS, extent: Extent::Duration(20 * MINUTE_MS), ..small(0) };
    let generator = sensors(spec);
    let widest = |partition| {
        let times: Vec<_> =
            payloads(&generator, partition).iter().map(|p| time_of(&decode(generator.schema(), p).unwrap())).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    };
    assert!(widest(0) < 100);
    assert!((4 * MINUTE_MS..4 * MINUTE_MS + 100).contains(&widest(1)));
    assert!(generator.events(1) < generator.events(0));
}

#[test]
fn skew_gives_the_first_sources_their_share() {
    let counts = |skew| {
        let generator = sensors(Spec { skew, ..small(60_000) });
        let mut counts = vec![0u32; 40];
        for payload in payloads(&generator, 0) {
            let Value::String(name) = at(&decode(generator.schema(), &payload).unwrap(), "event_source_id") else {
                panic!()
            };
            counts[name["source-".len()..].parse::<usize>().unwrap()] += 1;
        }
        counts
    };
    assert!(counts(0.0).iter().all(|count| (600..900).contains(count)));
    let (found, total) = (counts(1.0), (1..=40).map(|rank| 1.0 / f64::from(rank)).sum::<f64>());
    for rank in [1, 2, 5, 10] {
        let share = f64::from(found[rank - 1]) / 30_000.0 * total * rank as f64;
        assert!((share - 1.0).abs() < 0.15, "rank {rank}: {share}");
    }
}

#[test]
fn a_dataflow_on_publish_time_has_no_late_events() {
    let make = |spec| Generator::new(&schema(SENSORS), "event_source_id", None, OUT_OF_ORDER, spec);
    assert_eq!(make(Spec { late: 0.1, ..small(10) }).unwrap_err().fault, Fault::Configuration);
    assert_eq!(payloads(&make(small(10)).unwrap(), 0).len(), 5);
}
