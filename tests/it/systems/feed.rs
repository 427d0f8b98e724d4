//! Events sent while they are read and while blows fall: all partitions side by side, at a steady rate, some entries always in flight.

use std::thread;
use std::time::{Duration, Instant};

use super::stage::ENTRY;
use crate::pulsar::input::Input;
use crate::pulsar::sender::{Manner, Sender};
use crate::pulsar::topic::Topic;

/// Entries of each partition whose receipts are not read: a blow finds some that are stored or on their way, and nobody knows which.
const IN_FLIGHT: u64 = 4;

/// Sends all of an input, over about this time; gives how often senders had to go on after the broker had closed a partition or was
/// away.
pub(super) fn send(topic: &Topic<'_>, input: &Input, over: Duration) -> u64 {
    thread::scope(|scope| {
        let logs = topic.logs().into_iter().zip(&input.logs);
        let all: Vec<_> =
            logs.map(|(log, payloads)| scope.spawn(move || send_one(topic, &log, payloads, over))).collect();
        all.into_iter().map(|one| one.join().expect("all is sent")).sum()
    })
}

fn send_one(topic: &Topic<'_>, log: &str, payloads: &[Vec<u8>], over: Duration) -> u64 {
    let mut sender = Sender::open(topic.broker, log).with_in_flight(IN_FLIGHT);
    let (since, entries) = (Instant::now(), payloads.chunks(ENTRY));
    let each = over / entries.len().max(1) as u32;
    for (number, entry) in entries.enumerate() {
        thread::sleep((each * number as u32).saturating_sub(since.elapsed()));
        sender.send(entry, &Manner::default());
    }
    sender.settle();
    sender.interrupted()
}
