//! State in a bucket that is reached within TLS: by who believes its root, and by nobody else.

use std::time::Duration;

use super::{calm, in_bucket, told};
use crate::harness::{Pipeline, Shape, scratch};
use crate::servers::{Certificates, Fault, Requests, S3};

/// How long a run may take to find out that it does not believe its server.
const AT_ONCE: Duration = Duration::from_secs(30);

/// The pipeline with its state behind this endpoint, believing this root.
fn believing(pipeline: &Pipeline, server: &S3, endpoint: &str, root: &str) -> Pipeline {
    let mut environment = told(endpoint, server.key(), server.secret());
    environment.push(("AWS_CA_BUNDLE".to_owned(), root.to_owned()));
    Pipeline { environment, ..pipeline.clone() }
}

#[test]
fn a_state_within_tls_is_written_and_resumed() {
    let (place, server, certificates) = (scratch(), S3::shared(), Certificates::make());
    let calm = calm(place.path(), "71");
    let proxy = certificates.proxy(server.address());
    let plain = in_bucket(&calm, place.path(), server, "tls/believed");
    let endpoint = format!("https://{}", proxy.address());
    let pipeline = believing(&plain, server, &endpoint, &certificates.root());
    proxy.fault(Requests::of("PUT").path("/manifests/"), Fault::Lost, 2);
    proxy.fault(Requests::of("PUT").path("/parts/"), Fault::Cut { after: 500 }, 1);
    proxy.fault(Requests::of("GET"), Fault::Refused, 1);
    let mut running = pipeline.start(2);
    running.until("open windows in its state", || pipeline.has_state() || pipeline.is_finished());
    running.kill();
    running.end();
    assert_eq!(proxy.waiting(), 0, "not all faults have happened");
    let summary = pipeline.run_in(Shape::new(3, 1)).summary();
    calm.demand(&pipeline, &summary, "within TLS");
}

#[test]
fn a_server_that_is_not_believed_ends_the_run_at_once_with_what_to_do() {
    let (place, server, certificates) = (scratch(), S3::shared(), Certificates::make());
    let calm = calm(place.path(), "72");
    let proxy = certificates.proxy(server.address());
    let plain = in_bucket(&calm, place.path(), server, "tls/refused");
    let within = |at| format!("https://{at}");
    let refused = |endpoint: &str, root: &str, words: &[&str]| {
        let ended = believing(&plain, server, endpoint, root).run(1).demand(78).demand_words(words);
        assert!(ended.took < AT_ONCE, "it took {:?}", ended.took);
    };
    let advice = ["certificate", "give the root certificate that the server's goes back to", "AWS_CA_BUNDLE"];
    refused(&within(proxy.address()), &Certificates::make().root(), &advice);
    let mut systems = believing(&plain, server, &within(proxy.address()), "");
    systems.environment.retain(|(name, _)| name != "AWS_CA_BUNDLE");
    systems.run(1).demand(78).demand_words(&advice);
    let nothing = place.path().join("nothing").display().to_string();
    refused(&within(proxy.address()), &nothing, &["reading the certificates in", &nothing]);
    refused(&within(server.address()), &certificates.root(), &["this port is one without TLS", "http://"]);
}
