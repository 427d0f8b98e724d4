//! Events sent while they are read: all partitions side by side, a few entries at a time.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::stage::ENTRY;
use crate::pulsar::input::Input;
use crate::pulsar::sender::{Manner, Sender};
use crate::pulsar::topic::Topic;

/// Entries of each partition that are sent at a time.
const BURST: usize = 4;

/// Whoever strikes the broker takes turns with who sends. An entry whose receipt is lost may be stored or not: then nobody would know
/// what the rows must be.
#[derive(Default)]
pub(super) struct Feed {
    turn: Mutex<()>,
}

impl Feed {
    /// Sends all of an input, over about this time.
    pub(super) fn send(&self, topic: &Topic<'_>, input: &Input, over: Duration) {
        let mut logs: Vec<_> = input.logs.iter().map(|payloads| payloads.chunks(BURST * ENTRY)).collect();
        let bursts = logs.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        for _ in 0..bursts {
            self.between(|| {
                for (log, rest) in topic.logs().iter().zip(&mut logs) {
                    let Some(burst) = rest.next() else { continue };
                    let mut sender = Sender::open(topic.broker, log);
                    burst.chunks(ENTRY).for_each(|entry| sender.send(entry, &Manner::default()));
                    sender.finish();
                }
            });
            thread::sleep(over / bursts as u32);
        }
    }

    /// Does something while nothing is on its way to the broker.
    pub(super) fn between(&self, act: impl FnOnce()) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        act();
        drop(turn);
    }
}
