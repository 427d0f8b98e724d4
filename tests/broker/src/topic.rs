//! Ledgers, entries and cursors of one topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulsar::message::proto::MessageIdData;

use crate::entry;

/// Where an entry is. The entry is signed: -1 stands before the first one of a ledger, (-1, -1) is nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The ledger; -1 as the position of a topic without entries.
    pub ledger: i64,
    /// The entry in it, from 0.
    pub entry: i64,
}

impl Position {
    /// What the broker calls the last entry of an empty topic.
    pub const NONE: Position = Position { ledger: -1, entry: -1 };

    /// An entry of a ledger.
    pub const fn new(ledger: i64, entry: i64) -> Position {
        Position { ledger, entry }
    }

    pub(crate) fn of(id: &MessageIdData) -> Position {
        Position::new(id.ledger_id as i64, id.entry_id as i64)
    }

    pub(crate) fn id(self, partition: i32) -> MessageIdData {
        MessageIdData {
            ledger_id: self.ledger as u64,
            entry_id: self.entry as u64,
            partition: Some(partition),
            ..MessageIdData::default()
        }
    }
}

/// An entry at rest.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Arc<[u8]>,
    /// As its metadata says, 1 where that says nothing.
    pub(crate) messages: i64,
    pub(crate) batch: bool,
    pub(crate) publish_time: u64,
}

impl Stored {
    pub(crate) fn of(bytes: &[u8]) -> Stored {
        let metadata = entry::metadata(bytes).unwrap_or_default();
        Stored {
            bytes: bytes.into(),
            messages: i64::from(metadata.num_messages_in_batch.unwrap_or(1).max(1)),
            batch: metadata.num_messages_in_batch.is_some(),
            publish_time: metadata.publish_time,
        }
    }
}

/// Who holds a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A consumer of a session.
    Session { session: u64, consumer: u64 },
    /// Somebody who is alive and never lets go.
    Stranger,
}

/// A durable cursor.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) mark: Position,
    pub(crate) holder: Option<Holder>,
    /// What a crash leaves of `mark`.
    kept: Position,
    kept_at: Option<Instant>,
}

impl Cursor {
    pub(crate) fn new(mark: Position) -> Cursor {
        Cursor { mark, holder: None, kept: mark, kept_at: None }
    }

    /// Moves, and keeps that at most once per period, as the broker does (`managedLedgerDefaultMarkDeleteRateLimit`).
    fn advance(&mut self, to: Position, period: Duration) {
        self.mark = to;
        if self.kept_at.is_none_or(|at| at.elapsed() >= period) {
            self.keep();
        }
    }

    /// Keeps where it is.
    pub(crate) fn keep(&mut self) {
        self.kept = self.mark;
        self.kept_at = Some(Instant::now());
    }

    /// Falls back to what was kept.
    pub(crate) fn forget(&mut self) {
        self.mark = self.kept;
        self.holder = None;
    }
}

/// A run of entries; a hole where one is lost.
#[derive(Debug)]
struct Ledger {
    id: i64,
    entries: Vec<Option<Stored>>,
}

/// One topic, or one partition.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Never empty; the last one takes new entries.
    ledgers: Vec<Ledger>,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    /// Type, properties and text by version; `None` where it cannot be had any more.
    pub(crate) schemas: Vec<Option<(i32, Vec<u8>)>>,
}

impl Topic {
    pub(crate) fn new(ledger: i64) -> Topic {
        let first = Ledger { id: ledger, entries: Vec::new() };
        Topic { ledgers: vec![first], cursors: BTreeMap::new(), schemas: Vec::new() }
    }

    fn open(&mut self) -> &mut Ledger {
        self.ledgers.last_mut().expect("a topic has a ledger")
    }

    /// How many entries the open ledger has.
    pub(crate) fn open_entries(&self) -> usize {
        self.ledgers.last().map_or(0, |ledger| ledger.entries.len())
    }

    pub(crate) fn append(&mut self, stored: Stored) -> Position {
        let open = self.open();
        open.entries.push(Some(stored));
        Position::new(open.id, open.entries.len() as i64 - 1)
    }

    fn present(&self) -> impl DoubleEndedIterator<Item = (Position, &Stored)> {
        self.ledgers.iter().flat_map(|ledger| {
            let numbered = ledger.entries.iter().enumerate();
            numbered.filter_map(move |(n, stored)| Some((Position::new(ledger.id, n as i64), stored.as_ref()?)))
        })
    }

    /// The last entry that is there.
    pub(crate) fn last(&self) -> Option<(Position, &Stored)> {
        self.present().next_back()
    }

    /// The first entry behind a position.
    pub(crate) fn after(&self, position: Position) -> Option<(Position, &Stored)> {
        let from = self.ledgers.partition_point(|ledger| ledger.id < position.ledger);
        self.ledgers[from..].iter().find_map(|ledger| {
            let skip = if ledger.id == position.ledger { (position.entry + 1).max(0) as usize } else { 0 };
            let mut rest = ledger.entries.iter().enumerate().skip(skip);
            rest.find_map(|(n, stored)| Some((Position::new(ledger.id, n as i64), stored.as_ref()?)))
        })
    }

    /// Behind everything.
    pub(crate) fn end(&self) -> Position {
        let open = self.ledgers.last().expect("a topic has a ledger");
        Position::new(open.id, open.entries.len() as i64 - 1)
    }

    /// Before everything that is left.
    pub(crate) fn beginning(&self) -> Position {
        Position::new(self.ledgers[0].id, -1)
    }

    /// Where a cursor must stand to read this one next. Behind the end: at the end; trimmed: at the beginning.
    pub(crate) fn before(&self, position: Position) -> Position {
        match self.ledgers.iter().find(|ledger| ledger.id >= position.ledger) {
            None => self.end(),
            Some(ledger) if ledger.id > position.ledger => Position::new(ledger.id, -1),
            Some(ledger) => Position::new(ledger.id, position.entry.clamp(0, ledger.entries.len() as i64) - 1),
        }
    }

    /// Where a cursor must stand to read next what was published at a time or later.
    pub(crate) fn before_time(&self, publish_time: u64) -> Position {
        let older = self.present().take_while(|(_, stored)| stored.publish_time < publish_time).last();
        older.map_or_else(|| self.beginning(), |(position, _)| position)
    }

    /// Whether an entry is, or was, in a ledger that is still there.
    pub(crate) fn knows(&self, position: Position) -> bool {
        let ledger = self.ledgers.iter().find(|ledger| ledger.id == position.ledger);
        ledger.is_some_and(|ledger| (0..ledger.entries.len() as i64).contains(&position.entry))
    }

    /// A cumulative acknowledgement: moves forward to an entry that exists; whatever else is ignored in silence.
    pub(crate) fn acknowledge(&mut self, subscription: &str, position: Position, period: Duration) {
        let known = self.knows(position);
        if let Some(cursor) = self.cursors.get_mut(subscription)
            && known
            && position > cursor.mark
        {
            cursor.advance(position, period);
        }
    }

    /// Begins a new ledger.
    pub(crate) fn roll(&mut self, ledger: i64) {
        self.ledgers.push(Ledger { id: ledger, entries: Vec::new() });
    }

    /// Begins a new ledger as a broker does that takes the topic over: one without entries goes, and cursors before it move on.
    pub(crate) fn load(&mut self, ledger: i64) {
        if self.open_entries() > 0 {
            return self.roll(ledger);
        }
        let empty = Position::new(self.open().id, -1);
        self.open().id = ledger;
        for cursor in self.cursors.values_mut().filter(|cursor| cursor.mark == empty) {
            cursor.mark = Position::new(ledger, -1);
            cursor.keep();
        }
    }

    /// Drops the closed ledgers that every cursor has behind it; all closed ones where there is no cursor.
    pub(crate) fn trim(&mut self) {
        let lowest = self.cursors.values().map(|cursor| cursor.kept.min(cursor.mark)).min();
        while self.ledgers.len() > 1 {
            let first = &self.ledgers[0];
            let end = Position::new(first.id, first.entries.len() as i64 - 1);
            if lowest.is_some_and(|lowest| lowest < end) {
                break;
            }
            self.ledgers.remove(0);
        }
    }

    /// Drops the oldest closed ledgers before this one, read or not, as retention or expiry would; cursors move forward in silence.
    pub(crate) fn expire(&mut self, before: i64) {
        let keep = self.ledgers.len() - 1;
        let gone = self.ledgers[..keep].iter().filter(|ledger| ledger.id < before).count();
        self.ledgers.drain(..gone);
        let beginning = self.beginning();
        for cursor in self.cursors.values_mut() {
            cursor.mark = cursor.mark.max(beginning);
            cursor.keep();
        }
    }

    /// Loses one entry inside a ledger; whether it was there.
    pub(crate) fn lose(&mut self, position: Position) -> bool {
        let ledger = self.ledgers.iter_mut().find(|ledger| ledger.id == position.ledger);
        let slot = ledger.and_then(|ledger| ledger.entries.get_mut(position.entry as usize));
        slot.is_some_and(|slot| slot.take().is_some())
    }
}
