//! What a network between a run and S3 does: answers that are lost, requests that are refused, late, cut, or never answered.

use std::time::Duration;

use super::{calm, in_bucket, told};
use crate::harness::{Shape, Undisturbed, scratch};
use crate::servers::{Fault, Proxy, Requests, S3};

/// Tries that the SDK makes of one request; one more, and the store's own patience is needed.
const TRIES: u32 = 4;

/// Faults, and how often each falls.
type Plan = Vec<(Requests, Fault, u32)>;

fn manifests() -> Requests {
    Requests::of("PUT").path("/manifests/")
}

fn parts() -> Requests {
    Requests::of("PUT").path("/parts/")
}

/// Runs through a proxy that does this, and demands that nothing of it is seen in the rows; gives the proxy.
fn through(calm: &Undisturbed, seed: &str, plan: Plan) -> Proxy {
    let (place, server) = (scratch(), S3::shared());
    let proxy = Proxy::before(server.address());
    let mut pipeline = in_bucket(calm, place.path(), server, &format!("faults/{seed}"));
    pipeline.environment = told(&format!("http://{}", proxy.address()), server.key(), server.secret());
    for (requests, fault, times) in plan {
        proxy.fault(requests, fault, times);
    }
    let summary = pipeline.run_in(Shape::new(2, 1)).summary();
    assert_eq!(proxy.waiting(), 0, "not all faults have happened");
    assert_eq!(pipeline.attempt(), 1, "a run that sees its own manifest goes on");
    calm.demand(&pipeline, &summary, seed);
    proxy
}

#[test]
fn an_answer_that_is_lost_after_a_manifest_is_stored() {
    let place = scratch();
    let calm = calm(place.path(), "51");
    let lost = |times| vec![(manifests(), Fault::Lost, times)];
    // The claim's: the SDK tries again, is refused, and finds its own bytes.
    let proxy = through(&calm, "lost-claim", lost(1));
    let refused = proxy.seen().iter().filter(|seen| format!("{:?}", seen.outcome).contains("412")).count();
    assert!(refused >= 2, "one of the probe, one of the manifest: {refused}");
    // So often that the SDK gives up and the store has to go on.
    through(&calm, "lost-often", lost(2 * TRIES + 3));
    through(&calm, "lost-probe", vec![(Requests::of("PUT").path("/probe-"), Fault::Lost, 1)]);
}

#[test]
fn a_server_that_is_busy_or_refuses() {
    let place = scratch();
    let calm = calm(place.path(), "52");
    let busy = |after_body| Fault::Unavailable { after_body };
    through(
        &calm,
        "busy",
        vec![
            (Requests::of("GET"), busy(false), 2 * TRIES + 1),
            (parts(), busy(true), TRIES + 1),
            (manifests(), busy(true), 2 * TRIES + 1),
        ],
    );
    through(
        &calm,
        "refused",
        vec![
            (Requests::of("GET"), Fault::Refused, TRIES + 1),
            (Requests::of("DELETE"), Fault::Lost, TRIES + 1),
            (parts(), Fault::Refused, TRIES + 1),
            (manifests(), Fault::Refused, TRIES + 1),
        ],
    );
}

#[test]
fn bytes_that_are_late_or_cut() {
    let place = scratch();
    let calm = calm(place.path(), "53");
    let late = Fault::Delayed(Duration::from_millis(1_500));
    through(&calm, "late", vec![(parts(), late, 2), (manifests(), late, 2), (Requests::of("GET"), late, 2)]);
    let cut = |after| Fault::Cut { after };
    through(
        &calm,
        "cut",
        vec![
            (parts(), cut(0), 1),
            (parts(), cut(1_000), TRIES + 1),
            (manifests(), cut(1), 1),
            (manifests(), cut(100), TRIES + 1),
        ],
    );
}

#[test]
fn an_answer_that_breaks_off_or_stalls_is_asked_for_again() {
    let place = scratch();
    let calm = calm(place.path(), "55");
    let server = S3::shared();
    let proxy = Proxy::before(server.address());
    let mut pipeline = in_bucket(&calm, place.path(), server, "faults/answers");
    let mut running = pipeline.start(2);
    running.until("open windows in its state", || pipeline.has_state());
    running.kill();
    running.end();
    assert!(!pipeline.is_finished(), "nothing is left to be read back; give it more events");
    pipeline.environment = told(&format!("http://{}", proxy.address()), server.key(), server.secret());
    let (cut, stalled) = (|after| Fault::AnswerCut { after }, |after| Fault::AnswerStalled { after });
    let (lists, parts) = (Requests::of("GET").query("list-type"), Requests::of("GET").path("/parts/"));
    let manifests = Requests::of("GET").path("/manifests/");
    for (requests, fault, times) in [
        (Requests::of("GET").path("/probe-"), cut(2), 1),
        (lists, cut(200), TRIES + 1),
        // So often that the store's own patience is needed.
        (manifests.clone(), cut(0), 1),
        (manifests, cut(100), 2 * TRIES + 1),
        (parts.clone(), cut(50), TRIES + 1),
        (parts, stalled(50), 1),
    ] {
        proxy.fault(requests, fault, times);
    }
    let ended = pipeline.run(3).demand(0).demand_words(&["the store is away", "the store is back"]);
    assert_eq!(proxy.waiting(), 0, "not all faults have happened");
    calm.demand(&pipeline, &ended.summary(), "answers that break off");
}

#[test]
fn a_connection_that_is_open_at_one_end() {
    let place = scratch();
    let calm = calm(place.path(), "54");
    through(&calm, "half-open", vec![(parts(), Fault::HalfOpen, 1), (manifests(), Fault::HalfOpen, 1)]);
}
