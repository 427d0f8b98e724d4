//! The archive over the history of a pipeline, whatever store it lives in.

use super::failpoint;
use super::outlet::ThreadOutlet;
use crate::dataflow::edges::{Archive, Keep, Outlet, Wake};
use crate::error::Result;
use crate::snapshot::History;
use crate::time::Epoch;

/// Keeps parts and manifests on a thread per slot, and removes old ones after each commit.
#[derive(Clone)]
pub struct Keeper {
    history: History,
    keep: usize,
}

impl Keeper {
    /// A keeper of this history that leaves the manifests of the newest `keep` commits.
    pub fn new(history: History, keep: usize) -> Self {
        Keeper { history, keep }
    }

    /// Does one job; the error is that of [`History::put_part`] or [`History::commit`].
    pub(super) fn keep(&self, job: Keep) -> Result<()> {
        // What is logged on the way, of a store that is away too, says for which commit it is.
        let _span = tracing::error_span!("store", epoch = epoch(&job)).entered();
        match job {
            Keep::Part { name, bytes, .. } => {
                self.history.put_part(&name, &bytes)?;
                failpoint("part-stored");
            }
            Keep::Manifest(manifest) => {
                self.history.commit(&manifest)?;
                failpoint("manifest-stored");
                // The commit has happened: what cannot be cleaned up now is cleaned up after the next one.
                if let Err(error) = self.history.prune(self.keep) {
                    tracing::warn!(%error, "old snapshots are not removed yet");
                }
            }
        }
        Ok(())
    }
}

/// The commit epoch of a job; none of a claim.
fn epoch(job: &Keep) -> Option<Epoch> {
    match job {
        Keep::Part { commit, .. } => Some(*commit),
        Keep::Manifest(manifest) => manifest.commit,
    }
}

impl Archive for Keeper {
    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Keep>>> {
        let keeper = self.clone();
        Ok(Box::new(ThreadOutlet::start(&format!("archive-{slot}"), wake, move |job| keeper.keep(job))?))
    }
}

#[cfg(test)]
mod tests;
