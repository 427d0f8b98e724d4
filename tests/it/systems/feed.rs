//! Events sent while they are read and while blows fall: all partitions side by side, at a steady rate, some entries always in flight.

use std::thread;
use std::time::{Duration, Instant};

use crate::pulsar::sender::{Manner, Sender};
use crate::pulsar::topic::Topic;

/// Entries of each partition whose receipts are not read, at the least: a blow finds some that are stored or on their way, and nobody
/// knows which.
const IN_FLIGHT_MIN: u64 = 4;

/// The same at the most.
const IN_FLIGHT_MAX: u64 = 100;

/// What became of it.
pub(super) struct Fed {
    /// How long it took.
    pub(super) took: Duration,
    /// How often senders had to go on after the broker had closed a partition or was away.
    pub(super) interrupted: u64,
}

/// Sends the entries of each partition, evenly over this time as far as the broker takes them.
pub(super) fn send<E, P>(topic: &Topic<'_>, logs: Vec<impl ExactSizeIterator<Item = E> + Send>, over: Duration) -> Fed
where
    E: AsRef<[P]>,
    P: AsRef<[u8]>,
{
    let since = Instant::now();
    let interrupted = thread::scope(|scope| {
        let logs = topic.logs().into_iter().zip(logs);
        let all: Vec<_> =
            logs.map(|(log, entries)| scope.spawn(move || send_one(topic, &log, entries, over))).collect();
        all.into_iter().map(|one| one.join().expect("all is sent")).sum()
    });
    Fed { took: since.elapsed(), interrupted }
}

fn send_one<E, P>(topic: &Topic<'_>, log: &str, entries: impl ExactSizeIterator<Item = E>, over: Duration) -> u64
where
    E: AsRef<[P]>,
    P: AsRef<[u8]>,
{
    let count = entries.len().max(1) as u32;
    // No more than what is sent in half a second: who reads no receipts answers no ping either.
    let half_a_second = (f64::from(count) / over.as_secs_f64() / 2.0) as u64;
    let in_flight = half_a_second.clamp(IN_FLIGHT_MIN, IN_FLIGHT_MAX);
    let mut sender = Sender::open(topic.broker, log).with_in_flight(in_flight);
    let since = Instant::now();
    for (number, entry) in entries.enumerate() {
        thread::sleep(over.mul_f64(number as f64 / f64::from(count)).saturating_sub(since.elapsed()));
        sender.send(entry.as_ref(), &Manner::default());
    }
    sender.settle();
    sender.interrupted()
}
