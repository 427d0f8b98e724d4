//! What flows back: credits from close to read, and the word of each commit from commit to everyone.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::mutation::mutated;
use crate::snapshot::{Manifest, Position};
use crate::time::Epoch;

/// Words that a slot has folded, told to the slot that sent them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Credit {
    /// The slot that sent them.
    pub to: u32,
    /// How many.
    pub words: u64,
}

/// The word of a commit: its manifest is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Control {
    /// The next commit epochs, ascending.
    pub next: Vec<Epoch>,
    /// Per partition, the position before which everything is covered.
    pub covered: Vec<(u32, Position)>,
}

/// The commit epochs that an operator knows of and has not dealt with.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    named: VecDeque<Epoch>,
    newest: Option<Epoch>,
}

impl Agenda {
    /// What the manifest names.
    pub fn new(manifest: &Manifest) -> Self {
        Agenda { named: manifest.next.iter().copied().collect(), newest: manifest.next.last().copied() }
    }

    /// Takes in what commits name. Each manifest names two epochs, one of which the one before had named.
    pub fn follow(&mut self, messages: &[Control]) {
        for epoch in messages
            .iter()
            .flat_map(|message| &message.next[usize::from(mutated!(EpochNotHeard) && message.next.len() > 1)..])
        {
            if self.newest.is_none_or(|newest| *epoch > newest) {
                self.named.push_back(*epoch);
                self.newest = Some(*epoch);
            }
        }
    }

    /// The next commit epoch to deal with.
    pub fn next(&self) -> Option<Epoch> {
        self.named.front().copied()
    }

    /// The newest commit epoch that was ever named.
    pub fn newest(&self) -> Option<Epoch> {
        self.newest
    }

    /// The next commit epoch has been dealt with.
    pub fn done(&mut self, epoch: Epoch) {
        let first = self.named.pop_front();
        debug_assert_eq!(first, Some(epoch), "commit epochs are dealt with in order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agenda(next: &[Epoch]) -> Agenda {
        Agenda { named: next.iter().copied().collect(), newest: next.last().copied() }
    }

    fn word(next: &[Epoch]) -> Control {
        Control { next: next.to_vec(), covered: Vec::new() }
    }

    #[test]
    fn each_epoch_is_dealt_with_once_though_two_manifests_name_it() {
        let mut agenda = agenda(&[0]);
        agenda.done(0);
        assert_eq!(agenda.next(), None);
        agenda.follow(&[word(&[7, 8])]);
        agenda.follow(&[word(&[8, 12])]);
        let mut dealt = Vec::new();
        while let Some(epoch) = agenda.next() {
            agenda.done(epoch);
            dealt.push(epoch);
        }
        assert_eq!(dealt, [7, 8, 12]);
        agenda.follow(&[word(&[12]), word(&[])]);
        assert_eq!((agenda.next(), agenda.newest()), (None, Some(12)));
    }
}
