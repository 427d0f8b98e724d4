use pulsar_double::{Double, Fault, Reply, Settings};

use super::*;
use crate::connect::pulsar::Frame;
use crate::connect::pulsar::connection::tests::{client, subscribe};
use crate::connect::pulsar::security::Auth;
use crate::connect::pulsar::wire::entry::open;

const TOPIC: &str = "persistent://t/n/x";

fn options(batch: u32, codec: Codec) -> Options {
    Options { batch, codec, window: 8, schema: None }
}

async fn send(producer: &mut Producer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        if producer.add(number.to_string().as_bytes()) {
            producer.ship(u64::from(number)).await.unwrap();
        }
    }
}

/// All numbers in the topic, in order, until one of them.
async fn numbers(double: &Double, last: u32) -> Vec<u32> {
    let mut connection = client(double, Auth::None).connect(TOPIC).await.unwrap();
    subscribe(&mut connection, TOPIC, 100_000).await;
    let (mut room, mut spans, mut found) = (Vec::new(), Vec::new(), Vec::new());
    while found.last() != Some(&last) {
        if let Frame::Message { payload, .. } = connection.next().await.unwrap() {
            open(payload, &mut room, &mut spans).unwrap();
            for span in &spans {
                let text = std::str::from_utf8(&room[span.start as usize..][..span.len as usize]).unwrap();
                found.push(text.parse().unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn what_is_sent_is_there_in_order_whatever_the_shape() {
    for (batch, codec) in [(1, Codec::None), (1, Codec::Lz4), (7, Codec::Zstd), (100, Codec::Lz4), (3, Codec::Snappy)] {
        let double = Double::start(Settings::default());
        double.create_topic(TOPIC, 0);
        let mut producer =
            Producer::create(&client(&double, Auth::None), TOPIC.into(), options(batch, codec)).await.unwrap();
        send(&mut producer, 0..1_000).await;
        assert!(producer.close(1_000).await.unwrap() > 2_890);
        assert_eq!(numbers(&double, 999).await, (0..1_000).collect::<Vec<_>>());
        assert_eq!(double.record().sends, u64::from(1_000_u32.div_ceil(batch)));
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again() {
    // Nobody has subscribed: without retention an unloaded topic would be empty.
    let double = Double::start(Settings { retain: true, ..Settings::default() });
    double.create_topic(TOPIC, 0);
    let mut producer =
        Producer::create(&client(&double, Auth::None), TOPIC.into(), options(5, Codec::Lz4)).await.unwrap();
    for round in 0..4 {
        send(&mut producer, round * 500..(round + 1) * 500).await;
        if round % 2 == 0 { double.disconnect() } else { double.unload(TOPIC) }
    }
    producer.close(0).await.unwrap();
    let mut found = numbers(&double, 1_999).await;
    // An entry may be there twice: the double does not deduplicate. None is missing.
    found.sort_unstable();
    found.dedup();
    assert!(found.iter().copied().eq(0..2_000), "{} of 2000 are there", found.len());
}

#[tokio::test]
async fn a_refusal_ends_it_where_trying_again_cannot_help() {
    let double = Double::start(Settings::default());
    let it = client(&double, Auth::None);
    let Err(failed) = Producer::create(&it, TOPIC.into(), options(1, Codec::None)).await else {
        panic!("no such topic")
    };
    assert!(failed.lasts(), "{failed}");
    double.create_topic(TOPIC, 0);
    let refused = Fault::Answer(Type::Send, Reply::Error(proto::ServerError::TopicTerminatedError));
    let mut producer = Producer::create(&it, TOPIC.into(), options(1, Codec::None)).await.unwrap();
    double.plan(None, refused, 1);
    producer.add(b"1");
    producer.ship(0).await.unwrap();
    let failed = producer.close(0).await.expect_err("the topic takes nothing any more");
    assert_eq!(failed.cause, Cause::Refused(proto::ServerError::TopicTerminatedError));
}

#[tokio::test]
async fn what_the_broker_would_not_take_is_not_sent() {
    let double = Double::start(Settings { max_message_size: 10_000, ..Settings::default() });
    double.create_topic(TOPIC, 0);
    let mut producer =
        Producer::create(&client(&double, Auth::None), TOPIC.into(), options(100, Codec::None)).await.unwrap();
    assert!(!producer.add(&[0; 100]));
    assert!(producer.add(&[0; 5_000]), "an entry of half of the limit is full");
    producer.ship(0).await.unwrap();
    producer.add(&[0; 10_000]);
    let failed = producer.ship(0).await.expect_err("it is too long");
    assert!(failed.lasts() && failed.words.contains("takes 10000"), "{failed}");
    producer.close(0).await.unwrap();
}
