//! Producers of other hands: the Rust client's and the Java client's, so that minuet reads what others write.

use std::fs;

use pulsar::{Pulsar, TokioExecutor};

use super::topic::Topic;
use crate::harness::{Running, scratch};

/// Sends with the Rust client: partition by partition, all in order, in batches of so many (0: unbatched).
pub(super) fn send_with_rust(topic: &Topic<'_>, logs: &[Vec<Vec<u8>>], batch: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("pulsar://127.0.0.1:{}", topic.broker.port());
        let client: Pulsar<_> = Pulsar::builder(url, TokioExecutor).build().await.expect("the broker is there");
        for (name, payloads) in topic.logs().into_iter().zip(logs) {
            let batch_size = (batch > 0).then_some(batch);
            let options = pulsar::ProducerOptions { batch_size, ..Default::default() };
            let builder = client.producer().with_topic(name).with_options(options);
            let mut producer = builder.build().await.expect("a producer can be had");
            let mut receipts = Vec::new();
            for payload in payloads {
                receipts.push(producer.send_non_blocking(payload.clone()).await.expect("a message can be sent"));
            }
            producer.send_batch().await.expect("the last batch can be sent");
            for receipt in receipts {
                receipt.await.expect("the broker acknowledges");
            }
        }
    });
}

/// Lets the Java client send one payload so many times, over all partitions, flat out. It takes ten seconds: most of them to start
/// and to end.
pub(super) fn send_with_java(topic: &Topic<'_>, payload: &str, count: u64, more: &[&str]) {
    let place = scratch();
    let file = place.path().join("payload");
    fs::write(&file, payload).unwrap();
    let (file, count) = (file.display().to_string(), count.to_string());
    let name = topic.full_name();
    let mut arguments = vec!["produce", "--payload-file", &file, "--num-messages", &count, "--rate", "100000"];
    arguments.extend(more);
    arguments.push(&name);
    Running::start(&mut topic.broker.perf(&arguments)).end().demand(0);
}
