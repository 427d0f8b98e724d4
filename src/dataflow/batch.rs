//! The one container that moves between operators: records as words, and how they are spread over slots.

use std::cell::RefCell;
use std::io::Write;

use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::progress::Stamp;

use super::wire;
use crate::aggregate::record;
use crate::limits::{BATCH_WORDS, SLOTS_MAX, SPENT_BUFFER_WORDS_MAX, SPENT_BUFFERS_MAX};
use crate::mutation::narrowed;

/// What tells partials from events on the wire, in the word that says who sent them.
const PARTIALS_BIT: u32 = 1 << 31;

const _: () = assert!(SLOTS_MAX < PARTIALS_BIT as usize, "a slot's number must leave room for the bit");

/// What the records of a batch are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// Events, to be folded.
    #[default]
    Events,
    /// Partials, to be merged.
    Partials,
}

/// Records of one kind, see [`record`].
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The slot that made it: credits go back there.
    pub from: u32,
    /// What its records are.
    pub kind: Records,
    /// How many records there are.
    pub records: u32,
    /// The records.
    pub words: Vec<u64>,
    /// Why a message that came from a peer could not be read; it then holds no records.
    pub damaged: Option<&'static str>,
}

impl Batch {
    /// An empty batch of a slot.
    pub fn new(from: u32, kind: Records) -> Self {
        Batch { from, kind, ..Batch::default() }
    }

    /// Appends one record.
    pub fn push(&mut self, record: &[u64]) {
        self.words.extend_from_slice(record);
        self.records += 1;
    }

    /// Whether it has reached its size.
    pub fn is_full(&self) -> bool {
        self.words.len() >= narrowed!(BATCH_WORDS)
    }

    /// Takes what is there, leaving an empty batch with room for about as much again.
    pub fn take(&mut self) -> Batch {
        let room = SPENT.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(self.words.len()));
        let words = std::mem::replace(&mut self.words, room);
        Batch { from: self.from, kind: self.kind, records: std::mem::take(&mut self.records), words, damaged: None }
    }

    /// Gives back the room of records that have been dealt with, for a batch that this worker fills later. Memory of this size that
    /// is freed goes back to the system, and what is asked for again must be cleared by it page by page.
    pub fn spend(&mut self) {
        self.clear();
        let words = std::mem::take(&mut self.words);
        if (1..=SPENT_BUFFER_WORDS_MAX).contains(&words.capacity()) {
            SPENT.with_borrow_mut(|spent| {
                if spent.len() < SPENT_BUFFERS_MAX {
                    spent.push(words);
                }
            });
        }
    }

    /// Forgets the records, keeping the room.
    pub fn clear(&mut self) {
        self.words.clear();
        self.records = 0;
    }
}

thread_local! {
    /// Buffers of batches that this worker has dealt with. Workers send each other about as much as they get, so each has its own.
    static SPENT: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

impl Accountable for Batch {
    fn record_count(&self) -> i64 {
        i64::from(self.records)
    }
}

impl ContainerBytes for Batch {
    fn from_bytes(bytes: Bytes) -> Self {
        match wire::decode(&bytes) {
            Ok(parcel) => {
                let partials = parcel.from & PARTIALS_BIT != 0;
                let kind = if partials { Records::Partials } else { Records::Events };
                let from = parcel.from & !PARTIALS_BIT;
                Batch { from, kind, records: parcel.records, words: parcel.words, damaged: None }
            }
            // The trait has no room for an error; the operator that gets the batch ends the run with it.
            Err(what) => Batch { damaged: Some(what), ..Batch::default() },
        }
    }

    fn length_in_bytes(&self) -> usize {
        wire::encoded_len(&self.words)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        // A short buffer shows as a batch that is not as long as it says, which the receiver refuses.
        let from = if self.kind == Records::Partials { self.from | PARTIALS_BIT } else { self.from };
        let _ = wire::encode(from, self.records, &self.words, writer);
    }
}

/// Spreads the records of batches over slots by the hash of their source.
pub struct ByHash<F> {
    parts: Vec<Batch>,
    slot: F,
}

impl<F: Fn(u64) -> usize> ByHash<F> {
    /// A distributor over `slots` slots; `slot` says where a hash belongs.
    pub fn new(slots: usize, from: u32, slot: F) -> Self {
        ByHash { parts: (0..slots).map(|_| Batch::new(from, Records::Events)).collect(), slot }
    }
}

impl<F: Fn(u64) -> usize> Distributor<Batch> for ByHash<F> {
    fn partition<T: Clone, P: Push<Message<T, Batch>>>(
        &mut self,
        container: &mut Batch,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        if self.parts.iter().any(|part| part.kind != container.kind) {
            // What is still here is of the other kind, and a batch has one.
            self.flush(stamp, pushers);
            self.parts.iter_mut().for_each(|part| part.kind = container.kind);
        }
        for record in record::records(&container.words) {
            let slot = (self.slot)(record::hash(record));
            let part = &mut self.parts[slot];
            part.push(record);
            if part.is_full() {
                Message::push_at(&mut part.take(), stamp.clone(), &mut pushers[slot]);
            }
        }
        container.clear();
    }

    fn flush<T: Clone, P: Push<Message<T, Batch>>>(&mut self, stamp: &Stamp<T>, pushers: &mut [P]) {
        for (part, pusher) in self.parts.iter_mut().zip(pushers) {
            if part.records > 0 {
                Message::push_at(&mut part.take(), stamp.clone(), pusher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::hash_source;
    use crate::aggregate::record::{EventHead, write_event};

    /// What one slot gets.
    #[derive(Default)]
    struct Collected(Vec<(Epoch, Batch)>);

    type Epoch = u64;

    impl Push<Message<Epoch, Batch>> for Collected {
        fn push(&mut self, message: &mut Option<Message<Epoch, Batch>>) {
            if let Some(message) = message.take() {
                let stamp = message.stamp.least().copied().unwrap_or_default();
                self.0.push((stamp, message.data));
            }
        }
    }

    fn events(sources: &[Vec<u8>]) -> Batch {
        let mut batch = Batch::new(3, Records::Events);
        for source in sources {
            let head = EventHead { hash: hash_source(source), minute: 1, time: 60_000, order: 0, present: 0 };
            write_event(&mut batch.words, &head, &[], source, std::iter::empty());
            batch.records += 1;
        }
        batch
    }

    proptest! {
        #[test]
        fn every_record_reaches_the_slot_of_its_source_and_none_is_lost(
            sources in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..200), slots in 1_usize..6,
        ) {
            let route = |hash: u64| (hash % 1_000) as usize % slots;
            let mut distributor = ByHash::new(slots, 3, route);
            let mut pushers: Vec<Collected> = (0..slots).map(|_| Collected::default()).collect();
            let (mut batch, stamp) = (events(&sources), Stamp::from_elem(9));
            let sent = batch.words.clone();
            let mut partials = Batch { kind: Records::Partials, ..batch.clone() };
            distributor.partition(&mut batch, &stamp, &mut pushers);
            distributor.partition(&mut partials, &stamp, &mut pushers);
            distributor.flush(&stamp, &mut pushers);
            let mut got = [0, 0];
            for (slot, pusher) in pushers.iter().enumerate() {
                for (at, batch) in &pusher.0 {
                    prop_assert_eq!((*at, batch.from), (9, 3));
                    // What timely counts must be what is there, or its frontiers go wrong.
                    prop_assert_eq!(batch.record_count() as usize, record::records(&batch.words).count());
                    prop_assert!(record::records(&batch.words).all(|record| route(record::hash(record)) == slot));
                    got[usize::from(batch.kind == Records::Partials)] += batch.words.len();
                }
            }
            prop_assert_eq!(got, [sent.len(); 2], "of each kind, in batches of their own");
        }
    }

    #[test]
    fn a_batch_survives_the_wire() {
        for kind in [Records::Events, Records::Partials] {
            let batch = Batch { kind, ..events(&[b"one".to_vec(), b"two".to_vec()]) };
            let mut bytes = Vec::new();
            batch.into_bytes(&mut bytes);
            assert_eq!(bytes.len(), batch.length_in_bytes());
            let read = Batch::from_bytes(timely::bytes::arc::BytesMut::from(bytes).freeze());
            assert_eq!(
                (read.from, read.kind, read.records, &read.words, read.damaged),
                (3, kind, 2, &batch.words, None)
            );
        }
    }

    #[test]
    fn a_damaged_message_is_said_to_be_one() {
        let bytes = timely::bytes::arc::BytesMut::from(vec![7_u8; 64]).freeze();
        assert!(Batch::from_bytes(bytes).damaged.is_some());
    }
}
