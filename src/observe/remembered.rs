//! The ledger of the newest commits of this process, kept in memory for whoever asks.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dataflow::edges::{LedgerLine, MinuteLine};
use crate::limits::{LEDGER_COMMITS_REMEMBERED, LEDGER_LINES_REMEMBERED};
use crate::snapshot::Manifest;
use crate::time::{Epoch, Millis};

/// The ledger of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitLedger {
    /// Its epoch.
    pub commit: Epoch,
    /// The epoch of the commit before: minutes after it and up to this one were closed.
    pub after: Option<Epoch>,
    /// The number of its manifest.
    pub sequence: u64,
    /// When that was written.
    pub written_at: Millis,
    /// A line for each partition of which something changed.
    pub partitions: Vec<LedgerLine>,
    /// A line for each minute and lane that it closed.
    pub minutes: Vec<MinuteLine>,
}

impl CommitLedger {
    fn lines(&self) -> usize {
        self.partitions.len() + self.minutes.len()
    }
}

/// The newest commits, the newest first, and the one that is on its way.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    commits: VecDeque<Arc<CommitLedger>>,
    lines: usize,
    coming: Option<CommitLedger>,
}

impl Remembered {
    /// A commit is about to write its ledger.
    pub fn coming(&mut self, commit: Epoch, partitions: &[LedgerLine], minutes: &[MinuteLine]) {
        let (partitions, minutes) = (partitions.to_vec(), minutes.to_vec());
        self.coming = Some(CommitLedger { commit, after: None, sequence: 0, written_at: 0, partitions, minutes });
    }

    /// It is the truth now; `after` is the commit before.
    pub fn committed(&mut self, manifest: &Manifest, after: Option<Epoch>) {
        let Some(mut ledger) = self.coming.take().filter(|coming| Some(coming.commit) == manifest.commit) else {
            return;
        };
        (ledger.after, ledger.sequence, ledger.written_at) = (after, manifest.sequence, manifest.written_at);
        self.lines += ledger.lines();
        self.commits.push_front(Arc::new(ledger));
        while self.commits.len() > LEDGER_COMMITS_REMEMBERED
            || (self.lines > LEDGER_LINES_REMEMBERED && self.commits.len() > 1)
        {
            let oldest = self.commits.pop_back();
            self.lines -= oldest.map_or(0, |oldest| oldest.lines());
        }
    }

    /// All that are remembered, the newest first.
    pub fn commits(&self) -> Vec<Arc<CommitLedger>> {
        self.commits.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(remembered: &mut Remembered, epoch: Epoch, lines: usize) {
        remembered.coming(epoch, &[], &vec![MinuteLine { minute: epoch, ..MinuteLine::default() }; lines]);
        let manifest = Manifest { commit: Some(epoch), sequence: epoch + 1, ..Manifest::default() };
        remembered.committed(&manifest, epoch.checked_sub(1));
    }

    #[test]
    fn the_newest_are_remembered_within_their_bounds() {
        let mut remembered = Remembered::default();
        (0..200).for_each(|epoch| commit(&mut remembered, epoch, 1));
        let commits = remembered.commits();
        assert_eq!((commits.len(), commits[0].commit), (LEDGER_COMMITS_REMEMBERED, 199));
        assert_eq!((commits[0].after, commits[0].sequence), (Some(198), 200));
        (200..203).for_each(|epoch| commit(&mut remembered, epoch, LEDGER_LINES_REMEMBERED / 2));
        assert_eq!(remembered.commits().iter().map(|one| one.commit).collect::<Vec<_>>(), [202, 201]);
        commit(&mut remembered, 203, 2 * LEDGER_LINES_REMEMBERED);
        assert_eq!(remembered.commits().len(), 1, "the newest is always there");
    }

    #[test]
    fn what_did_not_become_the_truth_is_not_shown() {
        let mut remembered = Remembered::default();
        remembered.coming(7, &[], &[]);
        assert!(remembered.commits().is_empty());
        remembered.committed(&Manifest { commit: Some(8), ..Manifest::default() }, None);
        assert!(remembered.commits().is_empty());
    }
}
