//! What the states of a table own beside their words: texts, and sums that do not fit a pair of doubles.

use super::exact_sum::ExactSum;
use super::{hash_source, record};

/// Bytes of texts below which they are never compacted.
const COMPACT_BYTES: usize = 64 * 1024;

/// Bytes per row that texts may take beyond twice those in use, so that going over all rows stays rare.
const COMPACT_ROW_BYTES: usize = 8;

/// Texts that are remembered, to be used again by other states.
const RECENT: usize = 256;

/// The heap of one table. Words of states refer into it.
///
/// Most texts are labels of few values: one that another state has put here lately is not put again. So the texts that events are
/// compared with are few, and near.
#[derive(Debug, Default)]
pub(super) struct Heap {
    texts: Vec<u8>,
    /// Bytes of texts after the last compaction.
    kept: usize,
    /// Where texts are, by their hash; empty until the first one comes.
    recent: Vec<u64>,
    wide: Vec<ExactSum>,
}

impl Heap {
    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.kept = 0;
        self.recent.clear();
        self.wide.clear();
    }

    /// The text that a word refers to.
    #[inline]
    pub fn text(&self, span: u64) -> &[u8] {
        record::text(&self.texts, span)
    }

    /// Puts a text in place of the one that `word` refers to.
    #[inline]
    pub fn replace(&mut self, word: &mut u64, text: &[u8]) {
        if !record::same(self.text(*word), text) {
            *word = self.put(text);
        }
    }

    fn put(&mut self, text: &[u8]) -> u64 {
        if self.recent.is_empty() {
            self.recent.resize(RECENT, 0);
        }
        let place = hash_source(text) as usize % RECENT;
        let known = self.recent[place];
        if record::same(self.text(known), text) {
            return known;
        }
        let span = record::span(self.texts.len(), text.len());
        self.texts.extend_from_slice(text);
        self.recent[place] = span;
        span
    }

    /// Whether more than half of the texts' bytes may be of no use any more, those of a table of so many rows.
    pub fn wants_compaction(&self, rows: usize) -> bool {
        self.texts.len() > 2 * self.kept + COMPACT_BYTES + COMPACT_ROW_BYTES * rows
    }

    /// Moves the texts that `words` refer to into fresh memory.
    pub fn compact<'a>(&mut self, words: impl Iterator<Item = &'a mut u64>) {
        let old = std::mem::take(&mut self.texts);
        self.recent.clear();
        for word in words {
            let text = record::text(&old, *word);
            *word = self.put(text);
        }
        self.kept = self.texts.len();
    }

    /// Keeps a wide sum and gives its index.
    pub fn widen(&mut self, sum: ExactSum) -> u64 {
        self.wide.push(sum);
        (self.wide.len() - 1) as u64
    }

    /// A wide sum.
    pub fn wide(&mut self, index: u64) -> Option<&mut ExactSum> {
        self.wide.get_mut(index as usize)
    }

    /// A wide sum, to look at.
    pub fn wide_at(&self, index: u64) -> Option<&ExactSum> {
        self.wide.get(index as usize)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.texts.capacity() + self.recent.capacity() * 8 + self.wide.capacity() * size_of::<ExactSum>()
    }
}
