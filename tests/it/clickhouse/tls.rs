//! Rows within TLS: to a server whose root is believed, and to none other.

use std::time::Duration;

use fault_proxy::{Fault, Requests};

use super::rounds::calm;
use super::setup::Base;
use crate::harness::{Pipeline, scratch};
use crate::servers::{Certificates, ClickHouse};

/// How long a run may take to find out that it does not believe its server.
const AT_ONCE: Duration = Duration::from_secs(30);

/// The pipeline with its sink at this address, believing this root.
fn believing(pipeline: &Pipeline, sink: &str, root: &str) -> Pipeline {
    let mut pipeline = pipeline.clone();
    pipeline.sink = Some(sink.to_owned());
    pipeline.flags.extend(["--clickhouse-tls-roots", root].map(str::to_owned));
    pipeline
}

#[test]
fn rows_go_within_tls_whatever_the_network_does() {
    let (server, place, certificates) = (ClickHouse::shared(), scratch(), Certificates::make());
    let calm = calm(place.path());
    let proxy = certificates.proxy(server.address());
    let base = Base::new(server, "within_tls");
    let sink = base.sink(proxy.address()).replacen("clickhouse", "clickhouses", 1);
    let pipeline = believing(&base.pipeline(&calm, server.address()), &sink, &certificates.root());
    let inserts = Requests::of("POST").query("INSERT").query("rows%60");
    proxy.fault(inserts.clone(), Fault::Delayed(Duration::ZERO), 2);
    for fault in [Fault::Lost, Fault::Cut { after: 300 }, Fault::Refused, Fault::Unavailable { after_body: true }] {
        proxy.fault(inserts.clone(), fault, 1);
    }
    let mut running = pipeline.start(2);
    running.until("all faults", || proxy.waiting() == 0);
    running.kill();
    running.end();
    proxy.fault(inserts, Fault::Lost, 1);
    assert_eq!(pipeline.run(3).demand(0).summary(), calm.summary);
    base.demand(&calm, "within TLS");
    base.ledger_of(&sink, &["--clickhouse-tls-roots", &certificates.root()]).demand(0);
}

#[test]
fn a_server_that_is_not_believed_ends_the_run_at_once_with_what_to_do() {
    let (server, place, certificates) = (ClickHouse::shared(), scratch(), Certificates::make());
    let calm = calm(place.path());
    let proxy = certificates.proxy(server.address());
    let base = Base::new(server, "not_believed");
    let plain = base.pipeline(&calm, server.address());
    let within = |at| base.sink(at).replacen("clickhouse", "clickhouses", 1);
    let refused = |pipeline: &Pipeline, words: &[&str]| {
        let ended = pipeline.run(1).demand(78).demand_words(words);
        assert!(ended.took < AT_ONCE, "it took {:?}", ended.took);
    };
    let advice = ["certificate", "give the root certificate that the server's goes back to", "--clickhouse-tls-roots"];
    refused(&believing(&plain, &within(proxy.address()), &Certificates::make().root()), &advice);
    let systems = Pipeline { sink: Some(within(proxy.address())), ..plain.clone() };
    refused(&systems, &advice);
    let nothing = place.path().join("nothing").display().to_string();
    refused(&believing(&plain, &within(proxy.address()), &nothing), &["reading the certificates in", &nothing]);
    let without = believing(&plain, &within(server.address()), &certificates.root());
    refused(&without, &["this port is one without TLS", "clickhouse://"]);
    assert_eq!(base.query("SELECT count() FROM system.databases WHERE name = '{}'"), "0", "somebody was let in");
}

#[test]
fn a_machine_without_roots_writes_where_there_is_no_tls() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let calm = calm(place.path());
    let base = Base::new(server, "no_roots");
    let mut pipeline = base.pipeline(&calm, server.address());
    let nowhere = place.path().join("nowhere").display().to_string();
    pipeline.environment = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name.to_owned(), nowhere.clone())).into();
    pipeline.run(1).demand(0);
    base.demand(&calm, "without roots");
    pipeline.sink = pipeline.sink.map(|sink| sink.replacen("clickhouse", "clickhouses", 1));
    pipeline.run(1).demand(78).demand_words(&["the system's root certificates", "--clickhouse-tls-roots"]);
}
