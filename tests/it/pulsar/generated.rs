//! `minuet gen` into a topic: what lies there is what it writes into files, whatever the shape of the entries.

use std::fs::File;
use std::time::Duration;

use minuet::connect::files::capture::CaptureReader;
use minuet::connect::pulsar::wire::command::{frame, of_type};
use minuet::connect::pulsar::wire::entry::open;
use minuet::connect::pulsar::{Client, Connection, Frame, Security};
use minuet::dataflow::edges::Framing;
use pulsar::message::proto::base_command::Type;
use pulsar::message::proto::{BaseCommand, CommandFlow, CommandSubscribe};

use super::broker::{Broker, Settings};
use super::clients::send_with_java;
use super::follower::Follower;
use super::input::Input;
use super::topic::Topic;
use crate::harness::{Shape, dataflow, files, generate, run, scratch};

const KNOBS: [(&str, &str); 4] = [("events", "6000"), ("partitions", "2"), ("seed", "7"), ("malformed", "0.01")];

/// All payloads of each file, in order.
fn written() -> Vec<Vec<Vec<u8>>> {
    let folder = scratch();
    generate(&dataflow("sensors"), folder.path(), &KNOBS);
    let payloads = |path: std::path::PathBuf| {
        let file = File::open(&path).expect("it was written");
        let length = file.metadata().expect("it has a length").len();
        let mut reader = CaptureReader::open(minuet::connect::files::Input::new(file, "generated", length), None)
            .expect("it is a capture");
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry(Vec::new()).expect("it is whole") {
            let Framing::Payloads(spans) = &entry.framing else { panic!("{:?}", entry.framing) };
            let of = |start: u32, len: u32| entry.bytes[start as usize..][..len as usize].to_vec();
            found.extend(spans.iter().map(|span| of(span.start, span.len)));
        }
        found
    };
    files(folder.path(), &[".events"]).into_iter().map(payloads).collect()
}

async fn subscribe(connection: &mut Connection, log: &str) {
    let subscribe = CommandSubscribe {
        topic: log.to_owned(),
        subscription: "reader".to_owned(),
        consumer_id: 1,
        durable: Some(true),
        initial_position: Some(1),
        ..CommandSubscribe::default()
    };
    let command = BaseCommand { subscribe: Some(subscribe), ..of_type(Type::Subscribe) };
    connection.request(command).await.expect("the topic is there");
    let flow = CommandFlow { consumer_id: 1, message_permits: 1_000_000 };
    let mut frames = Vec::new();
    frame(&BaseCommand { flow: Some(flow), ..of_type(Type::Flow) }, &mut frames);
    connection.write(&frames).await.expect("it is connected");
}

/// The first payloads of a partition, as many as are expected, and how many entries they took.
async fn read(client: &Client, log: &str, expected: usize) -> (Vec<Vec<u8>>, usize) {
    let mut connection = client.connect(log).await.expect("the broker is there");
    subscribe(&mut connection, log).await;
    let (mut found, mut entries, mut room, mut spans) = (Vec::new(), 0, Vec::new(), Vec::new());
    while found.len() < expected {
        let came = tokio::time::timeout(Duration::from_secs(30), connection.next());
        if let Frame::Message { payload, .. } = came.await.expect("all was sent").expect("the broker stays") {
            open(payload, &mut room, &mut spans).expect("it is a good entry");
            found.extend(spans.iter().map(|span| room[span.start as usize..][..span.len as usize].to_vec()));
            entries += 1;
        }
    }
    (found, entries)
}

#[test]
fn a_topic_holds_what_files_would() {
    let expected = written();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    for (compression, batch, entries) in [
        ("lz4", "1000", 3),
        ("zstd", "5", 600),
        ("zlib", "400", 9),
        ("snappy", "999", 6),
        ("none", "1", 3_000),
        ("lz4", "1", 3_000),
    ] {
        let topic = Topic::make(Broker::shared(), &format!("gen-{compression}-{batch}"), 2);
        topic.subscribe("reader");
        let (folder, url) = (dataflow("sensors").display().to_string(), topic.url());
        let mut arguments = vec!["gen", &folder, "--to", &url, "--batch", batch, "--compression", compression];
        let knobs = KNOBS.map(|(flag, value)| format!("--{flag}={value}"));
        arguments.extend(knobs.iter().map(String::as_str));
        arguments.push("--register-schema");
        run(&arguments).demand(0);
        let client =
            Client::new(url.parse().expect("it is an address"), Security::default()).expect("no TLS is needed");
        assert_eq!(runtime.block_on(client.partitions()), Ok(2));
        for (log, expected) in topic.logs().iter().zip(&expected) {
            let (found, count) = runtime.block_on(read(&client, log, expected.len()));
            assert!(found == *expected, "{compression} in batches of {batch}: {log} holds other payloads");
            assert_eq!(count, entries, "{compression} in batches of {batch}");
        }
    }
}

/// The whole way of a user without events: generated into a topic, run from there, and the rows are those of the oracle, which has
/// read the same events from files.
#[test]
fn what_is_generated_into_a_topic_comes_to_the_rows_of_the_oracle() {
    let own = [("seed", "15"), ("events", "40000"), ("sources", "200"), ("rate", "50"), ("partitions", "4")];
    let trouble = [("out-of-order", "0.2"), ("late", "0.02"), ("malformed", "0.005")];
    let knobs = [&own[..], &trouble].concat();
    let input = Input::generate("sensors", &knobs);
    for (batch, compression, shape) in [(50, "zstd", Shape::new(2, 1)), (1_000, "lz4", Shape::new(1, 2))] {
        let topic = Topic::make(Broker::shared(), &format!("gen-run-{batch}"), 4);
        topic.subscribe("sensors");
        let (folder, batches) = (dataflow("sensors").display().to_string(), batch.to_string());
        let mut arguments =
            vec!["gen".to_owned(), folder, "--to".to_owned(), topic.url(), "--register-schema".to_owned()];
        let how = [("batch", batches.as_str()), ("compression", compression)];
        arguments.extend(knobs.iter().chain(&how).map(|(flag, value)| format!("--{flag}={value}")));
        run(arguments).demand(0);
        let expected = input.expected(batch);
        assert!(expected.summary["late"] > 0 && expected.summary["malformed"] > 0, "{:?}", expected.summary);
        let place = scratch();
        Follower::new(input.dataflow(), &topic, place.path()).demand(shape, &expected, &format!("batches of {batch}"));
    }
}

#[test]
fn what_the_java_client_compresses_is_opened() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let payload = "the same words again and again and again and again and again";
    for codec in ["LZ4", "ZLIB", "ZSTD", "SNAPPY"] {
        let topic = Topic::make(Broker::shared(), &format!("java-{}", codec.to_lowercase()), 0);
        topic.subscribe("reader");
        send_with_java(&topic, payload, 400, &["--compression", codec, "--batch-max-messages", "50"]);
        let client =
            Client::new(topic.url().parse().expect("an address"), Security::default()).expect("no TLS is needed");
        let (found, entries) = runtime.block_on(read(&client, &topic.logs()[0], 400));
        assert!(found.iter().all(|found| found == payload.as_bytes()), "{codec}: another payload");
        assert!(entries < found.len() / 2, "{codec}: {entries} entries of {} messages", found.len());
    }
}

#[test]
fn a_secure_topic_is_written_by_who_may() {
    let broker = Broker::start(Settings { secure: true, ..Settings::default() });
    let topic = Topic::make(&broker, "secure", 1);
    topic.subscribe("reader");
    let (folder, url) = (dataflow("sensors").display().to_string(), topic.tls_url());
    let roots = broker.secret("ca.pem").display().to_string();
    let send = |url: &str, more: &[&str]| {
        let plain = ["gen", &folder, "--to", url, "--events", "500", "--partitions", "1"];
        run(plain.iter().chain(more))
    };
    let token = |name: &str| broker.secret(name).display().to_string();
    send(&url, &["--pulsar-tls-roots", &roots, "--pulsar-token-file", &token("admin.jwt")]).demand(0);
    assert_eq!(topic.received(0), 500);
    for (more, words) in [
        (vec!["--pulsar-tls-roots", &roots], "AuthenticationError"),
        (vec!["--pulsar-tls-roots", &roots, "--pulsar-token-file", &token("stranger.jwt")], "AuthorizationError"),
        (vec!["--pulsar-token-file", &token("admin.jwt")], "agreeing on TLS"),
    ] {
        send(&url, &more).demand(78).demand_words(&[words]);
    }
    // Without TLS on the port that has it.
    let plain = send(&url.replace("pulsar+ssl", "pulsar"), &["--pulsar-token-file", &token("admin.jwt")]);
    assert!(plain.stderr.contains("TLS on this port"), "{}", plain.stderr);
    assert_eq!(topic.received(0), 500);
}
