//! What lies in a topic comes out as the rows of the oracle, whoever wrote it and however it is packed.

use std::fs;

use super::broker::Broker;
use super::clients::{send_with_java, send_with_rust};
use super::follower::Follower;
use super::input::{Input, hasty, send_departures};
use super::sender::{Framing, Manner};
use super::topic::Topic;
use crate::harness::{Shape, scratch};

/// Everything that can be wrong with events, in five partitions.
fn trouble(events: &str) -> Input {
    let settings = [
        ("seed", "21"),
        ("events", events),
        ("sources", "200"),
        ("rate", "100"),
        ("partitions", "5"),
        ("out-of-order", "0.2"),
        ("late", "0.02"),
        ("non-finite", "0.01"),
        ("malformed", "0.01"),
    ];
    Input::generate("sensors", &settings)
}

fn compare(name: &str, input: &Input, entry: usize, framing: Framing, shape: Shape) {
    let topic = Topic::make(Broker::shared(), name, 5);
    topic.subscribe("sensors");
    input.send(&topic, entry, &Manner::every_codec(framing));
    let expected = input.expected(entry);
    assert!(expected.summary["late"] > 0, "the input has no late events: {:?}", expected.summary);
    let place = scratch();
    Follower::new(input.dataflow(), &topic, place.path()).demand(shape, &expected, name);
}

#[test]
fn entries_of_one_message_alone() {
    compare("alone", &trouble("10000"), 1, Framing::Alone, Shape::new(2, 1));
}

#[test]
fn batches_of_one() {
    compare("batches-of-1", &trouble("10000"), 1, Framing::Batch, Shape::new(1, 2));
}

#[test]
fn batches_of_five() {
    compare("batches-of-5", &trouble("40000"), 5, Framing::Batch, Shape::new(3, 1));
}

#[test]
fn batches_of_a_thousand() {
    compare("batches-of-1000", &trouble("100000"), 1_000, Framing::Batch, Shape::new(2, 2));
}

/// The other dataflow of sensors.
#[test]
fn sensors_in_compact_form() {
    let settings = [
        ("seed", "23"),
        ("events", "20000"),
        ("sources", "200"),
        ("rate", "100"),
        ("partitions", "3"),
        ("out-of-order", "0.2"),
        ("late", "0.02"),
    ];
    let input = Input::generate("sensors-compact", &settings);
    let topic = Topic::make(Broker::shared(), "compact", 3);
    topic.subscribe("sensors-compact");
    input.send(&topic, 100, &Manner::every_codec(Framing::Batch));
    let place = scratch();
    let expected = input.expected(100);
    Follower::new(input.dataflow(), &topic, place.path()).demand(Shape::new(2, 1), &expected, "sensors-compact");
}

#[test]
fn the_departures_of_january() {
    let topic = Topic::make(Broker::shared(), "departures", 4);
    topic.subscribe("departures");
    let expected = send_departures(&topic);
    let place = scratch();
    let follower = Follower::new(&hasty("departures", place.path()), &topic, &place.path().join("run"));
    follower.demand(Shape::new(2, 1), &expected, "departures");
}

/// In order as far as the dataflow allows: where an entry ends, which the Rust client decides, changes nothing then.
#[test]
fn an_unpartitioned_topic_written_by_the_rust_client() {
    let settings = [
        ("seed", "22"),
        ("events", "3000"),
        ("sources", "50"),
        ("rate", "20"),
        ("partitions", "1"),
        ("out-of-order", "0.2"),
    ];
    let input = Input::generate("sensors", &settings);
    let topic = Topic::make(Broker::shared(), "rust", 0);
    topic.subscribe("sensors");
    let (first, second) = input.logs[0].split_at(1_000);
    send_with_rust(&topic, &[first.to_vec()], 0);
    send_with_rust(&topic, &[second.to_vec()], 100);
    let place = scratch();
    let expected = input.expected(1);
    assert_eq!(expected.summary["late"], 0);
    Follower::new(input.dataflow(), &topic, place.path()).demand(Shape::new(1, 1), &expected, "the Rust client");
}

const JAVA_SCHEMA: &str = r#"{"type": "record", "name": "Event", "fields": [
    {"name": "source", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "value", "type": "double"}]}"#;

const JAVA_DATAFLOW: &str = r#"version = 1
[event]
schema = "schema.avsc"
source = "source"
time = "at"
[window]
out_of_order = "5s"
idle_after = "1s"
[[measures]]
field = "value"
as = ["sum"]
"#;

/// The load tool takes its payload from a text file, so this is an event whose bytes are UTF-8: source "s", a time below, the value 2.
fn event_in_utf8() -> Vec<u8> {
    // A time is a chain of seven-bit groups, all but the last with the high bit set: a character of three bytes, one of two, one of one.
    let time = [0xe2, 0x82, 0xac, 0xc3, 0xa5, 0x66];
    let mut event = vec![2, b's'];
    event.extend(time);
    event.extend(2.0_f64.to_le_bytes());
    event
}

#[test]
fn a_topic_written_by_the_java_client() {
    let place = scratch();
    let dataflow = place.path().join("java");
    fs::create_dir(&dataflow).unwrap();
    fs::write(dataflow.join("schema.avsc"), JAVA_SCHEMA).unwrap();
    fs::write(dataflow.join("dataflow.toml"), JAVA_DATAFLOW).unwrap();
    let topic = Topic::make(Broker::shared(), "java", 2);
    topic.subscribe("java");
    let payload = String::from_utf8(event_in_utf8()).expect("made to be UTF-8");
    send_with_java(&topic, &payload, 5_000, &["--compression", "LZ4"]);
    send_with_java(&topic, &payload, 500, &["--disable-batching", "--compression", "ZSTD"]);
    let count = topic.received(0) + topic.received(1);
    assert!(count >= 5_500, "{count}");
    let follower = Follower::new(&dataflow, &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 1));
    let wanted = format!(r#""source":"s","count":{count},"value_sum":{}.0"#, 2 * count);
    cluster.process(0).until(&wanted, || follower.has_committed(count));
    follower.stop(cluster);
    let rows = follower.pipeline.rows();
    assert!(rows.len() == 1 && rows[0].contains(&wanted), "{wanted} is not alone in {rows:?}");
}
