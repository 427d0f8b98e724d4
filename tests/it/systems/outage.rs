//! ClickHouse and then S3 are away while events come in: memory stays under a bound that is computed from `limits`, and all is caught
//! up when they are back. `MINUET_SYSTEMS_AWAY_S` says how long each is away.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use minuet::limits::{
    ENTRIES_PER_TURN, MINUTES_AHEAD_MAX, MINUTES_UNCOMMITTED_MAX, PULSAR_MEMORY_MIN, QUEUED_ENTRIES_MAX,
    WORDS_IN_FLIGHT_MAX,
};

use super::feed;
use super::stage::{ENTRY, Own, Stage};
use crate::harness::{Running, Shape, scratch};
use crate::pulsar::input::Input;

/// Seconds for which each is away, unless MINUET_SYSTEMS_AWAY_S says otherwise.
const AWAY_S: u64 = 20;

const PARTITIONS: usize = 8;

/// Events of all partitions.
const EVENTS: usize = 80_000;

/// Sources, in turn.
const SOURCES: usize = 200;

/// Milliseconds of event time from one event of a partition to its next: ten hours in all.
const STEP_MS: usize = 3_600;

/// Bytes of an event's text that no column uses.
const TEXT_BYTES: usize = 6_144;

/// Resident bytes of a run of nothing: a debug build's pages, the stacks and heaps of its threads, the clients of three services.
const BASE_BYTES: u64 = 96 << 20;

/// Bytes of a source's minute, be it a partial or a row.
const MINUTE_BYTES: u64 = SOURCES as u64 * 512;

/// How often a minute may be there on its way out: in a table and its spare room, in a snapshot, as a row, encoded for an insert.
const COPIES: u64 = 5;

/// The most that a run of one worker may have resident: what it holds of the broker, opened entries in queues and in hand, words in
/// flight (a batch may have as much room again), minutes that are open or not committed.
fn allowed() -> u64 {
    let entries = PARTITIONS * (QUEUED_ENTRIES_MAX + 1) + ENTRIES_PER_TURN;
    let opened = 2 * entries * ENTRY * (TEXT_BYTES + 64);
    let minutes = MINUTES_AHEAD_MAX + 3 * (MINUTES_UNCOMMITTED_MAX + 1);
    let fixed = PULSAR_MEMORY_MIN + opened + 2 * 8 * WORDS_IN_FLIGHT_MAX;
    BASE_BYTES + fixed as u64 + minutes * MINUTE_BYTES * COPIES
}

/// Events whose most bytes are of no use, in files.
fn heavy() -> Input {
    let place = scratch();
    let folder = place.path().join("sensors");
    fs::create_dir(&folder).unwrap();
    let schema = r#"{"type": "record", "name": "Event", "fields": [{"name": "key", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "value", "type": "double"},
        {"name": "text", "type": "string"}]}"#;
    fs::write(folder.join("schema.avsc"), schema).unwrap();
    let settings = "version = 1\n[event]\nschema = \"schema.avsc\"\nsource = \"key\"\ntime = \"at\"\n[window]\n\
        idle_after = \"1s\"\nout_of_order = \"5s\"\n[[measures]]\nfield = \"value\"\nas = [\"sum\", \"max\"]\n";
    fs::write(folder.join("dataflow.toml"), settings).unwrap();
    let files: Vec<_> = (0..PARTITIONS).map(|number| place.path().join(format!("part-{number}.events"))).collect();
    files.iter().enumerate().for_each(|(number, file)| write(number, file));
    Input::of(place, folder, files)
}

/// Writes the events of a partition.
fn write(partition: usize, file: &Path) {
    let letters: Vec<u8> = (b'a'..=b'z').cycle().take(TEXT_BYTES + 26).collect();
    let mut out = std::io::BufWriter::new(fs::File::create(file).unwrap());
    for number in 0..EVENTS / PARTITIONS {
        let mut event = Vec::new();
        let source = format!("s-{}", (number * PARTITIONS + partition) % SOURCES);
        zigzag(source.len(), &mut event);
        event.extend(source.bytes());
        // 2026-01-01
        zigzag(1_767_225_600_000 + number * STEP_MS, &mut event);
        event.extend((number as f64 / 4.0).to_le_bytes());
        zigzag(TEXT_BYTES, &mut event);
        event.extend(&letters[number % 26..][..TEXT_BYTES]);
        out.write_all(&(event.len() as u32).to_le_bytes()).unwrap();
        out.write_all(&event).unwrap();
    }
    out.flush().unwrap();
}

/// A number that is not negative, as Avro writes it.
fn zigzag(number: usize, out: &mut Vec<u8>) {
    let mut rest = number * 2;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The most that a process has ever had resident.
fn resident(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel keeps the mark");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn memory_is_bounded_while_clickhouse_and_then_s3_are_away() {
    let away = std::env::var("MINUET_SYSTEMS_AWAY_S").map_or(AWAY_S, |text| text.parse().expect("a number of seconds"));
    let away = Duration::from_secs(away);
    let (input, own) = (heavy(), Own::start());
    let bytes = (EVENTS * TEXT_BYTES) as u64;
    assert!(bytes > 2 * allowed() - BASE_BYTES, "{bytes} bytes of events would not fill the {} allowed", allowed());
    let services = own.services();
    let stage = Stage::set(services, "systems-outage", &input);
    let memory = format!("{}MiB", PULSAR_MEMORY_MIN >> 20);
    let mut running = Running::start(stage.follower.pipeline.command(1).args(["--memory", &memory]));
    let most = thread::scope(|scope| {
        let sending = scope.spawn(|| feed::send(&stage.topic, &input, 2 * away));
        running.until("its first commits", || stage.follower.pipeline.manifests().len() > 2);
        services.clickhouse.kill();
        thread::sleep(away);
        let newest = stage.follower.pipeline.newest();
        thread::sleep(Duration::from_secs(1));
        assert_eq!(stage.follower.pipeline.newest(), newest, "nothing is committed while ClickHouse is away");
        services.clickhouse.start_again();
        running.until("a commit after ClickHouse is back", || stage.follower.pipeline.newest() != newest);
        services.s3.kill();
        thread::sleep(away);
        let newest = stage.follower.pipeline.newest();
        services.s3.start_again();
        running.until("a commit after S3 is back", || stage.follower.pipeline.newest() != newest);
        sending.join().expect("all is sent");
        resident(&running)
    });
    running.signal("TERM");
    running.end().demand(143).demand_words(&[
        "trying again",
        "answers again",
        "the store is away",
        "the store is back",
    ]);
    println!("{} MiB resident at most, {} MiB allowed, {} MiB sent", most >> 20, allowed() >> 20, bytes >> 20);
    assert!(most <= allowed(), "{most} bytes were resident, {} are allowed", allowed());
    stage.demand(Shape::new(2, 1), &input.expected(ENTRY), "both were away");
}
