//! Entries as they come: counted, judged, opened, handed over; or kept as they came until they can be.

use super::End;
use super::opening;
use super::stream::Stream;
use crate::connect::pulsar::order::Verdict;
use crate::connect::pulsar::wire::entry::Head;
use crate::dataflow::edges::Gap;
use crate::error::Error;
use crate::snapshot::Position;

/// An entry that waits as it came.
pub(super) struct Raw {
    pub position: Position,
    payload: Vec<u8>,
    head: Head,
}

/// What the first entry that waits waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// Nothing.
    No,
    /// The slot has enough.
    Room,
    /// The budget has no room for it once opened.
    Budget,
    /// The schema of its version.
    Schema,
    /// The broker's word on the cursor.
    Cursor,
}

/// What came and is not counted yet: the counts have a lock, and entries may be many.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    entries: u64,
    messages: u64,
    bytes: u64,
    repeats: u64,
}

impl Stream<'_> {
    /// Counts what came.
    pub(super) fn count(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        let mut counts = self.task.counts.lock();
        counts.entries += seen.entries;
        counts.messages += seen.messages;
        counts.bytes += seen.bytes;
        counts.repeats += seen.repeats;
        counts.permits = self.task.window.permits();
        counts.bytes_held = self.reserved.held() as u64;
        counts.next = self.task.order.next();
    }

    pub(super) fn came(&mut self, position: Position, payload: &[u8]) -> Result<(), End> {
        let head = opening::look(payload);
        self.came += 1;
        self.task.window.came(position, payload.len(), head.messages);
        let to_come = self.task.window.to_come();
        if !self.reserved.came(payload.len(), to_come) {
            let words = format!("an entry of {} bytes came where shorter ones were expected", payload.len());
            return Err(End::Again("flooded", words));
        }
        self.seen.entries += 1;
        self.seen.messages += head.messages as u64;
        self.seen.bytes += payload.len() as u64;
        if self.waiting.is_empty() && self.take(position, payload, head)? {
            self.reserved.done(payload.len());
            return Ok(());
        }
        self.waiting.push_back(Raw { position, payload: payload.to_vec(), head });
        Ok(())
    }

    /// Opens what waits, as far as it may be.
    pub(super) fn pump(&mut self) -> Result<(), End> {
        while let Some(raw) = self.waiting.pop_front() {
            if !self.take(raw.position, &raw.payload, raw.head)? {
                self.waiting.push_front(raw);
                return Ok(());
            }
            self.reserved.done(raw.payload.len());
        }
        Ok(())
    }

    /// Hands an entry over, or drops a repeat; false where it must wait.
    fn take(&mut self, position: Position, payload: &[u8], head: Head) -> Result<bool, End> {
        if self.judged != Some(position) && !self.judge(position)? {
            return Ok(self.stuck == Stuck::No);
        }
        self.stuck = Stuck::No;
        if !self.task.handover.has_room(&mut self.task.opened) {
            self.stuck = Stuck::Room;
            return Ok(false);
        }
        let bytes = head.uncompressed_size;
        if !self.reserved.open(bytes) {
            if !self.task.opened.is_empty() || !self.task.handover.is_empty() {
                self.stuck = Stuck::Budget;
                return Ok(false);
            }
            self.reserved.open_anyway(bytes);
        }
        match opening::open(self.task, position, payload, head) {
            Ok(Some(entry)) => {
                self.task.handover.entry(&mut self.task.opened, entry, bytes);
                self.task.order.take(position);
                self.judged = None;
                self.task.progressed = true;
                Ok(true)
            }
            other => {
                self.reserved.close(bytes);
                self.stuck = Stuck::Schema;
                other.map(|_| false)
            }
        }
    }

    /// Whether an entry is the next one. Where it is not, it is a repeat, or stuck until the broker has said where the cursor is.
    fn judge(&mut self, position: Position) -> Result<bool, End> {
        self.stuck = Stuck::No;
        match self.task.order.arrived(position) {
            Verdict::Take => {}
            Verdict::Repeat => {
                self.seen.repeats += 1;
                return Ok(false);
            }
            Verdict::Ask => {
                self.stuck = Stuck::Cursor;
                return Ok(false);
            }
            Verdict::LookAgain(why) => return Err(End::Again("gap", why)),
            Verdict::Missing(gap) => self.missing(position, gap)?,
        }
        self.judged = Some(position);
        Ok(true)
    }

    pub(super) fn missing(&mut self, position: Position, gap: Gap) -> Result<(), End> {
        let Gap { from, to, why } = &gap;
        if !self.task.setting.accept_gap {
            return Err(End::Stop(Error::data(format!(
                "{} cannot be read on without a gap from {from} to {to}: {why}. retention, expiry or somebody who moved the \
                 subscription took what was there. --accept-gap goes on behind it and records it in the ledger",
                self.task.topic
            ))));
        }
        self.task.handover.gap(&mut self.task.opened, gap);
        self.task.order.agree(position);
        self.task.counts.lock().gaps += 1;
        Ok(())
    }
}
