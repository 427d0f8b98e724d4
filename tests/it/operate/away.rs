//! What a running job says of services that go away, and of connections that end.

use super::super::clickhouse::setup::Base;
use super::super::harness::{Pipeline, Running, Shape, free_port, scratch};
use super::super::pulsar::broker::Broker;
use super::super::pulsar::follower::Follower;
use super::super::pulsar::input::Input;
use super::super::pulsar::sender::Manner;
use super::super::pulsar::topic::Topic;
use super::super::s3::{objects, told};
use super::super::servers::{ClickHouse, Proxy, S3};
use super::exposition;
use super::{ask, good, job_of};

/// So many take some seconds.
const EVENTS: &str = "200000";

/// Lets a service go away while a job runs: the job is not ready, says why, and should be left alone; then all is well again.
fn not_ready_while_away(proxy: &Proxy, pipeline: &Pipeline, at: &str, away: &str) -> Running {
    let mut running = pipeline.start(2);
    running.until("a job that is ready", || ask(at, "/readyz").is_some_and(|(code, _)| code == 200));
    proxy.away();
    let refused = |body: &str| body.contains("what it writes to is away") && body.contains(away);
    running.until("a job that is not ready", || {
        ask(at, "/readyz").is_some_and(|(code, body)| code == 503 && refused(&body))
    });
    assert!(good(at, "/livez").contains("2 worker loops turn"), "a restart would not help");
    assert_eq!(exposition::parse(&good(at, "/metrics"))["minuet_ready"][0].value, 0.0);
    proxy.back();
    // It may have come to its end before it is asked.
    running.until("a job that is ready again", || ask(at, "/readyz").is_none_or(|(code, _)| code == 200));
    running
}

#[test]
fn a_job_whose_sink_is_away_is_not_ready() {
    let (server, place) = (ClickHouse::shared(), scratch());
    let (calm, _, at) = job_of(place.path(), EVENTS);
    let (proxy, base) = (Proxy::before(server.address()), Base::new(server, "sink_away"));
    let mut pipeline = base.pipeline(&calm, proxy.address());
    pipeline.flags.extend(["--http", &at].map(str::to_owned));
    let running = not_ready_while_away(&proxy, &pipeline, &at, &proxy.address().to_string());
    assert_eq!(running.end().demand(0).summary(), calm.summary);
    base.demand(&calm, "the sink was away");
}

#[test]
fn a_job_whose_store_is_away_is_not_ready() {
    let (server, place) = (S3::shared(), scratch());
    let (calm, mut pipeline, at) = job_of(place.path(), EVENTS);
    let proxy = Proxy::before(server.address());
    pipeline.state = objects(server).join("operate/away");
    pipeline.place_of_state = Some(format!("s3://{}/operate/away", server.bucket()));
    pipeline.environment = told(&format!("http://{}", proxy.address()), server.key(), server.secret());
    let running = not_ready_while_away(&proxy, &pipeline, &at, "s3://");
    calm.demand(&pipeline, &running.end().demand(0).summary(), "the store was away");
}

#[test]
fn connections_that_a_broker_ends_are_counted() {
    let settings = [("seed", "82"), ("events", "6000"), ("sources", "50"), ("rate", "50"), ("partitions", "2")];
    let input = Input::generate("sensors", &settings);
    let topic = Topic::make(Broker::shared(), "unloaded-metrics", 2);
    topic.subscribe("sensors");
    let (place, at) = (scratch(), format!("127.0.0.1:{}", free_port()));
    let follower = Follower::new(input.dataflow(), &topic, place.path()).with(&["--http", &at]);
    let mut cluster = follower.start(Shape::new(2, 1));
    let process = cluster.process(0);
    let sum = |family: &str| {
        let families = exposition::parse(&good(&at, "/metrics"));
        families.get(family).map_or(0.0, |samples| samples.iter().map(|sample| sample.value).sum::<f64>())
    };
    process.until("an answer", || ask(&at, "/readyz").is_some_and(|(code, _)| code == 200));
    process.until("both partitions", || sum("minuet_connected") >= 2.0);
    assert_eq!(sum("minuet_reconnects_total"), 0.0);
    topic.unload();
    process.until("a connection of each partition that has ended", || sum("minuet_reconnects_total") >= 2.0);
    input.send(&topic, 20, &[Manner::default()]);
    follower.comes_to(cluster, &input.expected(20), "after the unload");
}
