//! One table of partials: the states of the sources that had events in one (stamp, minute).

use super::heap::Heap;
use super::layout::Layout;
use super::merge::{Heaped, State};
use super::{Kind, prefetch};

/// Rows below this share of the interned sources are found through a map: a place for every source would cost more.
const SPARSE_SHARE: usize = 16;

/// States grow by this share of them: twice as much, as a vector does, would leave up to half of the memory without use.
const GROWTH_SHARE: usize = 8;

/// Rows that a table grows by at least.
const GROWTH_ROWS: usize = 16;

/// Where a source's row is.
#[derive(Debug)]
enum Index {
    /// By map, while rows are few.
    Sparse(hashbrown::HashMap<u32, u32>),
    /// By the source's id; 0 is no row.
    Dense(Vec<u32>),
}

/// A table. Rows lie one after another, each of [`Layout::state_words`] words: a state touches few cache lines, and those are
/// next to each other.
#[derive(Debug)]
pub(super) struct Table {
    index: Index,
    /// The source of each row.
    ids: Vec<u32>,
    words: Vec<u64>,
    stride: usize,
    /// Words of a state that most events touch.
    often: usize,
    pub heap: Heap,
}

impl Table {
    pub fn new(layout: &Layout) -> Self {
        Table {
            index: Index::Sparse(hashbrown::HashMap::new()),
            ids: Vec::new(),
            words: Vec::new(),
            stride: layout.state_words(),
            often: layout.often,
            heap: Heap::default(),
        }
    }

    /// Forgets all rows, keeping the memory for the next minute.
    pub fn clear(&mut self) {
        match &mut self.index {
            Index::Sparse(map) => map.clear(),
            Index::Dense(rows) => rows.clear(),
        }
        self.ids.clear();
        self.words.clear();
        self.heap.clear();
    }

    /// The row of a source; made, and said to be new, where there is none. `sources` is how many are interned.
    pub fn row(&mut self, id: u32, sources: usize, layout: &Layout) -> (u32, bool) {
        let next = self.ids.len() as u32;
        let (row, new) = match &mut self.index {
            Index::Sparse(map) => match map.entry(id) {
                hashbrown::hash_map::Entry::Occupied(found) => (*found.get(), false),
                hashbrown::hash_map::Entry::Vacant(vacant) => (*vacant.insert(next), true),
            },
            Index::Dense(rows) => {
                if rows.len() <= id as usize {
                    rows.resize(sources.max(id as usize + 1), 0);
                }
                match &mut rows[id as usize] {
                    place @ 0 => {
                        *place = next + 1;
                        (next, true)
                    }
                    place => (*place - 1, false),
                }
            }
        };
        if new {
            if self.words.len() + self.stride > self.words.capacity() {
                let more = (self.words.len() / GROWTH_SHARE).max(self.stride * GROWTH_ROWS);
                self.words.reserve_exact(more);
            }
            self.ids.push(id);
            self.words.extend_from_slice(&layout.empty);
            self.densify(sources);
        }
        (row, new)
    }

    fn densify(&mut self, sources: usize) {
        if matches!(self.index, Index::Sparse(_)) && self.ids.len() * SPARSE_SHARE >= sources {
            let mut rows = vec![0; sources];
            for (row, id) in (1..).zip(&self.ids) {
                rows[*id as usize] = row;
            }
            self.index = Index::Dense(rows);
        }
    }

    /// Asks for the place where a source's row is written down.
    #[inline]
    pub fn prefetch_index(&self, id: u32) {
        if let Index::Dense(rows) = &self.index
            && let Some(row) = rows.get(id as usize)
        {
            prefetch::line_of(row);
        }
    }

    /// Asks for the cache lines of a row that an event touches.
    pub fn prefetch(&self, row: u32) {
        let start = row as usize * self.stride;
        prefetch::lines(&self.words[start..start + self.often]);
    }

    /// The state of a row, and the heap that it refers to.
    pub fn state_mut(&mut self, row: u32) -> (&mut [u64], &mut Heap) {
        let start = row as usize * self.stride;
        (&mut self.words[start..start + self.stride], &mut self.heap)
    }

    /// The state of a row, to read.
    pub fn state(&self, row: u32) -> State<'_> {
        let start = row as usize * self.stride;
        State { words: &self.words[start..start + self.stride], heap: Heaped::Table(&self.heap) }
    }

    /// The source of each row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Compacts the heap where that pays.
    pub fn tidy(&mut self, layout: &Layout) {
        if !self.heap.wants_compaction(self.ids.len()) {
            return;
        }
        let texts: Vec<usize> = layout
            .fields
            .iter()
            .filter(|field| field.kind == Kind::Text)
            .flat_map(|field| [field.first, field.last].into_iter().flatten().map(|place| place + 2))
            .collect();
        let words = self.words.chunks_exact_mut(self.stride).flat_map(|state| {
            // The places of a state are distinct, so each is handed out once.
            state.iter_mut().enumerate().filter(|(at, _)| texts.contains(at)).map(|(_, word)| word)
        });
        self.heap.compact(words);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let index = match &self.index {
            Index::Sparse(map) => map.allocation_size(),
            Index::Dense(rows) => rows.capacity() * 4,
        };
        index + self.ids.capacity() * 4 + self.words.capacity() * 8 + self.heap.bytes()
    }
}
