//! Entries that grow from a hundred bytes to near a megabyte and shrink again, in a budget that holds few of the long ones.

use std::fs;

use pulsar::message::proto::CompressionType;

use super::broker::Broker;
use super::follower::Follower;
use super::sender::{Framing, Manner, Sender};
use super::topic::Topic;
use crate::harness::{Shape, scratch};

const SCHEMA: &str = r#"{"type": "record", "name": "Event", "fields": [
    {"name": "source", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "value", "type": "double"},
    {"name": "ballast", "type": "bytes"}]}"#;

const DATAFLOW: &str = r#"version = 1
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

/// The bytes that a process of this budget may hold resident, all told: the budget, what goes beyond it (of each partition an entry
/// as it comes, its frame, and the entry opened), and the process itself, whose workers hold entries that they have taken.
const RESIDENT: u64 = 160 << 20;

/// So often do entries grow and shrink.
const TIMES: usize = 12;

/// What an entry has of ballast, from the least to the most; the broker takes messages up to 5 MB.
const BALLAST: [usize; 8] = [10, 100, 1_000, 10_000, 100_000, 400_000, 700_000, 950_000];

/// An event: source "s", time 2, value 2.
fn event(ballast: usize) -> Vec<u8> {
    let mut event = vec![2, b's', 4];
    event.extend(2.0_f64.to_le_bytes());
    // The length, doubled, in groups of seven bits.
    let mut left = 2 * ballast;
    while left >= 0x80 {
        event.push(left as u8 | 0x80);
        left >>= 7;
    }
    event.push(left as u8);
    event.resize(event.len() + ballast, 7);
    event
}

/// Sends a partition's entries; gives their number and bytes.
fn send(topic: &Topic<'_>, log: &str) -> (u64, u64) {
    let manner = Manner { framing: Framing::Batch, codec: CompressionType::None, schema_version: None };
    let mut sender = Sender::open(topic.broker, log);
    let (mut count, mut bytes) = (0, 0);
    for _ in 0..TIMES {
        for ballast in BALLAST.into_iter().chain(BALLAST.into_iter().rev()) {
            // Enough small ones that the window goes by them.
            for _ in 0..(20_000 / ballast).clamp(2, 200) {
                sender.send(&[event(ballast)], &manner);
                (count, bytes) = (count + 1, bytes + ballast as u64);
            }
        }
    }
    sender.finish();
    (count, bytes)
}

/// The most that a process has had resident, in bytes.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says the peak");
    1_024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

#[test]
fn entries_that_swell_and_shrink_are_read_in_a_small_budget() {
    let place = scratch();
    let dataflow = place.path().join("swelling");
    fs::create_dir(&dataflow).unwrap();
    fs::write(dataflow.join("schema.avsc"), SCHEMA).unwrap();
    fs::write(dataflow.join("dataflow.toml"), DATAFLOW).unwrap();
    let topic = Topic::make(Broker::shared(), "swelling", 2);
    topic.subscribe("swelling");
    let sent: Vec<(u64, u64)> = topic.logs().iter().map(|log| send(&topic, log)).collect();
    let (count, bytes) = sent.iter().fold((0, 0), |(count, bytes), one| (count + one.0, bytes + one.1));
    assert!(bytes > RESIDENT, "{bytes} bytes could all be held");
    let follower = Follower::new(&dataflow, &topic, place.path()).with(&["--memory", "16MiB"]);
    let mut cluster = follower.start(Shape::new(2, 1));
    let wanted = format!(r#""source":"s","count":{count},"value_sum":{}.0"#, 2 * count);
    cluster.process(0).until(&wanted, || follower.has_committed(count));
    let peak = peak(cluster.process(0).id());
    assert!(peak < RESIDENT, "{} MiB were resident", peak >> 20);
    // Each time that entries swell, a connection may be dropped that had asked for more than fits.
    let lost = cluster.process(0).lines_with("connecting again");
    let flooded = lost.iter().filter(|line| line.contains("flooded")).count();
    assert!(flooded <= 2 * TIMES, "flooded {flooded} times");
    assert_eq!(lost.len(), flooded, "connections were lost otherwise: {lost:?}");
    follower.stop(cluster);
    let rows = follower.pipeline.rows();
    assert!(rows.len() == 1 && rows[0].contains(&wanted), "{wanted} is not alone in {rows:?}");
}
