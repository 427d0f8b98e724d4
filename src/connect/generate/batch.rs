//! Entries of generated payloads: who, when, in what order, and what is wrong with them.

use apache_avro::Schema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::encode::{Encoder, Event};
use super::pick::Pick;
use super::random::{Chance, Random};
use super::spec::Spec;
use super::timeline::Timeline;
use crate::error::{Error, Result};
use crate::event::Span;
use crate::limits::{CAPTURE_ENTRY_EVENTS, GENERATED_LATE_MINUTES_MAX, MINUTE_MS};
use crate::time::Millis;

const NS_PER_MS: i64 = 1_000_000;
const MINUTE_NS: i64 = MINUTE_MS * NS_PER_MS;

/// Bytes that a malformed payload may be longer than a good one.
pub(super) const MALFORMED_EXTRA_MAX: u64 = 80;

/// The payloads of one entry; filled again and again.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The payloads, one after another.
    pub bytes: Vec<u8>,
    /// Where each lies.
    pub spans: Vec<Span>,
    /// The largest event time among them, in nanoseconds since the Unix epoch: that of the last.
    pub last_ns: i64,
}

/// What was generated. An event has one defect at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Payloads, good and bad.
    pub events: u64,
    /// Their bytes, without frames.
    pub bytes: u64,
    /// Events before a younger one of their partition, not late.
    pub out_of_order: u64,
    /// Events whose minute was closed for their partition.
    pub late: u64,
    /// Payloads that cannot be decoded.
    pub malformed: u64,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Tally) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.out_of_order += other.out_of_order;
        self.late += other.late;
        self.malformed += other.malformed;
    }
}

/// A checked generator for one schema and spec; shared between threads.
#[derive(Clone, Debug)]
pub struct Generator {
    spec: Spec,
    schema: Schema,
    encoder: Encoder,
    pick: Pick,
    timelines: Vec<Timeline>,
    out_of_order_ns: i64,
    jitter_ns: i64,
    /// Thresholds on one draw per event, each including the ones before.
    malformed: Chance,
    malformed_or_late: Chance,
    any_defect: Chance,
    fingerprint: String,
}

/// What an event is to be.
enum Fate {
    InOrder,
    OutOfOrder,
    Late,
    Malformed,
}

impl Generator {
    /// A generator for events of `schema` whose source and event time are at these dotted paths, `time` being `None` where the
    /// publish time counts; `out_of_order` says from where on an event is late.
    pub fn new(schema: &Schema, source: &str, time: Option<&str>, out_of_order: Millis, spec: Spec) -> Result<Self> {
        spec.check(out_of_order)?;
        if time.is_none() && (spec.late > 0.0 || spec.out_of_order > 0.0) {
            return Err(Error::configuration(
                "the dataflow takes the publish time, which never goes back: late and out-of-order must be 0",
            ));
        }
        let timelines = (0..spec.partitions).map(|partition| Timeline::new(&spec, partition)).collect::<Result<_>>()?;
        let json = serde_json::to_string(schema).map_err(|error| Error::bug(format!("writing a schema: {error}")))?;
        let identity = Sha256::digest(format!("{json}\n{source}\n{time:?}\n{out_of_order}\n{spec:?}"));
        Ok(Generator {
            encoder: Encoder::compile(schema, source, time, &spec)?,
            schema: schema.clone(),
            pick: Pick::new(spec.sources, spec.skew),
            timelines,
            out_of_order_ns: out_of_order.saturating_mul(NS_PER_MS),
            jitter_ns: spec.jitter.unwrap_or(out_of_order).saturating_mul(NS_PER_MS),
            malformed: Chance::share(spec.malformed),
            malformed_or_late: Chance::share(spec.malformed + spec.late),
            any_defect: Chance::share(spec.malformed + spec.late + spec.out_of_order),
            fingerprint: identity[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
            spec,
        })
    }

    /// What is generated.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The schema of the events.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Sixteen hex digits that differ wherever the output would.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Entries of a partition; 0 where there is no such partition.
    pub fn entries(&self, partition: u32) -> u64 {
        self.timelines.get(partition as usize).map_or(0, Timeline::entries)
    }

    /// Events of a partition; 0 where there is no such partition.
    pub fn events(&self, partition: u32) -> u64 {
        self.timelines.get(partition as usize).map_or(0, |timeline| timeline.events)
    }

    /// When the last event of an entry happens, in nanoseconds; that of the partition's end where there is no such entry.
    pub(super) fn due_ns(&self, partition: u32, entry: u64) -> i64 {
        self.timelines.get(partition as usize).map_or(0, |timeline| {
            let end = entry.saturating_add(1).saturating_mul(CAPTURE_ENTRY_EVENTS as u64).min(timeline.events);
            timeline.time_ns(end.saturating_sub(1))
        })
    }

    /// Puts an entry into `batch`; an empty one where the partition has no such entry.
    ///
    /// The last event of an entry is always well-formed and in order. So the partition's watermark after it is known, and what is
    /// called late is late for every reader: its minute lies before that of the watermark at the start of its entry.
    pub fn fill(&self, partition: u32, entry: u64, batch: &mut Batch) -> Tally {
        batch.bytes.clear();
        batch.spans.clear();
        let mut tally = Tally::default();
        let Some(timeline) = self.timelines.get(partition as usize) else { return tally };
        if entry >= timeline.entries() {
            return tally;
        }
        let begin = entry * CAPTURE_ENTRY_EVENTS as u64;
        let end = (begin + CAPTURE_ENTRY_EVENTS as u64).min(timeline.events);
        let closed_ns = (begin > 0).then(|| {
            let watermark = timeline.time_ns(begin - 1) - self.out_of_order_ns;
            watermark.div_euclid(MINUTE_NS) * MINUTE_NS
        });
        let mut random = Random::of([self.spec.seed, u64::from(partition), entry]);
        for n in begin..end {
            let start = batch.bytes.len() as u32;
            let fate = if n + 1 == end { Fate::InOrder } else { self.fate(&mut random) };
            self.payload(fate, timeline.time_ns(n), closed_ns, &mut random, &mut batch.bytes, &mut tally);
            batch.spans.push(Span { start, len: batch.bytes.len() as u32 - start });
        }
        batch.last_ns = timeline.time_ns(end - 1);
        tally.events = end - begin;
        tally.bytes = batch.bytes.len() as u64;
        tally
    }

    #[inline]
    fn fate(&self, random: &mut Random) -> Fate {
        let bits = (random.bits() >> 32) as u32;
        if !self.any_defect.takes(bits) {
            Fate::InOrder
        } else if self.malformed.takes(bits) {
            Fate::Malformed
        } else if self.malformed_or_late.takes(bits) {
            Fate::Late
        } else {
            Fate::OutOfOrder
        }
    }

    /// Appends one payload. `base_ns` is its time before any disorder, `closed_ns` where the minutes begin that are not late.
    fn payload(
        &self,
        fate: Fate,
        base_ns: i64,
        closed_ns: Option<i64>,
        random: &mut Random,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) {
        let mut time_ns = base_ns;
        match (&fate, closed_ns) {
            (Fate::OutOfOrder, _) if self.jitter_ns > 0 => {
                time_ns -= 1 + random.below(self.jitter_ns as u64) as i64;
                tally.out_of_order += 1;
            }
            (Fate::Late, Some(closed_ns)) => {
                time_ns = closed_ns - 1 - random.below((GENERATED_LATE_MINUTES_MAX * MINUTE_NS) as u64) as i64;
                tally.late += 1;
            }
            _ => {}
        }
        let mut event = Event { source: self.pick.draw(random), time_ns, spoil: false };
        if matches!(fate, Fate::Malformed) {
            tally.malformed += 1;
            self.malformed(event, random, out);
        } else {
            self.encoder.write(&mut event, random, out);
        }
    }

    /// Appends a payload that no reader of the schema can decode.
    fn malformed(&self, mut event: Event, random: &mut Random, out: &mut Vec<u8>) {
        let begin = out.len();
        match random.below(5) {
            0 => return,
            1 => {
                // A varint without an end, whatever the schema: the source of an event is behind at least one varint.
                out.resize(begin + 16 + random.below(MALFORMED_EXTRA_MAX - 16) as usize, 0xff);
                return;
            }
            2 => {
                self.encoder.write(&mut event, random, out);
                let extra = 1 + random.below(8);
                out.extend((0..extra).map(|_| random.bits() as u8));
                return;
            }
            3 => {
                event.spoil = true;
                self.encoder.write(&mut event, random, out);
                if !event.spoil {
                    return;
                }
            }
            _ => self.encoder.write(&mut event, random, out),
        }
        // Cut short: a proper prefix of an Avro encoding is never one itself.
        let whole = (out.len() - begin) as u64;
        out.truncate(begin + random.below(whole) as usize);
    }
}
