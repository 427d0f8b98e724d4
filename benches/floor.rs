//! The plainest loop over the events with the project's decoder and tables, without timely: what the graph is measured against.
//!
//! Per event: decode, write the record, fold; per minute: close, and in the second case make rows and encode them as well.

mod measure;

use clap::Parser;
use measure::{Ask, Figures, Meter, PARTITIONS, Pool, Recorder, Report, plan};
use minuet::aggregate::OpenTables;
use minuet::connect::files::rows::RowLines;
use minuet::limits::BATCH_WORDS;
use minuet::plan::Plan;
use minuet::time::minute_of;

fn main() {
    let ask = Ask::parse();
    let plan = plan();
    let mut report = Report::begin("floor", "tables a source", &ask);
    for sources in &ask.sources {
        let pool = Pool::new(&plan, ask.events, *sources);
        report.line(format!("{sources} sources, {} bytes an event", pool.event_bytes()));
        for (name, rows) in [("decode, fold, close", false), ("decode, fold, close, rows", true)] {
            if ask.wants(name) {
                let runs = (0..ask.repeat.max(1)).map(|_| Floor::new(&plan).run(&pool, rows));
                let best = runs.min_by_key(Figures::cpu).expect("there is a run");
                report.case(name, &best);
            }
        }
    }
    report.end(&ask);
}

/// The loop's state.
struct Floor<'p> {
    plan: &'p Plan,
    recorder: Recorder,
    /// Records that are not folded yet.
    words: Vec<u64>,
    tables: OpenTables,
    lines: RowLines,
    /// The minute that was closed last.
    closed: u64,
    /// Bytes of state per source, at most.
    state: u64,
}

impl<'p> Floor<'p> {
    fn new(plan: &'p Plan) -> Self {
        Floor {
            recorder: Recorder::new(plan),
            words: Vec::with_capacity(BATCH_WORDS),
            tables: OpenTables::new(plan.layout.clone()),
            lines: RowLines::new(plan.layout.columns()),
            closed: 0,
            state: 0,
            plan,
        }
    }

    fn run(&mut self, pool: &Pool, rows: bool) -> Figures {
        let mut bytes = Vec::new();
        let mut open = None;
        let mut place = 0;
        pool.making();
        let meter = Meter::start();
        for (entry, partition) in (0..pool.wanted).flat_map(|entry| (0..PARTITIONS).map(move |p| (entry, p))) {
            let spans = pool.make(partition, entry, &mut bytes);
            for span in spans {
                let payload = &bytes[span.start as usize..(span.start + span.len) as usize];
                self.recorder.decode(payload);
                self.recorder.record(payload, partition, place, &mut self.words);
                place += 1;
                if self.words.len() >= BATCH_WORDS {
                    self.fold();
                }
            }
            let minute = minute_of(self.recorder.row.time - self.plan.out_of_order);
            if minute > open {
                if let Some(over) = open {
                    self.close(over, rows);
                }
                open = minute;
            }
        }
        self.close(u64::from(u32::MAX), rows);
        Figures { cost: meter.read(), making: pool.making(), makers: 1, events: place, state: self.state }
    }

    fn fold(&mut self) {
        self.tables.fold(self.closed, &self.words);
        self.words.clear();
    }

    fn close(&mut self, minute: u64, rows: bool) {
        self.fold();
        let sources = self.tables.sources().max(1) as u64;
        self.state = self.state.max(self.tables.bytes() as u64 / sources);
        let (layout, lines) = (&self.plan.layout, &self.lines);
        let mut out = Vec::new();
        let mut closed = |partial: &[u64]| {
            if rows {
                out.clear();
                lines.write(&layout.finish(partial), &mut out).expect("a row of the layout fits its columns");
            }
        };
        self.tables.close(minute, &mut closed, &mut |_| {});
        // What is open now is stamped with it; so is what comes from here on, for the same tables.
        self.closed = minute;
    }
}
