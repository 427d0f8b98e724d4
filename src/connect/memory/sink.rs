//! A sink that collects what is written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::faults::Faults;
use super::outlet::MemoryOutlet;
use crate::aggregate::FinishedRow;
use crate::dataflow::edges::{LedgerLine, Outlet, Reject, Sink, Wake, Write};
use crate::error::{Error, Result};
use crate::snapshot::Manifest;
use crate::time::Epoch;

/// What was written; the latest of one name counts, as on files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// By commit and lane; none without rows.
    pub rows: BTreeMap<(Epoch, u32), Vec<FinishedRow>>,
    /// By commit and partition; none without rejects.
    pub rejects: BTreeMap<(Epoch, u32), Vec<Reject>>,
    /// By commit: the attempt and its lines.
    pub ledger: BTreeMap<Epoch, (u64, Vec<LedgerLine>)>,
}

impl Collected {
    /// All rows, in order of commit and lane.
    pub fn all_rows(&self) -> impl Iterator<Item = &FinishedRow> {
        self.rows.values().flatten()
    }

    fn write(&mut self, job: Write) {
        match job {
            Write::Rows { commit, lane, blocks } => {
                let rows: Vec<FinishedRow> = blocks.into_iter().flatten().collect();
                if !rows.is_empty() {
                    self.rows.insert((commit, lane), rows);
                }
            }
            Write::Rejects { commit, partition, rejects } => {
                if !rejects.is_empty() {
                    self.rejects.insert((commit, partition), rejects);
                }
            }
            Write::Ledger { commit, attempt, lines } => {
                if !lines.is_empty() {
                    self.ledger.insert(commit, (attempt, lines));
                }
            }
        }
    }
}

/// A [`Sink`] in memory; clones share what was written, so it outlives a run as a folder does.
#[derive(Clone, Default)]
pub struct MemorySink {
    collected: Arc<Mutex<Collected>>,
    faults: Faults,
}

impl MemorySink {
    /// An empty sink under this script.
    pub fn new(faults: Faults) -> Self {
        MemorySink { collected: Arc::default(), faults }
    }

    /// The same rows under another script: the next run's.
    pub fn with_faults(&self, faults: Faults) -> Self {
        MemorySink { collected: Arc::clone(&self.collected), faults }
    }

    /// What was written so far.
    pub fn collected(&self) -> Collected {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemorySink {
    fn check(&self, found: Option<&Manifest>) -> Result<()> {
        if found.is_some_and(|found| found.commit.is_some()) || self.lock().rows.is_empty() {
            return Ok(());
        }
        Err(Error::configuration("the sink in memory holds rows already, but the state knows of none: take another"))
    }

    fn prepare(&self, claim: &Manifest, _fresh: bool) -> Result<()> {
        let known = |written: Epoch| Some(written) <= claim.commit;
        let mut collected = self.lock();
        collected.rows.retain(|(written, _), _| known(*written));
        collected.rejects.retain(|(written, _), _| known(*written));
        collected.ledger.retain(|written, _| known(*written));
        Ok(())
    }

    fn join(&self, _claim: &Manifest) -> Result<()> {
        Err(Error::configuration("the sink in memory is that of one process"))
    }

    fn open(&self, _slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let sink = self.clone();
        let work = move |job| {
            sink.lock().write(job);
            Ok(())
        };
        Ok(Box::new(MemoryOutlet::new("writing to the sink", self.faults.clone(), wake, work)))
    }
}

#[cfg(test)]
mod tests;
