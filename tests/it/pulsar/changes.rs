//! What a topic's operator does while it is read: old data goes, the schema changes, other kinds of messages appear.

use pulsar::message::proto::{EncryptionKeys, MessageMetadata};

use super::broker::Broker;
use super::follower::Follower;
use super::input::{Input, copied};
use super::sender::{Manner, Sender};
use super::topic::Topic;
use crate::harness::{Running, Shape, scratch};

/// Messages of an entry.
const ENTRY: usize = 20;

/// The exit code of a run whose data is not there.
const DATA: i32 = 65;

/// The exit code of a run that is told the wrong things.
const CONFIGURATION: i32 = 78;

#[test]
fn trimmed_data_is_refused_and_a_gap_is_gone_over_on_request() {
    let input = Input::backlog("1");
    let topic = Topic::make(Broker::shared(), "trimmed", 1);
    topic.subscribe("sensors");
    input.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    let follower = Follower::new(input.dataflow(), &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 1));
    follower.commits(&mut cluster);
    let before = follower.stop(cluster);
    assert!(before < 150_000, "{before} messages are too many to have read by now");
    let ledgers = topic.ledgers(0);
    topic.skip_all(0, "sensors");
    topic.unload();
    topic.trim(0);
    let left = topic.ledgers(0);
    assert!(left.len() < ledgers.len() / 2, "{left:?} is left of {ledgers:?}");
    // What comes after the gap.
    let later = Input::generate(
        "sensors",
        &[("seed", "31"), ("events", "4000"), ("rate", "20"), ("partitions", "1"), ("start", "2026-01-02T00:00:00Z")],
    );
    later.send(&topic, ENTRY, &[Manner::default()]);
    let refused = Running::start(&mut follower.pipeline.command(2)).end().demand(DATA);
    refused.demand_words(&["--accept-gap"]);
    let follower = follower.with(&["--accept-gap"]);
    let mut cluster = follower.start(Shape::new(1, 1));
    let expected = later.expected(ENTRY).rows;
    let after =
        || -> Vec<String> { follower.pipeline.rows().into_iter().filter(|row| row.contains("2026-01-02")).collect() };
    cluster.process(0).until("the rows after the gap", || after() == expected);
    // Rows are there before their commit is.
    cluster.process(0).until("their commit", || follower.has_committed(before + 4_000));
    assert_eq!(follower.stop(cluster), before + 4_000);
}

/// The first commit of a topic without a message says where each partition begins, so what somebody skips later is read all the same.
#[test]
fn what_is_skipped_while_nothing_was_read_yet_is_not_lost() {
    let topic = Topic::make(Broker::shared(), "unread", 2);
    let place = scratch();
    let follower = Follower::new(&copied("sensors", place.path(), "1s"), &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 1));
    follower.commits(&mut cluster);
    assert_eq!(follower.stop(cluster), 0);
    let newest = follower.pipeline.newest().expect("it has committed");
    let cuts = newest["cut"].as_array().expect("a manifest has a cut");
    assert!(cuts.len() == 2 && cuts.iter().all(|cut| cut["position"].is_array()), "{newest}");
    let input = Input::generate("sensors", &[("seed", "37"), ("events", "2000"), ("rate", "20"), ("partitions", "2")]);
    input.send(&topic, ENTRY, &[Manner::default()]);
    (0..2).for_each(|partition| topic.skip_all(partition, "sensors"));
    let mut cluster = follower.start(Shape::new(1, 2));
    let read = || follower.counts().get("read") == Some(&2_000);
    cluster.process(0).until("all that was skipped", read);
    follower.stop(cluster);
}

#[test]
fn partitions_are_added() {
    let generate = |seed, partitions, start| {
        let settings = [("seed", seed), ("events", "12000"), ("sources", "100"), ("rate", "50"), ("start", start)];
        Input::generate("sensors", &[&settings[..], &[("partitions", partitions)]].concat())
    };
    let before = generate("32", "2", "2026-01-01T00:00:00Z");
    let after = generate("36", "4", "2026-01-02T00:00:00Z");
    let mut topic = Topic::make(Broker::shared(), "grown", 2);
    topic.subscribe("sensors");
    before.send(&topic, ENTRY, &[Manner::default()]);
    let place = scratch();
    // A silence counts only after the new partitions must have been found: the clock would make what is added late.
    let follower = Follower::new(&copied("sensors", place.path(), "60s"), &topic, place.path());
    let mut cluster = follower.start(Shape::new(2, 2));
    follower.commits(&mut cluster);
    topic.grow(4);
    cluster.process(0).until("a run with the new partitions", || follower.pipeline.attempt() == 2);
    after.send(&topic, ENTRY, &[Manner::default()]);
    let mut expected = [before.expected(ENTRY).rows, after.expected(ENTRY).rows].concat();
    expected.sort();
    cluster.process(0).until("the rows of all partitions", || follower.pipeline.rows() == expected);
    follower.stop(cluster);
}

/// Two versions of a schema, entry by entry; the newer one has a field more, at the end.
#[test]
fn the_schema_changes_in_the_middle() {
    let input = Input::generate(
        "sensors",
        &[("seed", "33"), ("events", "20000"), ("sources", "100"), ("rate", "50"), ("partitions", "2")],
    );
    let topic = Topic::make(Broker::shared(), "schemas", 2);
    topic.subscribe("sensors");
    let old = std::fs::read_to_string(input.dataflow().join("schema.avsc")).unwrap();
    let mut new: serde_json::Value = serde_json::from_str(&old).unwrap();
    let more = serde_json::json!({ "name": "later", "type": ["null", "string"], "default": null });
    new["fields"].as_array_mut().unwrap().push(more);
    topic.register(&old);
    topic.register(&new.to_string());
    for (log, payloads) in topic.logs().iter().zip(&input.logs) {
        let mut sender = Sender::open(topic.broker, log);
        for (number, entry) in payloads.chunks(ENTRY).enumerate() {
            let version = number as u64 % 2;
            // The branch null of the new field is a zero.
            let longer = |payload: &Vec<u8>| if version == 1 { [&payload[..], &[0]].concat() } else { payload.clone() };
            let entry: Vec<Vec<u8>> = entry.iter().map(longer).collect();
            sender.send(&entry, &Manner { schema_version: Some(version), ..Manner::default() });
        }
        sender.finish();
    }
    let place = scratch();
    let follower = Follower::new(input.dataflow(), &topic, place.path());
    follower.demand(Shape::new(2, 1), &input.expected(ENTRY), "two versions of a schema");
}

fn demand_refused(name: &str, metadata: MessageMetadata, words: &[&str]) {
    let topic = Topic::make(Broker::shared(), name, 0);
    topic.subscribe("sensors");
    let mut sender = Sender::open(topic.broker, &topic.logs()[0]);
    sender.send_raw(&metadata, b"0123456789", 1);
    sender.finish();
    let place = scratch();
    let follower = Follower::new(&crate::harness::dataflow("sensors"), &topic, place.path());
    Running::start(&mut follower.pipeline.command(1)).end().demand(DATA).demand_words(words);
}

fn plain() -> MessageMetadata {
    MessageMetadata { producer_name: "it".to_owned(), publish_time: 1, ..Default::default() }
}

#[test]
fn a_chunk_is_refused() {
    let (uuid, num_chunks_from_msg) = (Some("it-1".to_owned()), Some(2));
    let chunk =
        MessageMetadata { uuid, num_chunks_from_msg, chunk_id: Some(0), total_chunk_msg_size: Some(20), ..plain() };
    demand_refused("chunk", chunk, &["chunk"]);
}

#[test]
fn an_encrypted_message_is_refused() {
    let keys = vec![EncryptionKeys { key: "key".to_owned(), value: vec![1], ..Default::default() }];
    let encrypted = MessageMetadata { encryption_keys: keys, encryption_algo: Some("AES".to_owned()), ..plain() };
    demand_refused("encrypted", encrypted, &["encrypt"]);
}

#[test]
fn a_schema_of_another_type_is_refused_at_the_start() {
    let topic = Topic::make(Broker::shared(), "json", 2);
    let record = r#"{"type": "record", "name": "R", "fields": [{"name": "at", "type": "long"}]}"#;
    topic.register_as("JSON", record);
    let place = scratch();
    let follower = Follower::new(&crate::harness::dataflow("sensors"), &topic, place.path());
    let ended = Running::start(&mut follower.pipeline.command(2)).end().demand(CONFIGURATION);
    ended.demand_words(&["schema", "JSON", "not Avro", &topic.full_name()]);
    assert!(follower.pipeline.manifests().is_empty(), "a run that cannot begin claims nothing");
}
