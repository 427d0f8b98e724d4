//! A double with a topic, and clients of it.

use pulsar_double::client::Client;
use pulsar_double::{Double, Message, Position, Settings, Shape};

/// The topic of the tests.
pub(crate) const TOPIC: &str = "persistent://public/default/t";
/// Its subscription.
pub(crate) const SUB: &str = "s";

/// A double with the topic, and entries of `messages` messages each in it.
pub(crate) fn double(settings: Settings, entries: usize, messages: usize) -> (Double, Vec<Position>) {
    let double = Double::start(settings);
    double.create_topic(TOPIC, 0);
    double.create_subscription(TOPIC, SUB);
    let positions = fill(&double, entries, messages);
    (double, positions)
}

/// More entries.
pub(crate) fn fill(double: &Double, entries: usize, messages: usize) -> Vec<Position> {
    let of = |n: usize| (0..messages).map(|m| Message::of(format!("{n}.{m}"))).collect::<Vec<_>>();
    (0..entries).map(|n| double.append(TOPIC, &Shape::default().entry(&of(n)))).collect()
}

pub(crate) fn dial(double: &Double) -> Client {
    Client::dial(double.port(), TOPIC, SUB)
}

pub(crate) fn connected(double: &Double) -> Client {
    Client::connect(double.port(), TOPIC, SUB)
}

pub(crate) fn consumer(double: &Double) -> Client {
    Client::consumer(double.port(), TOPIC, SUB)
}
