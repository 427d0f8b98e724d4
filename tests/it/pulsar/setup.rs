//! What the other tests stand on, tried alone: the broker, its administration, the three producers.

use pulsar::message::proto::CompressionType;

use super::broker::{Broker, Settings};
use super::clients::{send_with_java, send_with_rust};
use super::sender::{Framing, Manner, Sender};
use super::topic::Topic;

#[test]
fn all_producers_reach_a_topic() {
    let topic = Topic::make(Broker::shared(), "producers", 2);
    topic.subscribe("reader");
    let logs = topic.logs();
    let mut sender = Sender::open(topic.broker, &logs[1]);
    sender.send(&["a", "b", "c"], &Manner::default());
    sender.send(&["d"], &Manner { framing: Framing::Alone, codec: CompressionType::None, schema_version: None });
    let positions = sender.finish();
    assert_eq!(positions[0].1 + 1, positions[1].1, "{positions:?}");
    let entries = || [0, 1].map(|partition| topic.backlog(partition, "reader"));
    assert_eq!(entries(), [0, 2]);
    let payloads = vec![b"x".to_vec(); 250];
    send_with_rust(&topic, &[payloads.clone(), payloads], 100);
    assert_eq!(entries(), [3, 5]);
    send_with_java(&topic, "payload", 2_000, &["--batch-max-messages", "50"]);
    let messages = topic.received(0) + topic.received(1);
    assert!(messages >= 2_504, "{messages}");
}

#[test]
fn a_broker_is_killed_and_comes_back_with_its_data() {
    let broker = Broker::start(Settings { lines: &["managedLedgerMaxEntriesPerLedger=10"], secure: true });
    let topic = Topic::make(&broker, "killed", 0);
    topic.subscribe("reader");
    let send = || {
        let mut sender = Sender::open(&broker, &topic.logs()[0]);
        (0..15).for_each(|_| sender.send(&["a", "b"], &Manner::default()));
        sender.finish()
    };
    send();
    broker.kill();
    broker.start_again();
    assert_eq!(send().len(), 15);
    assert_eq!(topic.backlog(0, "reader"), 30);
}
