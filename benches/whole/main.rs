//! The real graph, launched as `minuet run` launches it: events from memory, snapshots kept, rows encoded and dropped.

mod edges;
#[path = "../measure/mod.rs"]
mod measure;
mod members;

use std::sync::Arc;

use clap::Parser;
use measure::{Ask, Figures, Pool, Report, plan};

fn main() {
    let ask = Ask::parse();
    let plan = plan();
    if let Some(member) = ask.member {
        return members::take_part(&ask, &plan, member);
    }
    let mut report = Report::begin("whole", "snapshot a partial", &ask);
    for sources in &ask.sources {
        let pool = Arc::new(Pool::new(&plan, ask.events, *sources));
        report.line(format!("{sources} sources, {} bytes an event", pool.event_bytes()));
        for (processes, workers) in ask.shapes() {
            let name = format!("-n {processes} -w {workers}");
            if ask.wants(&name) {
                let runs = (0..ask.repeat.max(1)).map(|_| match processes {
                    1 => members::alone(&plan, &pool, workers),
                    _ => members::together(&ask, *sources, pool.events(), processes, workers),
                });
                let best = runs.min_by_key(Figures::cpu).expect("there is a run");
                report.case(&name, &best);
            }
        }
    }
    report.end(&ask);
}
