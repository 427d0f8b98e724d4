//! S3 goes away in the middle of a run: nothing is committed, nothing is lost, and all goes on when it is back.

use std::thread;
use std::time::Duration;

use super::{calm, in_bucket};
use crate::harness::{Cluster, Shape, demand_rows, files, scratch};
use crate::oracle;
use crate::servers::S3;

/// How long S3 is away.
const AWAY: Duration = Duration::from_secs(4);

/// How long a run may take to obey SIGTERM while S3 is away.
const OBEYS_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_run_goes_on_when_s3_is_back() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "43");
    let pipeline = in_bucket(&calm, &place.path().join("one"), &server, "one");
    let expected = oracle::expected(&calm.dataflow, &files(&place.path().join("sensors-in"), &[""]));
    let mut running = pipeline.start(2);
    running.until("its first manifests", || pipeline.manifests().len() > 1);
    server.kill();
    let rows_before = {
        // What was on its way to the sink when S3 went away may still come.
        thread::sleep(AWAY / 2);
        pipeline.rows().len()
    };
    let newest = pipeline.newest();
    assert!(running.runs(), "it ended although S3 may come back");
    thread::sleep(AWAY / 2);
    running.until_said(&["the store is away", "s3://minuet/one"]);
    assert_eq!(pipeline.newest(), newest, "nothing is committed");
    assert_eq!(pipeline.rows().len(), rows_before, "reading has stopped at its bound");
    server.start_again();
    let ended = running.end().demand(0).demand_words(&["the store is back"]);
    calm.demand(&pipeline, &ended.summary(), "S3 was away");
    demand_rows(&pipeline.rows(), &expected.rows, "S3 was away");
}

#[test]
fn a_signal_ends_a_run_while_s3_is_away_and_the_next_one_goes_on() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "44");
    let pipeline = in_bucket(&calm, &place.path().join("one"), &server, "one");
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut running = pipeline.start(2);
        let before = pipeline.newest();
        running.until("a manifest", || pipeline.newest() != before);
        server.kill();
        running.until_said(&["the store is away"]);
        running.signal(signal);
        assert!(running.ends_within(OBEYS_WITHIN), "it does not obey {signal} while S3 is away");
        running.end().demand(code);
        server.start_again();
    }
    let summary = pipeline.run_in(Shape::new(3, 1)).summary();
    calm.demand(&pipeline, &summary, "stopped while S3 was away");
}

#[test]
fn several_processes_wait_together() {
    let (place, server) = (scratch(), S3::start());
    let calm = calm(place.path(), "45");
    let pipeline = in_bucket(&calm, &place.path().join("one"), &server, "one");
    let mut cluster = Cluster::start(&pipeline, Shape::new(1, 2));
    cluster.process(0).until("its first manifests", || pipeline.manifests().len() > 1);
    server.kill();
    thread::sleep(AWAY);
    assert_eq!(cluster.running(), [0, 1], "one ended although S3 may come back");
    server.start_again();
    let ended = cluster.succeed();
    calm.demand(&pipeline, &ended.summary(), "S3 was away");
}
