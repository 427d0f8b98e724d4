//! The budget of events that nobody can read.

use super::*;
use crate::aggregate::{Layout, SourceKind};
use crate::dataflow::batch::Records;
use crate::event::{ReaderSchema, Selection, Span};
use crate::snapshot::Position;

const DAY_MS: Millis = 24 * 60 * 60 * 1_000;
const SCHEMA: &str = r#"{"type":"record","name":"E","fields":[{"name":"key","type":"string"}]}"#;

fn plan() -> Arc<Plan> {
    Arc::new(Plan {
        name: "p".to_owned(),
        schema: Arc::new(ReaderSchema::parse(SCHEMA).unwrap()),
        selection: Selection { source: "key".to_owned(), time: None, fields: Vec::new() },
        layout: Arc::new(Layout::new("key", SourceKind::Text, Vec::new(), Vec::new())),
        out_of_order: 0,
        max_ahead: 0,
        idle_after: 0,
        key_groups: 1,
        lanes: 1,
        rows_per_insert: 1,
        fingerprint: String::new(),
    })
}

/// A run that begins at a cut and reads so many events that cannot be read; the cut it leaves.
fn read(cut: &PartitionCut, events: u64) -> Result<PartitionCut> {
    let plan = plan();
    let mut made = Made { events: Batch::new(0, Records::Events), tally: Tally::new(plan.lanes), rejects: Vec::new() };
    let mut state = PartitionState::new(plan, Arc::new([]), Arc::new([]), cut.clone());
    let entry = Entry {
        position: Position(1, 0),
        next: Position(1, 1),
        bytes: Vec::new(),
        framing: Framing::Payloads(vec![Span::default(); usize::try_from(events).unwrap()]),
        writer: Writer::Unreadable("of a schema of JSON".into()),
        publish_time: Some(0),
    };
    state.take_in(&entry, None, 0, &mut made)?;
    assert!(state.cut.counters.balanced());
    Ok(state.cut)
}

#[test]
fn a_run_that_is_started_again_has_no_more_unreadable_events_but_a_new_day_has() {
    let first = PartitionCut::beginning(0, "p", "");
    let full = read(&first, UNREADABLE_EVENTS_MAX).unwrap();
    assert_eq!(full.unreadable, Unreadable { day: 0, events: UNREADABLE_EVENTS_MAX });
    let error = read(&full, 1).unwrap_err();
    assert_eq!(error.fault, crate::error::Fault::Data);
    assert!(error.to_string().contains("10001 events of one day") && error.to_string().contains("JSON"), "{error}");
    let later = |time| PartitionCut { max_time: Some(time), ..full.clone() };
    assert!(read(&later(DAY_MS - 1), 1).is_err());
    assert_eq!(read(&later(DAY_MS), 1).unwrap().unreadable, Unreadable { day: 1, events: 1 });
}
