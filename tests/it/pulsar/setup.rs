//! What the other tests stand on, tried alone: the broker, its administration, the three producers.

use pulsar::message::proto::CompressionType;

use super::broker::{Broker, Settings};
use super::clients::{receive_with_java, send_with_java, send_with_rust};
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

/// Our sender's entries are those of the protocol, not of our own reading of it: the Java client unpacks them, too.
#[test]
fn the_java_client_reads_what_the_sender_writes() {
    let topic = Topic::make(Broker::shared(), "manners", 0);
    topic.subscribe("reader");
    let mut sender = Sender::open(topic.broker, &topic.logs()[0]);
    let manners = Manner::every_codec(Framing::Batch).into_iter().chain(Manner::every_codec(Framing::Alone));
    manners.for_each(|manner| match manner.framing {
        Framing::Batch => sender.send(&["a payload", "", "a payload like the first"], &manner),
        Framing::Alone => sender.send(&["alone"], &manner),
    });
    assert_eq!(sender.finish().len(), 10);
    receive_with_java(&topic, "reader", 20);
}

fn send_unbatched(topic: &Topic<'_>, count: usize) -> Vec<(u64, u64)> {
    let mut sender = Sender::open(topic.broker, &topic.logs()[0]);
    (0..count).for_each(|_| sender.send(&["alone"], &Manner { framing: Framing::Alone, ..Manner::default() }));
    sender.finish()
}

#[test]
fn a_secure_broker_is_killed_and_stopped_and_comes_back_with_its_data() {
    let broker = Broker::start(Settings { lines: &[], secure: true });
    let topic = Topic::make(&broker, "killed", 0);
    topic.subscribe("reader");
    send_unbatched(&topic, 15);
    broker.kill();
    broker.start_again();
    send_with_rust(&topic, &[vec![b"within TLS".to_vec(); 25]], 10);
    broker.stop();
    broker.start_again();
    assert_eq!(topic.backlog(0, "reader"), 18);
}

#[test]
fn a_topic_is_operated() {
    let mut topic = Topic::make(Broker::shared(), "operated", 1);
    assert!(topic.url().ends_with("/it/operated/events"));
    topic.retain(0, 0);
    topic.subscribe("reader");
    topic.register(r#"{"type": "record", "name": "R", "fields": []}"#);
    let positions = send_unbatched(&topic, 1_200);
    let (first, last) = (positions[0].0 as i64, positions[1_199].0 as i64);
    assert!(first < last, "the ledger rolls over: {first}, {last}");
    assert_eq!(topic.mark_delete(0, "reader").1, -1);
    topic.skip_all(0, "reader");
    assert_eq!(topic.mark_delete(0, "reader"), (last, positions[1_199].1 as i64));
    // That writes the cursor down, by which trimming goes.
    topic.unload();
    topic.trim(0);
    assert!(!topic.ledgers(0).contains(&first), "{:?}", topic.ledgers(0));
    topic.grow(3);
    assert_eq!(topic.logs().len(), 3);
    assert_eq!(topic.backlog(2, "reader"), 0);
    topic.unsubscribe("reader");
}
