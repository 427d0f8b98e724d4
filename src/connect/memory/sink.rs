//! A sink that collects what is written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::faults::Faults;
use super::outlet::MemoryOutlet;
use crate::aggregate::FinishedRow;
use crate::dataflow::edges::{LedgerLine, MinuteLine, Outlet, Reject, Sink, Wake, Write};
use crate::error::{Error, Fault, Result};
use crate::mutation::mutated;
use crate::snapshot::Manifest;
use crate::time::Epoch;

/// The ledger of one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The run that committed it.
    pub attempt: u64,
    /// Its lines of partitions.
    pub lines: Vec<LedgerLine>,
    /// Its lines of minutes.
    pub minutes: Vec<MinuteLine>,
}

/// What was written; the latest of one name counts, as on files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// By commit and lane; none without rows.
    pub rows: BTreeMap<(Epoch, u32), Vec<FinishedRow>>,
    /// By commit and partition; none without rejects.
    pub rejects: BTreeMap<(Epoch, u32), Vec<Reject>>,
    /// By commit; none without lines.
    pub ledger: BTreeMap<Epoch, Told>,
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
            Write::Ledger { commit, attempt, lines, minutes } => {
                if !lines.is_empty() || !minutes.is_empty() {
                    self.ledger.insert(commit, Told { attempt, lines, minutes });
                }
            }
        }
    }
}

/// A [`Sink`] in memory; clones share what was written, so it outlives a run as a folder does.
#[derive(Clone, Default)]
pub struct MemorySink {
    shared: Arc<Mutex<Shared>>,
    /// The run that this handle, or a clone of it, made the sink ready for.
    ours: Arc<Mutex<Option<Owner>>>,
    faults: Faults,
}

#[derive(Default)]
struct Shared {
    collected: Collected,
    /// The run that the sink was made ready for last: no other may write.
    owner: Option<Owner>,
}

/// A run of one life of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    pipeline: String,
    life: String,
    attempt: u64,
}

impl Owner {
    fn of(manifest: &Manifest) -> Self {
        let (pipeline, life) = (manifest.pipeline.clone(), manifest.life.clone());
        Owner { pipeline, life, attempt: manifest.attempt }
    }

    fn is_kin(&self, other: &Owner) -> bool {
        self.pipeline == other.pipeline && self.life == other.life
    }
}

impl MemorySink {
    /// An empty sink under this script.
    pub fn new(faults: Faults) -> Self {
        MemorySink { faults, ..MemorySink::default() }
    }

    /// The same rows under another script: the next run's.
    pub fn with_faults(&self, faults: Faults) -> Self {
        MemorySink { shared: Arc::clone(&self.shared), ours: Arc::default(), faults }
    }

    /// What was written so far.
    pub fn collected(&self) -> Collected {
        self.lock().collected.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn superseded() -> Error {
    Error::new(Fault::Superseded, "writing to the sink in memory: a newer run has taken it over")
}

impl Sink for MemorySink {
    fn check(&self, found: Option<&Manifest>) -> Result<()> {
        let shared = self.lock();
        let refused = |why: &str| Err(Error::configuration(format!("the sink in memory {why}: take another")));
        match (found, &shared.owner) {
            (Some(found), Some(owner)) if !owner.is_kin(&Owner::of(found)) => refused("belongs to another state"),
            _ if found.is_none_or(|found| found.commit.is_none()) && !shared.collected.rows.is_empty() => {
                refused("holds rows already, but the state knows of none")
            }
            _ => Ok(()),
        }
    }

    fn prepare(&self, claim: &Manifest, fresh: bool) -> Result<()> {
        let known = |written: Epoch| Some(written) <= claim.commit;
        let (mut shared, ours) = (self.lock(), Owner::of(claim));
        match &shared.owner {
            Some(owner) if owner.is_kin(&ours) && owner.attempt > ours.attempt => return Err(superseded()),
            Some(owner) if !owner.is_kin(&ours) && !fresh => {
                return Err(Error::configuration("the sink in memory belongs to another state: take another"));
            }
            _ => {}
        }
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours.clone());
        shared.owner = Some(ours);
        if mutated!(DoubtKept) {
            return Ok(());
        }
        let collected = &mut shared.collected;
        collected.rows.retain(|(written, _), _| known(*written));
        collected.rejects.retain(|(written, _), _| known(*written));
        collected.ledger.retain(|written, _| known(*written));
        Ok(())
    }

    fn join(&self, claim: &Manifest) -> Result<()> {
        let ours = Owner::of(claim);
        if self.lock().owner.as_ref() != Some(&ours) {
            return Err(superseded());
        }
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
        Ok(())
    }

    fn open(&self, _slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let sink = self.clone();
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let work = move |job| {
            let mut shared = sink.lock();
            if shared.owner != ours && !mutated!(OlderRunWrites) {
                return Err(superseded());
            }
            shared.collected.write(job);
            Ok(())
        };
        Ok(Box::new(MemoryOutlet::new("writing to the sink", self.faults.clone(), wake, work)))
    }
}

#[cfg(test)]
mod tests;
