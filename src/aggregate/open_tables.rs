//! The open partials of a slot: one table per (stamp, minute).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge::{Heaped, State};
use super::record::{self, EVENT_HEADER_WORDS, PARTIAL_HEADER_WORDS};
use super::sources::Sources;
use super::table::Table;
use super::{Layout, prefetch};
use crate::error::{Error, Result};
use crate::time::{Epoch, Minute};

/// Records between two steps of a look-up: what the first asks the memory for is on its way meanwhile.
const AHEAD: usize = 6;

/// Words between the record whose look-up begins and those that are asked for: they come from another core, perhaps.
const FAR_AHEAD: usize = 512;

/// Cleared tables kept for the next minutes, so that their memory is not asked for again.
const SPARE_TABLES_MAX: usize = 4;

/// What is known of a record that is being looked up.
struct Found {
    /// Where its table is.
    table: usize,
    /// The source that it most likely has.
    likely: Option<u32>,
    /// Its row in the table.
    row: u32,
}

/// All open tables of a slot and the sources interned for them.
pub struct OpenTables {
    layout: Arc<Layout>,
    sources: Sources,
    /// Where the table of a (stamp, minute) is in `tables`.
    places: BTreeMap<(Epoch, Minute), usize>,
    tables: Vec<Table>,
    /// Places in `tables` that are cleared.
    spare: Vec<usize>,
}

impl OpenTables {
    /// No tables yet.
    pub fn new(layout: Arc<Layout>) -> Self {
        OpenTables {
            layout,
            sources: Sources::default(),
            places: BTreeMap::new(),
            tables: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Folds event records that were stamped `stamp`.
    pub fn fold(&mut self, stamp: Epoch, events: &[u64]) {
        let fixed = EVENT_HEADER_WORDS + self.layout.input_words();
        let layout = Arc::clone(&self.layout);
        self.each(stamp, fixed, events, |event, table, row| {
            let (state, heap) = table.state_mut(row);
            layout.fold(event, state, heap);
        });
    }

    /// Merges partial records that were stamped `stamp` (restored ones are stamped with their commit epoch).
    pub fn merge(&mut self, stamp: Epoch, partials: &[u64]) {
        let fixed = PARTIAL_HEADER_WORDS + self.layout.state_words();
        let layout = Arc::clone(&self.layout);
        self.each(stamp, fixed, partials, |partial, table, row| {
            let tail = Heaped::Tail(record::tail(partial, fixed));
            let from = State { words: &partial[PARTIAL_HEADER_WORDS..fixed], heap: tail };
            let (state, heap) = table.state_mut(row);
            layout.merge(from, state, heap);
        });
    }

    /// Finds the row of each record, in four steps, each [`AHEAD`] records before the next: what one asks the memory for is there
    /// when the next comes, and all the while the processor is busy with the records before.
    fn each(&mut self, stamp: Epoch, fixed: usize, words: &[u64], mut work: impl FnMut(&[u64], &mut Table, u32)) {
        // A record that is too short for its layout comes from nowhere; it is left out rather than read past its end.
        let mut unread = record::records(words).filter(|record| record.len() >= fixed);
        let most = words.len() / fixed;
        let (mut records, mut found): (Vec<&[u64]>, Vec<Found>) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let mut current: Option<(Minute, usize)> = None;
        let mut read = 0;
        for step in 0.. {
            match unread.next() {
                Some(record) => {
                    let past = read + FAR_AHEAD;
                    prefetch::lines(words.get(past..past + record.len()).unwrap_or_default());
                    read += record.len();
                    self.sources.prefetch(record::hash(record));
                    records.push(record);
                }
                None if step == records.len() + 3 * AHEAD => break,
                None => {}
            }
            if let Some(record) = step.checked_sub(AHEAD).and_then(|at| records.get(at)) {
                let table = self.turn_to(stamp, record::minute(record), &mut current);
                let likely = self.sources.likely(record::hash(record));
                if let Some(id) = likely {
                    self.tables[table].prefetch_index(id);
                }
                found.push(Found { table, likely, row: 0 });
            }
            if let Some((record, found)) =
                step.checked_sub(2 * AHEAD).and_then(|at| records.get(at).zip(found.get_mut(at)))
            {
                let id = self.sources.intern(found.likely, record::hash(record), record::source(record, fixed));
                let table = &mut self.tables[found.table];
                let (row, new) = table.row(id, self.sources.ids(), &self.layout);
                if new {
                    self.sources.hold(id, record::minute(record));
                }
                table.prefetch(row);
                found.row = row;
            }
            if let Some((record, found)) = step.checked_sub(3 * AHEAD).and_then(|at| records.get(at).zip(found.get(at)))
            {
                work(record, &mut self.tables[found.table], found.row);
            }
        }
        if let Some((_, place)) = current {
            self.tables[place].tidy(&self.layout);
        }
    }

    /// The place of a minute's table; `current` is the one before it.
    #[inline]
    fn turn_to(&mut self, stamp: Epoch, minute: Minute, current: &mut Option<(Minute, usize)>) -> usize {
        if let Some((known, place)) = *current {
            if known == minute {
                return place;
            }
            // A table that is left is tidied: batches may all end in the same minute. Its rows stay where they are.
            self.tables[place].tidy(&self.layout);
        }
        let place = self.place(stamp, minute);
        *current = Some((minute, place));
        place
    }

    fn place(&mut self, stamp: Epoch, minute: Minute) -> usize {
        let (tables, spare, layout) = (&mut self.tables, &mut self.spare, &self.layout);
        *self.places.entry((stamp, minute)).or_insert_with(|| {
            spare.pop().unwrap_or_else(|| {
                tables.push(Table::new(layout));
                tables.len() - 1
            })
        })
    }

    /// Closes commit epoch `commit`: merges all tables stamped `<= commit`, hands every partial of a minute `<= commit` to
    /// `closed` as a record and forgets it, then hands every partial left (of those stamps) to `open`, and keeps it, stamped `commit`.
    /// Tables with later stamps are not touched.
    pub fn close(&mut self, commit: Epoch, closed: &mut dyn FnMut(&[u64]), open: &mut dyn FnMut(&[u64])) {
        let later = self.places.split_off(&(commit + 1, 0));
        let mut minutes: BTreeMap<Minute, usize> = BTreeMap::new();
        for ((_, minute), place) in std::mem::replace(&mut self.places, later) {
            match minutes.get(&minute) {
                None => {
                    minutes.insert(minute, place);
                }
                Some(into) => self.pour(place, *into, minute),
            }
        }
        let mut record = Vec::new();
        for (minute, place) in minutes {
            let table = &self.tables[place];
            let emit: &mut dyn FnMut(&[u64]) = if minute <= commit { closed } else { open };
            for (row, id) in (0..).zip(table.ids()) {
                record.clear();
                let (hash, source) = self.sources.get(*id);
                self.layout.write_partial(&mut record, hash, minute, source, table.state(row));
                emit(&record);
            }
            if minute <= commit {
                self.drop_table(place);
            } else {
                self.places.insert((commit, minute), place);
            }
        }
        self.sources.forget_silent(commit);
    }

    /// Merges one table of a minute into another and drops it.
    fn pour(&mut self, from: usize, into: usize, minute: Minute) {
        // Taken out for the while, so that the two can be borrowed apart.
        let table = std::mem::replace(&mut self.tables[from], Table::new(&self.layout));
        for (row, id) in (0..).zip(table.ids()) {
            let (place, new) = self.tables[into].row(*id, self.sources.ids(), &self.layout);
            if new {
                self.sources.hold(*id, minute);
            }
            let (state, heap) = self.tables[into].state_mut(place);
            self.layout.merge(table.state(row), state, heap);
        }
        self.tables[into].tidy(&self.layout);
        self.tables[from] = table;
        self.drop_table(from);
    }

    fn drop_table(&mut self, place: usize) {
        for id in self.tables[place].ids() {
            self.sources.release(*id);
        }
        if self.spare.len() < SPARE_TABLES_MAX {
            self.tables[place].clear();
        } else {
            self.tables[place] = Table::new(&self.layout);
        }
        self.spare.push(place);
    }

    /// Whether the open windows take no more than `most` bytes; the error tells what to change.
    pub fn within(&self, most: usize) -> Result<()> {
        let bytes = self.bytes();
        if bytes <= most {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "the open windows of one worker take {bytes} bytes ({} sources, {} windows), {most} are allowed: more workers share the \
             sources, a smaller out_of_order keeps fewer windows open",
            self.sources(),
            self.tables()
        )))
    }

    /// Sources that are interned now.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Bytes held: arenas, tables, sources.
    pub fn bytes(&self) -> usize {
        self.sources.bytes() + self.tables.iter().map(Table::bytes).sum::<usize>()
    }

    /// Tables that are open now.
    pub fn tables(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests;
