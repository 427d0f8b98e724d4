//! Interned sources: dense ids, so that every open table is found by number and no source is hashed twice.
//!
//! A source is found in two steps, each a place in memory that can be asked for ahead ([`Sources::prefetch`],
//! [`Sources::likely`]): its slot by its hash, and what is known of it by its id. A general hash map was rejected: it hides the
//! first, and keeps names apart, which is a third.

use super::prefetch;
use super::record::{same, short_name};
use crate::limits::SOURCE_SILENT_MINUTES;
use crate::time::Minute;

/// Dead bytes below which the sources' bytes are never compacted.
const COMPACT_BYTES: usize = 1 << 20;

/// Words of a name that is kept with its source; a longer one is kept apart.
const NAME_WORDS: usize = 3;

/// Slots that an index begins with.
const SLOTS_MIN: usize = 64;

/// One interned source: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Source {
    hash: u64,
    /// Its name, padded with zeros, where it is short.
    name: [u64; NAME_WORDS],
    /// Where its name begins where it is not.
    start: usize,
    len: u32,
    /// Rows of open tables that name it.
    rows: u32,
    /// The newest minute in which it had an event.
    seen: Minute,
    live: bool,
}

impl Source {
    fn is_short(&self) -> bool {
        self.len as usize <= NAME_WORDS * 8
    }

    #[inline]
    fn name<'a>(&'a self, long: &'a [u8]) -> &'a [u8] {
        let len = self.len as usize;
        if self.is_short() { &bytemuck::cast_slice(&self.name)[..len] } else { &long[self.start..self.start + len] }
    }
}

/// The sources of a slot.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// By hash, each in the first free place from its own on: the upper half of the hash, and the id plus 1; 0 is free. Their
    /// number is a power of two, a third of them at least are free.
    slots: Vec<u64>,
    sources: Vec<Source>,
    /// The long names.
    bytes: Vec<u8>,
    dead: usize,
    free: Vec<u32>,
}

impl Sources {
    /// Asks for the slot of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.place(hash)) {
            prefetch::line_of(slot);
        }
    }

    /// The source that most likely has this hash. It is asked for, not looked at.
    #[inline]
    pub fn likely(&self, hash: u64) -> Option<u32> {
        let id = self.find(hash, |_| true)?;
        prefetch::line_of(&self.sources[id as usize]);
        Some(id)
    }

    /// The id of a source, given or new; `likely` is where to look first.
    #[inline]
    pub fn intern(&mut self, likely: Option<u32>, hash: u64, bytes: &[u8]) -> u32 {
        let is = |id: u32| {
            let source = &self.sources[id as usize];
            source.hash == hash && same(source.name(&self.bytes), bytes)
        };
        if let Some(id) = likely.filter(|id| is(*id)) {
            return id;
        }
        match self.find(hash, is) {
            Some(id) => id,
            None => self.add(hash, bytes),
        }
    }

    fn place(&self, hash: u64) -> usize {
        hash as usize & self.slots.len().wrapping_sub(1)
    }

    /// The first source in the slots of a hash that `is` the one.
    #[inline]
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut place = self.place(hash);
        loop {
            // There are no slots before the first source.
            let slot = *self.slots.get(place)?;
            if slot == 0 {
                return None;
            }
            let id = (slot as u32).wrapping_sub(1);
            if slot >> 32 == hash >> 32 && is(id) {
                return Some(id);
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, bytes: &[u8]) -> u32 {
        let len = bytes.len() as u32;
        let name = short_name(bytes).unwrap_or_default();
        let source = Source { hash, name, start: self.bytes.len(), len, rows: 0, seen: 0, live: true };
        if !source.is_short() {
            self.bytes.extend_from_slice(bytes);
        }
        let id = match self.free.pop() {
            Some(id) => {
                self.sources[id as usize] = source;
                id
            }
            None => {
                self.sources.push(source);
                (self.sources.len() - 1) as u32
            }
        };
        if self.len() * 3 > self.slots.len() * 2 {
            self.index((self.slots.len() * 2).max(SLOTS_MIN));
        } else {
            self.put(hash, id);
        }
        id
    }

    /// Puts all sources into so many slots.
    fn index(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, 0);
        for id in 0..self.sources.len() as u32 {
            let source = self.sources[id as usize];
            if source.live {
                self.put(source.hash, id);
            }
        }
    }

    fn put(&mut self, hash: u64, id: u32) {
        let mut place = self.place(hash);
        while self.slots[place] != 0 {
            place = (place + 1) & (self.slots.len() - 1);
        }
        self.slots[place] = (hash >> 32 << 32) | u64::from(id + 1);
    }

    /// A row of an open table names a source.
    pub fn hold(&mut self, id: u32, minute: Minute) {
        let source = &mut self.sources[id as usize];
        source.rows += 1;
        source.seen = source.seen.max(minute);
    }

    /// The row is gone.
    pub fn release(&mut self, id: u32) {
        self.sources[id as usize].rows -= 1;
    }

    /// The hash and bytes of a source.
    pub fn get(&self, id: u32) -> (u64, &[u8]) {
        let source = &self.sources[id as usize];
        (source.hash, source.name(&self.bytes))
    }

    /// Frees the ids of sources that no row names and that have been silent for long before `now`.
    pub fn forget_silent(&mut self, now: Minute) {
        let known = self.len();
        for id in 0..self.sources.len() as u32 {
            let source = &mut self.sources[id as usize];
            if !source.live || source.rows > 0 || source.seen.saturating_add(SOURCE_SILENT_MINUTES) >= now {
                continue;
            }
            source.live = false;
            if !source.is_short() {
                self.dead += source.len as usize;
            }
            self.free.push(id);
        }
        if self.len() < known {
            self.index(self.slots.len());
        }
        if self.dead > COMPACT_BYTES && self.dead * 2 > self.bytes.len() {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        for source in self.sources.iter_mut().filter(|source| source.live && !source.is_short()) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(source.name(&old));
            source.start = start;
        }
        self.dead = 0;
    }

    /// Sources interned now.
    pub fn len(&self) -> usize {
        self.sources.len() - self.free.len()
    }

    /// Ids given out so far: every id is below this.
    pub fn ids(&self) -> usize {
        self.sources.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * 8 + self.sources.capacity() * size_of::<Source>() + self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::hash_source;

    fn intern(sources: &mut Sources, name: &str) -> u32 {
        let hash = hash_source(name.as_bytes());
        sources.intern(sources.likely(hash), hash, name.as_bytes())
    }

    #[test]
    fn the_same_source_has_the_same_id() {
        let mut sources = Sources::default();
        let ids: Vec<u32> = (0..1_000).map(|n| intern(&mut sources, &format!("s{n}"))).collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(intern(&mut sources, &format!("s{n}")), *id);
            assert_eq!(sources.get(*id).1, format!("s{n}").as_bytes());
        }
        assert_eq!(sources.len(), 1_000);
    }

    #[test]
    fn sources_of_one_hash_are_told_apart() {
        let mut sources = Sources::default();
        assert_ne!(sources.intern(None, 7, b"a"), sources.intern(Some(0), 7, b"b"));
        assert_eq!(sources.intern(Some(1), 7, b"a"), 0);
    }

    #[test]
    fn a_silent_source_gives_its_id_away_unless_a_row_names_it() {
        let mut sources = Sources::default();
        let (held, silent) = (intern(&mut sources, "held"), intern(&mut sources, "silent"));
        sources.hold(held, 100);
        sources.hold(silent, 100);
        sources.release(silent);
        sources.forget_silent(100 + SOURCE_SILENT_MINUTES);
        assert_eq!(sources.len(), 2);
        sources.forget_silent(101 + SOURCE_SILENT_MINUTES);
        assert_eq!(sources.len(), 1);
        assert_eq!(intern(&mut sources, "new"), silent);
        assert_eq!(intern(&mut sources, "held"), held);
        assert_ne!(intern(&mut sources, "silent"), silent);
    }

    #[test]
    fn bytes_of_the_dead_are_given_back() {
        let mut sources = Sources::default();
        let long = "x".repeat(1_000);
        for round in 0..20 {
            for n in 0..500 {
                let id = intern(&mut sources, &format!("{long}{round}-{n}"));
                sources.hold(id, round * 1_000);
                sources.release(id);
            }
            sources.forget_silent(round * 1_000 + 500);
        }
        assert!(sources.bytes.len() < 4 * COMPACT_BYTES, "{}", sources.bytes.len());
        assert_eq!(sources.ids(), 500);
    }
}
