//! What the next entry of a partition must be: entries that repeat, and entries that may be missing.
//!
//! An entry is a ledger and its number in it. Numbers of a ledger have no holes; which ledger comes after which, and how many entries
//! a ledger had, nobody says. So inside a ledger the numbers prove that nothing is missing, and from ledger to ledger only the broker's
//! cursor can: it reads in order, so what it sends after an entry is the entry's successor. Hence the **witness**: the last entry that
//! was read is never acknowledged, only those before it ([`Order::acknowledgeable`]). The broker keeps it, therefore, and its ledger with
//! it, and sends it again after every subscribe. Once it came, what follows it is what follows it in the log.
//!
//! `next` is the position that is expected: the witness is the entry before it. `cursor` is the position after the broker's
//! mark-delete position, which it says in its answer to GET_LAST_MESSAGE_ID. `covered` is up to where a manifest covers what was read:
//! when a program begins it is `next`, and falls behind from then on. Before the first manifest it is where the program began. Nothing at
//! or after the last covered entry is ever acknowledged or sought over, or the broker could delete what only this program's memory has.
//! So a program that subscribes again is sent what it read since its newest manifest, and drops it.
//!
//! A partition of which nothing was read begins where its cursor stands: that is its `next`, in the manifest too
//! ([`Order::placed`]), so what goes before its first entry is read is missed like anything else. If there is an entry before that place,
//! the cursor is moved back to it: it is the witness. If there is none, the place is the first of an **empty ledger**. A broker drops
//! such a ledger whenever it loads the topic anew, and moves the cursor to the next one. While the program watches, that is ordinary:
//! it had read the ledger to its end. While it was away entries may have been there and gone, and nobody can tell.
//!
//! After SUBSCRIBE, before anything is asked for ([`Order::resume`]):
//!
//! | `cursor` | known | done |
//! |---|---|---|
//! | nothing was read yet | it is where reading begins | SEEK back to the entry before it, if there is one, then FLOW |
//! | first of a later ledger, ours was empty | the empty ledger was dropped | it is where reading begins, FLOW |
//! | `< next`, or not told | the witness will come | ACK up to before the last covered entry (a forward seek), then FLOW |
//! | `= next` | what is read next follows the witness | FLOW |
//! | `> next` | somebody moved the cursor, or entries expired | SEEK back to the last covered entry: what is still there is read |
//!
//! When an entry arrives ([`Order::arrived`]):
//!
//! | entry | known | verdict |
//! |---|---|---|
//! | `= next` | its number follows the witness's | take |
//! | before `next` | read already; the witness itself proves the cursor | repeat |
//! | first of a later ledger, cursor proven | a roll-over, unless the cursor was moved while we read | ask; take where `cursor <= next` |
//! | later in the same ledger | numbers left out | look again |
//! | later ledger, not its first, or the witness did not come | entries left out, or nobody can tell | look again |
//!
//! To look again is to subscribe anew with a SEEK back to the last covered entry. If the broker then still leaves it or its successor out, the
//! entries are gone ([`Verdict::Missing`]), whatever took them: retention, expiry, an operator, a lost ledger; or what stands there is
//! never sent to consumers (the marks of transactions). That is refused, or recorded as a gap where the operator agreed.
//!
//! An ordinary roll-over is never refused. A ledger that was read to its end and closed holds the witness, so it stays until entries
//! of the next one are acknowledged. Where another program acknowledged the witness, the cursor stands exactly behind it and is proof as
//! well, although the ledger may be gone by now. Only a cursor beyond that, over a ledger that is gone, cannot be told from a loss.

use std::collections::VecDeque;

use crate::dataflow::edges::Gap;
use crate::limits::LEDGER_ENDS_KEPT;
use crate::snapshot::Position;

/// The position after an entry.
pub(super) fn after(entry: Position) -> Position {
    // An entry of -1 stands for the place before a ledger's first, so the number after it is 0.
    Position(entry.0, entry.1.wrapping_add(1))
}

/// The position before one, if it is not the first of its ledger.
fn before(position: Position) -> Option<Position> {
    Some(Position(position.0, position.1.checked_sub(1)?))
}

/// What to do with the cursor before entries are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// Nothing.
    AsItIs,
    /// Acknowledge everything up to this entry.
    Acknowledge(Position),
    /// Move it back to this entry, and subscribe again.
    SeekBack(Position),
    /// The same for the entry before the place where reading begins; then say where it stands: [`Order::fetched`].
    Fetch(Position),
}

/// What an arriving entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one: [`Order::take`] when it has been handed on.
    Take,
    /// Read before.
    Repeat,
    /// The next one, if the cursor says so: ask for it, then [`Order::told`].
    Ask,
    /// Not the next one, for this reason: subscribe again and look.
    LookAgain(String),
    /// Entries before it are gone. It is the next one for whoever agrees to that: [`Order::agree`].
    Missing(Gap),
}

/// What has been read of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    next: Option<Position>,
    /// Where this program began: nothing before it needs to be read again, and nothing behind it is covered without a manifest.
    base: Option<Position>,
    /// A place where reading begins that was not told yet.
    placed: Option<Position>,
    /// `next` is the first of a ledger, and this program has found the cursor there: nothing was in that ledger.
    empty: bool,
    /// The broker's cursor has shown that it reads on behind the witness.
    proven: bool,
    /// The cursor is to be, or was, moved back to the witness.
    back: Back,
    /// The last entries of the ledgers that were read to their end, oldest first.
    ends: VecDeque<Position>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Back {
    #[default]
    No,
    Wanted,
    Done,
}

impl Order {
    /// Of a partition whose next unread entry is this one; none where nothing was read.
    pub(super) fn new(next: Option<Position>) -> Self {
        Order { next, base: next, ..Order::default() }
    }

    /// The next unread entry.
    pub(super) fn next(&self) -> Option<Position> {
        self.next
    }

    /// The place where reading begins, once after it was found: it is to be in the next manifest, though nothing was read yet.
    pub(super) fn placed(&mut self) -> Option<Position> {
        self.placed.take()
    }

    /// After a subscribe, with the cursor where the broker says it is, and everything before `covered` in a manifest.
    pub(super) fn resume(&mut self, cursor: Option<Position>, covered: Option<Position>) -> Resume {
        self.proven = false;
        let Some(next) = self.next else {
            return cursor.map_or(Resume::AsItIs, |cursor| {
                self.place(cursor);
                before(cursor).map_or(Resume::AsItIs, Resume::Fetch)
            });
        };
        if let Some(cursor) = cursor.filter(|cursor| self.empty && cursor.0 > next.0 && cursor.1 == 0) {
            self.place(cursor);
            return Resume::AsItIs;
        }
        let moved = cursor.is_some_and(|cursor| cursor > next);
        if self.back == Back::Wanted || moved {
            self.back = Back::Done;
            let back = covered.max(self.base).unwrap_or(next);
            return Resume::SeekBack(before(back).unwrap_or(back));
        }
        self.back = Back::No;
        if cursor == Some(next) {
            self.proven = true;
            self.empty = next.1 == 0;
            return Resume::AsItIs;
        }
        let ahead = |entry: &Position| cursor.is_none_or(|cursor| after(*entry) > cursor);
        let covered = covered.and_then(|covered| self.acknowledgeable(covered));
        covered.filter(ahead).map_or(Resume::AsItIs, Resume::Acknowledge)
    }

    /// The cursor was moved back to the entry before the place where reading begins, and stands here now.
    pub(super) fn fetched(&mut self, cursor: Option<Position>) {
        let Some((next, cursor)) = self.next.zip(cursor) else { return };
        if cursor > next {
            // That entry is gone with its ledger.
            return self.place(cursor);
        }
        self.proven = cursor == next || before(next) == Some(cursor);
    }

    fn place(&mut self, place: Position) {
        *self = Order { next: Some(place), base: Some(place), placed: Some(place), proven: true, ..Order::default() };
        self.empty = place.1 == 0;
    }

    /// An entry has come.
    pub(super) fn arrived(&mut self, entry: Position) -> Verdict {
        let Some(next) = self.next else { return Verdict::Take };
        if entry == next {
            return Verdict::Take;
        }
        if entry < next {
            self.proven |= after(entry) == next;
            return Verdict::Repeat;
        }
        if entry.0 > next.0 && entry.1 == 0 && self.proven {
            return Verdict::Ask;
        }
        self.doubt(next, entry)
    }

    /// The cursor as it was after an entry that was to be asked for had come; `acknowledged` is the last entry that this program has
    /// acknowledged.
    pub(super) fn told(
        &mut self,
        entry: Position,
        cursor: Option<Position>,
        acknowledged: Option<Position>,
    ) -> Verdict {
        let Some(next) = self.next else { return Verdict::Take };
        let ours = acknowledged.map_or(next, |acknowledged| next.max(after(acknowledged)));
        if cursor.is_none_or(|cursor| cursor <= ours) {
            return Verdict::Take;
        }
        self.doubt(next, entry)
    }

    /// The last entry that may be acknowledged when everything before `covered` is stored: the one before the witness.
    pub(super) fn acknowledgeable(&self, covered: Position) -> Option<Position> {
        match covered.1 {
            0 => None,
            1 => self.ends.iter().rev().find(|end| end.0 < covered.0).copied(),
            entries => Some(Position(covered.0, entries - 2)),
        }
    }

    /// The operator agrees to go on at this entry although others before it are missing.
    pub(super) fn agree(&mut self, entry: Position) {
        self.next = Some(entry);
        self.proven = true;
        self.empty = false;
        self.back = Back::No;
    }

    /// An entry has been handed on: the one after it is the next.
    pub(super) fn take(&mut self, entry: Position) {
        if let Some(next) = self.next.filter(|next| next.0 < entry.0 && next.1 > 0) {
            self.ends.push_back(Position(next.0, next.1 - 1));
            if self.ends.len() > LEDGER_ENDS_KEPT {
                self.ends.pop_front();
            }
        }
        self.next = Some(after(entry));
        self.base = self.base.or(Some(entry));
        self.proven = true;
        self.empty = false;
        self.back = Back::No;
    }

    fn doubt(&mut self, next: Position, entry: Position) -> Verdict {
        let why = why(next, entry);
        if self.back == Back::Done {
            return Verdict::Missing(Gap { from: next, to: entry, why });
        }
        self.back = Back::Wanted;
        Verdict::LookAgain(why)
    }
}

fn why(next: Position, entry: Position) -> String {
    let (ledger, number) = (next.0, next.1);
    if entry.0 == ledger {
        let left_out = entry.1 - number;
        return format!("the broker leaves out {left_out} entries of ledger {ledger}, from {number} on");
    }
    if entry.1 > 0 {
        return format!("the broker begins ledger {} at entry {} and not at its first", entry.0, entry.1);
    }
    match number.checked_sub(1) {
        Some(witness) => format!(
            "the broker no longer has entry {ledger}:{witness}, the last one read, so it cannot be known whether others came \
             between it and {}:0",
            entry.0
        ),
        None => format!(
            "nothing was read of ledger {ledger} yet and it is gone, the broker begins at ledger {}: it cannot be known whether anything \
             came before (if nobody had sent anything yet, the broker has only dropped an empty ledger)",
            entry.0
        ),
    }
}

#[cfg(test)]
mod tests;
