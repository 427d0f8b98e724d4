//! What a topic may do that a file does not: entries that nobody can read, entries that are gone, partitions that are added.

use std::sync::Arc;

use minuet::cluster::Outcome;
use minuet::connect::memory::{MemorySource, Standing, payload_entry};
use minuet::dataflow::edges::{Entry, Writer};
use minuet::error::Fault;
use minuet::limits::UNREADABLE_EVENTS_MAX;
use minuet::plan::{self, Plan};
use minuet::snapshot::Position;

use crate::harness::project;
use crate::memory::Place;

fn sensors() -> Arc<Plan> {
    Arc::new(plan::load(&project().join("dataflows/sensors")).expect("it is ours"))
}

/// Entry `number`, of so many payloads that nobody can read.
fn unreadable(number: u64, payloads: usize, why: &str) -> Entry {
    Entry { writer: Writer::Unreadable(why.into()), ..payload_entry(number, &vec![b"?".to_vec(); payloads], Some(0)) }
}

#[test]
fn every_payload_of_an_unreadable_entry_is_a_reject_with_its_reason() {
    let place = Place::new(&sensors());
    let source = MemorySource::new();
    let entries = vec![unreadable(0, 3, "schema version 7 cannot be had"), unreadable(1, 1, "codec 9 is not known")];
    source.add("p", entries, Standing::Ended);
    assert_eq!(place.start(&source, 2).end().expect("rejects end no run"), Outcome::Finished);
    let counters = place.newest().counters();
    assert_eq!((counters.read, counters.malformed, counters.folded), (4, 4, 0));
    let collected = place.sink.collected();
    let rejects: Vec<_> = collected.rejects.values().flatten().collect();
    let details: Vec<&str> = rejects.iter().map(|reject| reject.detail.as_str()).collect();
    assert_eq!(details[..3], ["schema version 7 cannot be had"; 3]);
    assert_eq!(details[3..], ["codec 9 is not known"]);
    assert!(rejects.iter().all(|reject| reject.reason == "malformed" && reject.payload == b"?"));
}

#[test]
fn a_topic_of_unreadable_entries_ends_the_run_with_the_reason() {
    let place = Place::new(&sensors());
    let source = MemorySource::new();
    let entries = (0..=UNREADABLE_EVENTS_MAX / 500).map(|number| unreadable(number, 500, "of a schema of JSON"));
    source.add("p", entries.collect(), Standing::Ended);
    let error = place.start(&source, 1).end().expect_err("there are too many");
    assert_eq!(error.fault, Fault::Data);
    assert!(error.to_string().contains("of a schema of JSON"), "{error}");
}

#[test]
fn a_gap_that_was_accepted_is_in_the_cut_and_in_the_ledger() {
    let place = Place::new(&sensors());
    let source = MemorySource::new();
    source.add("p", vec![unreadable(0, 1, "x"), unreadable(5, 1, "x")], Standing::Ended);
    place.start(&source, 1).end().expect("the gap was accepted");
    let newest = place.newest();
    assert_eq!((newest.cut[0].gaps, newest.cut[0].position), (1, Some(Position(6, 0))));
    let collected = place.sink.collected();
    let lines = &collected.ledger.values().last().expect("there is a ledger").lines;
    assert_eq!((lines[0].cut.gaps, lines[0].from), (1, None));
}

#[test]
fn a_run_that_was_outgrown_ends_at_its_next_commit_and_the_next_has_all_partitions() {
    let place = Place::new(&sensors());
    let source = MemorySource::new();
    source.add("p", Vec::new(), Standing::Waiting);
    let run = place.start(&source, 2);
    let before = run.claim.sequence;
    // Nothing can be committed before the partition has said something, so this is in time for the first commit.
    run.fate.outgrow();
    source.add("q", vec![unreadable(0, 1, "x")], Standing::Ended);
    source.append(0, unreadable(0, 1, "x"));
    source.stand(0, Standing::Ended);
    assert_eq!(run.end().expect("growing is no error"), Outcome::Renewed);
    assert!(place.newest().sequence > before, "it ends at a commit");
    assert_eq!(place.start(&source, 2).end().expect("all ends"), Outcome::Finished);
    assert_eq!(place.newest().counters().read, 2);
}
