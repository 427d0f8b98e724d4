use pulsar::message::proto::ServerError;
use pulsar_double::{Double, Fault, Settings};

use super::*;
use crate::connect::pulsar::connection::tests::client;
use crate::connect::pulsar::security::Auth;

const TOPIC: &str = "persistent://t/n/x";

#[tokio::test]
async fn partitions_are_counted() {
    let double = Double::start(Settings::default());
    let it = client(&double, Auth::None);
    let failed = it.partitions().await.expect_err("there is no such topic");
    assert_eq!(failed.cause, Cause::Refused(ServerError::TopicNotFound));
    assert!(failed.lasts() && failed.words.contains(TOPIC), "{failed}");
    double.create_topic(TOPIC, 3);
    assert_eq!(it.partitions().await, Ok(3));
    let alone = Double::start(Settings::default());
    alone.create_topic(TOPIC, 0);
    assert_eq!(client(&alone, Auth::None).partitions().await, Ok(0));
}

#[tokio::test]
async fn every_connect_looks_the_owner_up_and_follows_where_it_is_sent() {
    let double = Double::start(Settings::default());
    double.create_topic(TOPIC, 0);
    let it = client(&double, Auth::None);
    it.connect(TOPIC).await.unwrap();
    assert_eq!(double.record().kinds(1), [Type::Connect, Type::Lookup]);
    double.plan(None, Fault::Redirected(None), 3);
    it.connect(TOPIC).await.unwrap();
    assert_eq!(double.record().count(Type::Lookup), 1 + 4);
    let asked = double.record();
    let last = asked.of(Type::Lookup).last().unwrap().command.lookup_topic.clone().unwrap();
    assert_eq!((last.topic.as_str(), last.authoritative), (TOPIC, Some(true)));
}

#[tokio::test]
async fn being_sent_round_in_circles_ends() {
    let double = Double::start(Settings::default());
    double.create_topic(TOPIC, 0);
    double.plan(None, Fault::Redirected(None), pulsar_double::ALWAYS);
    let Err(failed) = client(&double, Auth::None).connect(TOPIC).await else { panic!("it never arrives") };
    assert!(failed.words.contains("from broker to broker 20 times"), "{failed}");
    assert_eq!(double.record().count(Type::Lookup), 21);
}

#[tokio::test]
async fn an_owner_behind_a_proxy_is_reached_through_it() {
    let double = Double::start(Settings::default());
    double.create_topic(TOPIC, 0);
    double.plan(None, Fault::Proxied("pulsar://behind:6650".to_owned()), 1);
    client(&double, Auth::None).connect(TOPIC).await.unwrap();
    let record = double.record();
    let said: Vec<_> = record.of(Type::Connect).map(|asked| asked.command.connect.clone().unwrap()).collect();
    assert_eq!(said[1].proxy_to_broker_url.as_deref(), Some("behind:6650"));
}

#[tokio::test]
async fn the_next_broker_is_asked_where_one_does_not_answer() {
    let (dead, double) = (Double::start(Settings::default()), Double::start(Settings::default()));
    double.create_topic(TOPIC, 2);
    dead.refuse_connections();
    let address = format!("pulsar://127.0.0.1:{},127.0.0.1:{}/t/n/x", dead.port(), double.port());
    let it = Client::new(address.parse().unwrap(), Security::default()).unwrap();
    assert_eq!(it.partitions().await, Ok(2));
    double.refuse_connections();
    let failed = it.partitions().await.expect_err("nobody is there");
    assert_eq!(failed.cause, Cause::Unreachable);
    let both = [dead.port(), double.port()].map(|port| failed.words.contains(&port.to_string()));
    assert!(both == [true, true] && !failed.lasts(), "{failed}");
}
