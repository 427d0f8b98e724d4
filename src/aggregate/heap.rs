//! What the states of a table own beside their words: texts, and sums that do not fit a pair of doubles.

use super::exact_sum::ExactSum;
use super::record;

/// Dead bytes below which texts are never compacted.
const COMPACT_BYTES: usize = 64 * 1024;

/// The heap of one table. Words of states refer into it.
#[derive(Debug, Default)]
pub(super) struct Heap {
    texts: Vec<u8>,
    dead: usize,
    wide: Vec<ExactSum>,
}

impl Heap {
    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.dead = 0;
        self.wide.clear();
    }

    /// The text that a word refers to.
    pub fn text(&self, span: u64) -> &[u8] {
        record::text(&self.texts, span)
    }

    /// Puts a text in place of the one that `word` refers to.
    pub fn replace(&mut self, word: &mut u64, text: &[u8]) {
        if self.text(*word) == text {
            return;
        }
        self.dead += (*word & 0xffff_ffff) as usize;
        *word = self.push(text);
    }

    fn push(&mut self, text: &[u8]) -> u64 {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        record::span(start, text.len())
    }

    /// Whether more than half of the texts' bytes are of no use any more.
    pub fn wants_compaction(&self) -> bool {
        self.dead > COMPACT_BYTES && self.dead * 2 > self.texts.len()
    }

    /// Moves the texts that `words` refer to into fresh memory.
    pub fn compact<'a>(&mut self, words: impl Iterator<Item = &'a mut u64>) {
        let old = std::mem::take(&mut self.texts);
        self.texts.reserve(old.len() - self.dead);
        self.dead = 0;
        for word in words {
            let text = record::text(&old, *word);
            *word = self.push(text);
        }
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
        self.texts.capacity() + self.wide.capacity() * size_of::<ExactSum>()
    }
}
