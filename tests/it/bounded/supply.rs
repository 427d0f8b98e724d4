//! A source without end that costs no memory: an entry is made when it is asked for. Partitions can be stalled, and a slot's
//! thread can be made to stand still inside of a call.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use minuet::connect::memory::payload_entry;
use minuet::dataflow::edges::{Entry, Next, Partition, Reader, Source, Start, Wake};
use minuet::error::Result;
use minuet::snapshot::{PartitionCut, Position};

use crate::harness::DEADLINE;

/// Sources of every entry: one event each.
pub(super) const KEYS: i64 = 64;

/// Bytes of an event's text.
pub(super) const TEXT_BYTES: usize = 4_096;

/// How often the slots are woken while it is waited for.
const NUDGE: Duration = Duration::from_millis(5);

/// Wakes without anything being read after which reading counts as stopped.
const QUIET: u32 = 60;

/// What one partition has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    /// The minute of its first entry.
    pub(super) first: i64,
    /// Minutes from one entry to the next.
    pub(super) step: i64,
    /// Entries until it ends.
    pub(super) entries: u64,
}

/// Where a partition stands.
struct Standing {
    track: Track,
    given: u64,
    /// Entries that it gives before it says `Waiting`.
    reachable: u64,
    /// Whoever asks for its next entry does not come back.
    stuck: bool,
    /// Somebody has asked and does not come back.
    stands_still: bool,
}

#[derive(Default)]
struct State {
    partitions: Vec<Standing>,
    wakes: Vec<Wake>,
}

/// The source; clones share its partitions.
#[derive(Clone, Default)]
pub(super) struct Supply {
    state: Arc<Mutex<State>>,
    freed: Arc<Condvar>,
}

impl Supply {
    pub(super) fn new(tracks: &[Track]) -> Self {
        let standing = |track: &Track| Standing {
            track: *track,
            given: 0,
            reachable: u64::MAX,
            stuck: false,
            stands_still: false,
        };
        let supply = Supply::default();
        supply.lock().partitions = tracks.iter().map(standing).collect();
        supply
    }

    /// Lets a partition give its first `entries` only, until it is called with more.
    pub(super) fn stall_after(&self, partition: usize, entries: u64) {
        self.lock().partitions[partition].reachable = entries;
        self.wake();
    }

    /// Makes the slot that asks for this partition's next entry stand still, or go on.
    pub(super) fn stick(&self, partition: usize, stuck: bool) {
        self.lock().partitions[partition].stuck = stuck;
        self.freed.notify_all();
    }

    /// Whether a slot stands still at this partition.
    pub(super) fn stands_still(&self, partition: usize) -> bool {
        self.lock().partitions[partition].stands_still
    }

    /// Entries that a partition gave.
    pub(super) fn given(&self, partition: usize) -> u64 {
        self.lock().partitions[partition].given
    }

    /// Entries that all partitions gave.
    pub(super) fn given_by_all(&self) -> u64 {
        self.lock().partitions.iter().map(|standing| standing.given).sum()
    }

    /// Waits until no more is taken, though the slots are woken and there is more.
    pub(super) fn still(&self) {
        let (mut last, mut quiet) = (0, 0);
        while quiet < QUIET {
            self.nudge();
            let given = self.given_by_all();
            quiet = if given == last { quiet + 1 } else { 0 };
            last = given;
        }
    }

    /// Waits until `seen` holds.
    pub(super) fn until(&self, what: &str, seen: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !seen() {
            assert!(Instant::now() < end, "nothing came of {what}: {} entries were given", self.given_by_all());
            self.nudge();
        }
    }

    fn nudge(&self) {
        self.wake();
        thread::sleep(NUDGE);
    }

    fn wake(&self) {
        let wakes = self.lock().wakes.clone();
        wakes.iter().for_each(|wake| wake());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Source for Supply {
    fn partitions(&self) -> Result<Vec<Partition>> {
        let partition = |number: usize| Partition { name: format!("part-{number}"), identity: String::new() };
        Ok((0..self.lock().partitions.len()).map(partition).collect())
    }

    fn resume(&self, _cut: &[PartitionCut]) -> Result<()> {
        Ok(())
    }

    fn open(&self, _starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        self.lock().wakes.push(wake);
        Ok(Box::new(self.clone()))
    }
}

impl Reader for Supply {
    fn next(&mut self, partition: u32) -> Result<Next> {
        let at = partition as usize;
        let stuck = |state: &mut State| {
            let standing = &mut state.partitions[at];
            standing.stands_still = standing.stuck;
            standing.stuck
        };
        let mut state = self.freed.wait_while(self.lock(), stuck).unwrap();
        let standing = &mut state.partitions[at];
        if standing.given == standing.track.entries {
            return Ok(Next::Ended);
        }
        if standing.given >= standing.reachable {
            return Ok(Next::Waiting);
        }
        standing.given += 1;
        let (number, track) = (standing.given - 1, standing.track);
        drop(state);
        Ok(Next::Entry(entry(number, track.first + number as i64 * track.step)))
    }

    fn acknowledge(&mut self, _partition: u32, _position: Position) {}
}

/// An event of each source in one minute.
fn entry(number: u64, minute: i64) -> Entry {
    let payload = |key: i64| {
        let mut bytes = Vec::with_capacity(TEXT_BYTES + 16);
        long(key, &mut bytes);
        long(minute * 60_000 + 30_000 + key, &mut bytes);
        long(TEXT_BYTES as i64, &mut bytes);
        // Texts differ from entry to entry, so that each replaces the one before.
        bytes.resize(bytes.len() + TEXT_BYTES, b'a' + (number % 26) as u8);
        bytes
    };
    payload_entry(number, &(0..KEYS).map(payload).collect::<Vec<_>>(), None)
}

/// An Avro long that is not negative: doubled, seven bits a byte, low ones first.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut left = (value << 1).cast_unsigned();
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
