//! Each part of an event's way alone, over the same entry again and again or over one minute.

mod measure;

use std::hint::black_box;
use std::sync::Arc;

use clap::Parser;
use measure::{Ask, Cost, Meter, PARTITIONS, Pool, Recorder, Report, plan};
use minuet::aggregate::record::{EventHead, records, write_event};
use minuet::aggregate::{Layout, OpenTables, SourceKind, record};
use minuet::connect::files::rows::RowLines;
use minuet::connect::pulsar::wire::codec::Codec;
use minuet::connect::pulsar::wire::entry::open;
use minuet::connect::pulsar::wire::send::{Body, Letterhead};
use minuet::dataflow::{Batch, ByHash};
use minuet::event::Span;
use minuet::limits::BATCH_WORDS;
use minuet::plan::Plan;
use minuet::snapshot::{key_group, part, slot_of};
use timely::bytes::arc::BytesMut;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::progress::Stamp;

/// Slots that records are spread over.
const SLOTS: usize = 2;

fn main() {
    let ask = Ask::parse();
    let plan = plan();
    let mut report = Report::begin("parts", "", &ask);
    for sources in &ask.sources {
        let pool = Pool::new(&plan, ask.events, *sources);
        report.line(format!("{sources} sources, {} bytes an event", pool.event_bytes()));
        let mut parts = Parts { ask: &ask, plan: &plan, report: &mut report };
        parts.of_events(&pool);
        parts.of_entries(&pool);
        let batches = batches(&plan, &pool);
        parts.of_batches(&batches);
        parts.of_minutes(&batches);
    }
    report.end(&ask);
}

/// All events of a run as records, in batches as the graph has them.
fn batches(plan: &Plan, pool: &Pool) -> Vec<Batch> {
    let mut recorder = Recorder::new(plan);
    let mut bytes = Vec::new();
    let (mut full, mut batch) = (Vec::new(), Batch::default());
    let entries = (0..pool.wanted).flat_map(|entry| (0..PARTITIONS).map(move |partition| (entry, partition)));
    for (entry, partition) in entries {
        for span in pool.make(partition, entry, &mut bytes) {
            let payload = of(&bytes, span);
            recorder.decode(payload);
            recorder.record(payload, partition, entry, &mut batch.words);
            batch.records += 1;
        }
        if batch.is_full() {
            full.push(batch.take());
        }
    }
    full.push(batch);
    full
}

fn of<'b>(bytes: &'b [u8], span: &Span) -> &'b [u8] {
    &bytes[span.start as usize..(span.start + span.len) as usize]
}

/// The parts, one after another.
struct Parts<'a> {
    ask: &'a Ask,
    plan: &'a Arc<Plan>,
    report: &'a mut Report,
}

impl Parts<'_> {
    /// Measures a part if it is asked for. `work` does it once, and says what it took and on how many.
    fn part(&mut self, name: &str, of: &str, mut work: impl FnMut() -> (Cost, u64)) {
        if self.ask.wants(name) {
            let runs = (0..self.ask.repeat.max(1)).map(|_| work());
            let (cost, count) = runs.min_by_key(|(cost, _)| cost.cpu).expect("there is a run");
            self.report.part(name, cost, count, of);
        }
    }

    /// Opening the entries of a Pulsar topic: checksum, decompression, spans.
    fn of_entries(&mut self, pool: &Pool) {
        let mut bytes = Vec::new();
        let spans = pool.make(0, 0, &mut bytes);
        for (name, each, codec) in [
            ("pulsar entry of 1000, LZ4", spans.len(), Codec::Lz4),
            ("pulsar entry of 5, LZ4", 5, Codec::Lz4),
            ("pulsar entry unbatched", 1, Codec::None),
        ] {
            let head = Letterhead { name: "standalone-0-41".into(), codec, ..Letterhead::default() };
            let mut body = Body::new(each > 1);
            let frames = spans.chunks(each).map(|spans| {
                body.clear();
                spans.iter().for_each(|span| body.add(of(&bytes, span)));
                let mut frame = Vec::new();
                body.frame(&head, 7, 1_700_000_000_000, &mut frame).expect("an entry can be made");
                // Behind the two lengths and the command.
                let command = u32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]) as usize;
                frame.split_off(8 + command)
            });
            let entries: Vec<Vec<u8>> = frames.collect();
            let laps = pool.events() / spans.len() as u64;
            let (mut room, mut spans) = (Vec::new(), Vec::new());
            self.part(name, "event", || {
                let meter = Meter::start();
                for _ in 0..laps {
                    for entry in &entries {
                        black_box(open(black_box(entry), &mut room, &mut spans)).expect("it is a good entry");
                    }
                }
                (meter.read(), laps * spans.len() as u64)
            });
        }
    }

    /// What is done with payloads.
    fn of_events(&mut self, pool: &Pool) {
        let mut recorder = Recorder::new(self.plan);
        let mut bytes = Vec::new();
        let spans = pool.make(0, 0, &mut bytes);
        let laps = pool.events() / spans.len() as u64;
        let events = laps * spans.len() as u64;
        let over = |work: &mut dyn FnMut(&[u8])| {
            let meter = Meter::start();
            for _ in 0..laps {
                spans.iter().for_each(|span| work(of(&bytes, span)));
            }
            (meter.read(), events)
        };
        let reader = recorder.reader.clone();
        self.part("walk", "event", || {
            over(&mut |payload| {
                black_box(reader.length(payload)).expect("generated events are good");
            })
        });
        self.part("decode", "event", || over(&mut |payload| recorder.decode(black_box(payload))));
        let mut words = Vec::with_capacity(BATCH_WORDS * 2);
        self.part("hash, record", "event", || {
            over(&mut |payload| {
                if words.len() >= BATCH_WORDS {
                    words.clear();
                }
                recorder.record(black_box(payload), 0, 0, &mut words);
            })
        });
    }

    /// What is done with batches of records.
    fn of_batches(&mut self, batches: &[Batch]) {
        let events = batches.iter().map(|batch| u64::from(batch.records)).sum();
        let bare = bare(batches, self.plan.layout.input_words());
        let none = Arc::new(Layout::new("source", SourceKind::Text, Vec::new(), Vec::new()));
        for (name, layout, batches) in [
            ("intern, find the row", &none, bare.as_slice()),
            ("intern, find the row, fold", &self.plan.layout, batches),
        ] {
            self.part(name, "event", || {
                let mut tables = OpenTables::new(Arc::clone(layout));
                let meter = Meter::start();
                batches.iter().for_each(|batch| tables.fold(0, &batch.words));
                (meter.read(), events)
            });
        }
        let groups = self.plan.key_groups;
        self.part("route over 2 slots", "event", || {
            let mut route = ByHash::new(SLOTS, 0, move |hash| slot_of(key_group(hash, groups), SLOTS));
            let mut copies = batches.to_vec();
            let (stamp, mut pushers) = (Stamp::from_elem(0_u64), [Dropped, Dropped]);
            let meter = Meter::start();
            copies.iter_mut().for_each(|batch| route.partition(batch, &stamp, &mut pushers));
            route.flush(&stamp, &mut pushers);
            (meter.read(), events)
        });
        let mut wire = Vec::new();
        self.part("wire, encode", "event", || {
            let meter = Meter::start();
            for batch in batches {
                wire.clear();
                batch.into_bytes(black_box(&mut wire));
            }
            (meter.read(), events)
        });
        self.part("wire, decode", "event", || {
            let mut all = Cost::default();
            for batch in batches {
                let mut bytes = Vec::new();
                batch.into_bytes(&mut bytes);
                let bytes = BytesMut::from(bytes).freeze();
                let meter = Meter::start();
                black_box(Batch::from_bytes(bytes));
                let cost = meter.read();
                (all.cpu, all.wall) = (all.cpu + cost.cpu, all.wall + cost.wall);
                all.peak_rss = all.peak_rss.max(cost.peak_rss);
            }
            (all, events)
        });
    }

    /// What is done once per source and minute.
    fn of_minutes(&mut self, batches: &[Batch]) {
        let layout = &self.plan.layout;
        let close = || {
            let (mut tables, mut partials) = (OpenTables::new(Arc::clone(layout)), Batch::default());
            batches.iter().for_each(|batch| tables.fold(0, &batch.words));
            let meter = Meter::start();
            tables.close(u64::from(u32::MAX), &mut |partial| partials.push(partial), &mut |_| {});
            (meter.read(), partials)
        };
        let (_, partials) = close();
        let count = u64::from(partials.records);
        self.part("close", "partial", || (close().0, count));
        self.part("merge", "partial", || {
            let mut tables = OpenTables::new(Arc::clone(layout));
            tables.merge(0, &partials.words);
            let meter = Meter::start();
            tables.merge(0, &partials.words);
            (meter.read(), count)
        });
        let lines = RowLines::new(layout.columns());
        let mut out = Vec::new();
        self.part("row, finish", "row", || {
            let meter = Meter::start();
            records(&partials.words).for_each(|partial| {
                black_box(layout.finish(partial));
            });
            (meter.read(), count)
        });
        self.part("row, finish and encode", "row", || {
            let meter = Meter::start();
            for partial in records(&partials.words) {
                out.clear();
                lines.write(&layout.finish(partial), &mut out).expect("a row of the layout fits its columns");
            }
            (meter.read(), count)
        });
        self.part("snapshot, encode", "partial", || {
            let meter = Meter::start();
            black_box(part::encode(layout, [partials.words.as_slice()]));
            (meter.read(), count)
        });
    }
}

/// The same events without their fields: what is left of folding them is to find their rows.
fn bare(batches: &[Batch], inputs: usize) -> Vec<Batch> {
    let bare = |batch: &Batch| {
        let mut made = Batch::new(batch.from, batch.kind);
        for event in records(&batch.words) {
            let head =
                EventHead { hash: record::hash(event), minute: record::minute(event), time: 0, order: 0, present: 0 };
            let source = record::source(event, record::EVENT_HEADER_WORDS + inputs);
            write_event(&mut made.words, &head, &[], source, std::iter::empty());
            made.records += 1;
        }
        made
    };
    batches.iter().map(bare).collect()
}

/// Takes what is sent to a slot, and drops it.
struct Dropped;

impl Push<Message<u64, Batch>> for Dropped {
    fn push(&mut self, message: &mut Option<Message<u64, Batch>>) {
        *message = None;
    }
}
