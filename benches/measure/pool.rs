//! Events in memory: a pool of entries that is read again and again, each lap later in event time than the one before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apache_avro::Schema;
use minuet::connect::generate::{Batch, Extent, Generator, Spec};
use minuet::event::Span;
use minuet::limits::CAPTURE_ENTRY_EVENTS;
use minuet::plan::{self, Plan};

use super::thread_cpu;

/// Partitions of the pool.
pub const PARTITIONS: u32 = 4;

/// Events per second of event time, all partitions together.
const RATE: u64 = 50_000;

/// Entries of a partition in a pool, at most: about 100 MB of events in all.
const ENTRIES_MAX: u64 = 125;

/// Milliseconds of event time in an entry.
const ENTRY_MS: u64 = CAPTURE_ENTRY_EVENTS as u64 * PARTITIONS as u64 * 1_000 / RATE;

/// Texts before the doubles before the time, in an event of `dataflows/sensors`.
const TEXTS_BEFORE: usize = 4;

/// Bytes of the doubles before the time.
const DOUBLES_BEFORE: usize = 3 * 8;

/// Bytes of a time in milliseconds as Avro writes it, from 1987 to 2039.
const TIME_BYTES: usize = 6;

/// The dataflow that is measured.
pub fn plan() -> Arc<Plan> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dataflows/sensors");
    Arc::new(plan::load(&folder).expect("the dataflow that comes with the project is good"))
}

/// An entry of the pool.
struct Kept {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Where each event's time stands, and its milliseconds in the first lap.
    times: Vec<(usize, u64)>,
}

/// A pool of entries.
pub struct Pool {
    /// Partition by partition.
    entries: Vec<Kept>,
    per_partition: u64,
    /// Entries of each partition that a run reads, laps and all.
    pub wanted: u64,
    making_ns: AtomicU64,
}

impl Pool {
    /// A pool for a run of about `events` events of so many sources.
    pub fn new(plan: &Plan, events: u64, sources: u64) -> Self {
        let wanted = (events / u64::from(PARTITIONS) / CAPTURE_ENTRY_EVENTS as u64).max(1);
        let per_partition = wanted.min(ENTRIES_MAX);
        let pooled = per_partition * u64::from(PARTITIONS) * CAPTURE_ENTRY_EVENTS as u64;
        let spec = Spec {
            extent: Extent::Events(pooled),
            rate: RATE as f64,
            sources,
            partitions: PARTITIONS,
            ..Spec::default()
        };
        let schema = Schema::parse_str(plan.schema.json()).expect("the plan's schema was parsed before");
        let (source, time) = (&plan.selection.source, plan.selection.time.as_deref());
        let generator = Generator::new(&schema, source, time, plan.out_of_order, spec).expect("the spec is good");
        let of_partition = |partition| (0..per_partition).map(move |entry| (partition, entry));
        let entries = (0..PARTITIONS).flat_map(of_partition).map(|(partition, entry)| {
            let mut batch = Batch::default();
            generator.fill(partition, entry, &mut batch);
            Kept::new(batch)
        });
        Pool { entries: entries.collect(), per_partition, wanted, making_ns: AtomicU64::new(0) }
    }

    /// Events of a run.
    pub fn events(&self) -> u64 {
        self.wanted * u64::from(PARTITIONS) * CAPTURE_ENTRY_EVENTS as u64
    }

    /// Bytes of an event, on average.
    pub fn event_bytes(&self) -> usize {
        let bytes: usize = self.entries.iter().map(|kept| kept.bytes.len()).sum();
        bytes / (self.entries.len() * CAPTURE_ENTRY_EVENTS)
    }

    /// Entry `number` of a partition: its bytes go to `bytes`, the spans of its events are returned.
    pub fn make(&self, partition: u32, number: u64, bytes: &mut Vec<u8>) -> &[Span] {
        let begin = thread_cpu();
        let (lap, entry) = (number / self.per_partition, number % self.per_partition);
        let kept = &self.entries[(u64::from(partition) * self.per_partition + entry) as usize];
        bytes.clear();
        bytes.extend_from_slice(&kept.bytes);
        for (at, millis) in &kept.times {
            bytes[*at..*at + TIME_BYTES].copy_from_slice(&time(millis + lap * self.per_partition * ENTRY_MS));
        }
        let took = thread_cpu() - begin;
        self.making_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        &kept.spans
    }

    /// CPU time that making entries took since this was last asked.
    pub fn making(&self) -> Duration {
        Duration::from_nanos(self.making_ns.swap(0, Ordering::Relaxed))
    }
}

impl Kept {
    fn new(batch: Batch) -> Self {
        let times = batch.spans.iter().map(|span| {
            let mut at = span.start as usize;
            for _ in 0..TEXTS_BEFORE {
                // The texts of these events are shorter than 64 bytes, so their length is one byte, doubled.
                at += 1 + usize::from(batch.bytes[at] / 2);
            }
            at += DOUBLES_BEFORE;
            let groups = batch.bytes[at..at + TIME_BYTES].iter().rev();
            let zigzag = groups.fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
            (at, zigzag / 2)
        });
        Kept { times: times.collect(), bytes: batch.bytes, spans: batch.spans }
    }
}

/// Milliseconds as Avro writes them.
fn time(millis: u64) -> [u8; TIME_BYTES] {
    let zigzag = millis * 2;
    std::array::from_fn(|index| {
        let more = if index + 1 < TIME_BYTES { 0x80 } else { 0 };
        (zigzag >> (7 * index)) as u8 & 0x7f | more
    })
}
