//! Producers of other hands: the Rust client's and the Java client's, so that minuet reads what others write.

use std::collections::VecDeque;
use std::fs;

use pulsar::producer::SendFuture;
use pulsar::{Authentication, Pulsar, TokioExecutor};

use super::broker::Broker;
use super::topic::Topic;
use crate::harness::{Running, scratch};

/// Messages that the Rust client may have on the way, unbatched.
const SENDS: usize = 50;

/// Sends with the Rust client: partition by partition, all in order, in batches of so many (0: unbatched).
pub(super) fn send_with_rust(topic: &Topic<'_>, logs: &[Vec<Vec<u8>>], batch: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = rust_client(topic.broker).await;
        for (name, payloads) in topic.logs().into_iter().zip(logs) {
            let batch_size = (batch > 0).then_some(batch);
            let options = pulsar::ProducerOptions { batch_size, ..Default::default() };
            let builder = client.producer().with_topic(name).with_options(options);
            let mut producer = builder.build().await.expect("a producer can be had");
            let mut receipts: VecDeque<SendFuture> = VecDeque::new();
            for payload in payloads {
                // It refuses to queue more than a hundred sends.
                if receipts.len() >= SENDS.max(3 * batch as usize) {
                    receipts.pop_front().expect("there are some").await.expect("the broker acknowledges");
                }
                receipts.push_back(producer.send_non_blocking(payload.clone()).await.expect("a message can be sent"));
            }
            if batch > 0 {
                producer.send_batch().await.expect("the last batch can be sent");
            }
            for receipt in receipts {
                receipt.await.expect("the broker acknowledges");
            }
        }
    });
}

/// A client of a broker; within TLS and with a token, where the broker has them.
async fn rust_client(broker: &Broker) -> Pulsar<TokioExecutor> {
    let builder = match broker.token() {
        None => Pulsar::builder(format!("pulsar://127.0.0.1:{}", broker.port()), TokioExecutor),
        Some(token) => Pulsar::builder(format!("pulsar+ssl://localhost:{}", broker.tls_port()), TokioExecutor)
            .with_auth(Authentication { name: "token".to_owned(), data: token.into_bytes() })
            .with_certificate_chain_file(broker.secret("ca.pem"))
            .expect("the CA's certificate can be read"),
    };
    builder.build().await.expect("the broker is there")
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

/// Lets the Java client receive so many messages of a subscription; demands that they come and can be unpacked.
pub(super) fn receive_with_java(topic: &Topic<'_>, subscription: &str, count: u64) {
    let (name, count) = (topic.full_name(), count.to_string());
    let arguments = ["consume", "--num-messages", &count, "--subscriptions", subscription, &name];
    let ended = Running::start(&mut topic.broker.perf(&arguments)).end().demand(0);
    assert!(ended.stdout.contains(&format!("{count} records received")), "{}", ended.stdout);
}
