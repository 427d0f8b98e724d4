//! Interned sources: dense ids, so that every open table is found by number and no source is hashed twice.

use hashbrown::HashTable;

use crate::limits::SOURCE_SILENT_MINUTES;
use crate::time::Minute;

/// Dead bytes below which the sources' bytes are never compacted.
const COMPACT_BYTES: usize = 1 << 20;

/// One interned source.
#[derive(Clone, Copy, Debug)]
struct Source {
    hash: u64,
    start: usize,
    len: u32,
    /// Rows of open tables that name it.
    rows: u32,
    /// The newest minute in which it had an event.
    seen: Minute,
    live: bool,
}

/// The sources of a slot.
#[derive(Debug, Default)]
pub(super) struct Sources {
    ids: HashTable<u32>,
    sources: Vec<Source>,
    bytes: Vec<u8>,
    dead: usize,
    free: Vec<u32>,
}

impl Sources {
    /// The id of a source, given or new.
    #[inline]
    pub fn intern(&mut self, hash: u64, bytes: &[u8]) -> u32 {
        let (sources, all) = (&self.sources, &self.bytes);
        let same = |id: &u32| {
            let source = &sources[*id as usize];
            source.hash == hash && &all[source.start..source.start + source.len as usize] == bytes
        };
        match self.ids.find(hash, same) {
            Some(id) => *id,
            None => self.add(hash, bytes),
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, bytes: &[u8]) -> u32 {
        let source = Source { hash, start: self.bytes.len(), len: bytes.len() as u32, rows: 0, seen: 0, live: true };
        self.bytes.extend_from_slice(bytes);
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
        let sources = &self.sources;
        self.ids.insert_unique(hash, id, |id| sources[*id as usize].hash);
        id
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
        (source.hash, &self.bytes[source.start..source.start + source.len as usize])
    }

    /// Frees the ids of sources that no row names and that have been silent for long before `now`.
    pub fn forget_silent(&mut self, now: Minute) {
        for id in 0..self.sources.len() as u32 {
            let source = self.sources[id as usize];
            if !source.live || source.rows > 0 || source.seen.saturating_add(SOURCE_SILENT_MINUTES) >= now {
                continue;
            }
            if let Ok(entry) = self.ids.find_entry(source.hash, |known| *known == id) {
                entry.remove();
            }
            self.sources[id as usize].live = false;
            self.dead += source.len as usize;
            self.free.push(id);
        }
        if self.dead > COMPACT_BYTES && self.dead * 2 > self.bytes.len() {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        for source in self.sources.iter_mut().filter(|source| source.live) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&old[source.start..source.start + source.len as usize]);
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
        self.ids.allocation_size() + self.sources.capacity() * size_of::<Source>() + self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::hash_source;

    fn intern(sources: &mut Sources, name: &str) -> u32 {
        sources.intern(hash_source(name.as_bytes()), name.as_bytes())
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
        assert_ne!(sources.intern(7, b"a"), sources.intern(7, b"b"));
        assert_eq!(sources.intern(7, b"a"), 0);
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
