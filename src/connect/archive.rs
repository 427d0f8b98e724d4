//! Archives over the history of a pipeline, whatever store it lives in.

use super::failpoint;
use super::outlet::ThreadOutlet;
use crate::dataflow::edges::{Archive, Keep, Outlet, Wake};
use crate::error::Result;
use crate::snapshot::History;

/// Keeps parts and manifests on a thread per slot.
pub struct HistoryArchive {
    history: History,
}

impl HistoryArchive {
    /// An archive over this history.
    pub fn new(history: History) -> Self {
        HistoryArchive { history }
    }
}

impl Archive for HistoryArchive {
    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Keep>>> {
        let history = self.history.clone();
        let outlet = ThreadOutlet::start(&format!("archive-{slot}"), wake, move |job| keep(&history, job))?;
        Ok(Box::new(outlet))
    }
}

/// Does one job; the error is that of [`History::put_part`] or [`History::commit`].
pub fn keep(history: &History, job: Keep) -> Result<()> {
    match job {
        Keep::Part { name, bytes } => {
            history.put_part(&name, &bytes)?;
            failpoint("part-stored");
        }
        Keep::Manifest(manifest) => {
            history.commit(&manifest)?;
            failpoint("manifest-stored");
        }
    }
    Ok(())
}
