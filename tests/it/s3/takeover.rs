//! Two runs at one prefix: the older one stops, and nothing is doubled.

use super::{calm, in_bucket};
use crate::harness::{Shape, scratch};
use crate::servers::S3;

#[test]
fn the_older_of_two_runs_stops() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "47");
    let pipeline = in_bucket(&calm, &place.path().join("one"), &server, "one");
    let mut older = pipeline.start(1);
    older.until("its first manifests", || pipeline.manifests().len() > 1);
    // It sleeps while the other one takes over, and wakes in the middle of what it was doing.
    older.signal("STOP");
    let mut newer = pipeline.start(2);
    newer.until("its claim", || pipeline.attempt() == 2);
    older.signal("CONT");
    older.end().demand(76).demand_words(&["this run stops, nothing is lost"]);
    let ended = newer.end().demand(0);
    calm.demand(&pipeline, &ended.summary(), "the newer run");
    let summary = pipeline.run_in(Shape::new(1, 1)).summary();
    calm.demand(&pipeline, &summary, "a third run finds nothing to do");
}

#[test]
fn an_older_run_that_slept_while_s3_was_away_stops_when_both_are_back() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "48");
    let pipeline = in_bucket(&calm, &place.path().join("one"), &server, "one");
    let mut older = pipeline.start(1);
    older.until("its first manifests", || pipeline.manifests().len() > 1);
    server.kill();
    older.until_said(&["the store is away"]);
    older.signal("STOP");
    server.start_again();
    let newer = pipeline.start(2).end().demand(0);
    calm.demand(&pipeline, &newer.summary(), "the newer run");
    older.signal("CONT");
    older.end().demand(76);
    calm.demand(&pipeline, &newer.summary(), "after the older one woke");
}
