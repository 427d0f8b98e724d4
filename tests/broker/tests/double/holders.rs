//! Who holds a subscription, and what becomes of the next one who asks.

use std::time::{Duration, Instant};

use pulsar_double::proto::ServerError;
use pulsar_double::{Settings, Type};

use crate::setting::{SUB, TOPIC, connected, consumer, double};
use pulsar_double::client::subscribe;

fn quick() -> Settings {
    Settings { liveness: Duration::from_millis(400), ..Settings::default() }
}

#[test]
fn a_holder_who_answers_keeps_the_subscription() {
    let (double, _) = double(quick(), 1, 1);
    let mut holder = consumer(&double);
    let mut other = connected(&double);
    other.send(&[subscribe(TOPIC, SUB, 2)]);
    assert_eq!(holder.receive(Duration::from_millis(100)).unwrap_err(), "silence");
    assert_eq!(other.answer().unwrap().error.unwrap().error, ServerError::ConsumerBusy as i32);
    assert_eq!(holder.subscribe(1), Ok(()), "the same one again");
    assert_eq!(holder.subscribe(2), Err(ServerError::ConsumerBusy));
}

#[test]
fn a_holder_who_is_silent_loses_its_connection() {
    let (double, positions) = double(quick(), 3, 1);
    let mut holder = consumer(&double);
    let mut other = connected(&double);
    let begun = Instant::now();
    other.subscribe(1).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(390));
    assert_eq!(holder.expect_end(), "closed");
    other.flow(10);
    assert_eq!(other.positions(), positions);
}

#[test]
fn a_half_open_holder_loses_it_and_is_not_told() {
    let (double, positions) = double(quick(), 3, 1);
    let mut holder = consumer(&double);
    double.half_open();
    holder.flow(10);
    assert_eq!(holder.positions(), [], "nothing is read, nothing sent");
    let mut other = consumer(&double);
    other.flow(10);
    assert_eq!(other.positions(), positions);
    assert_eq!(holder.receive(Duration::from_millis(100)).unwrap_err(), "silence", "its socket is open still");
}

#[test]
fn a_dead_holder_is_gone_at_once() {
    let (double, _) = double(Settings::default(), 1, 1);
    drop(consumer(&double));
    let begun = Instant::now();
    consumer(&double);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_stranger_holds_as_long_as_he_likes() {
    let (double, _) = double(Settings::default(), 1, 1);
    double.hold(TOPIC, SUB);
    let mut client = connected(&double);
    client.look_up();
    for _ in 0..3 {
        assert_eq!(client.subscribe(1), Err(ServerError::ConsumerBusy));
    }
    double.let_go(TOPIC, SUB);
    client.subscribe(1).unwrap();
    assert_eq!(double.record().count(Type::Subscribe), 4);
}
