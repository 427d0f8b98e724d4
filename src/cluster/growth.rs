//! Looks for new partitions while a run goes on.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::dataflow::Job;
use crate::dataflow::edges::Source;
use crate::error::{Error, Result};
use crate::limits::{OUTGROWN_MS_MAX, PARTITIONS_LOOK_MS};

/// Looks until it is dropped. A thread of its own, because asking a broker takes as long as it takes.
pub(super) struct Growth {
    _until: Sender<()>,
}

impl Growth {
    /// Begins to look; the run ends at the commit after the source has grown, or without one if none comes.
    pub fn watch(job: &Job) -> Result<Self> {
        let (_until, ended) = bounded(0);
        let (source, fate) = (Arc::clone(&job.source), job.fate.clone());
        let look = move || {
            let is_over = |time| ended.recv_timeout(Duration::from_millis(time)) != Err(RecvTimeoutError::Timeout);
            while !is_over(PARTITIONS_LOOK_MS) {
                if has_grown(&*source) {
                    fate.outgrow();
                    if !is_over(OUTGROWN_MS_MAX) {
                        fate.renew();
                    }
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("growth".into())
            .spawn(look)
            .map_err(|cause| Error::outside("starting a thread", cause))?;
        Ok(Growth { _until })
    }
}

fn has_grown(source: &dyn Source) -> bool {
    match source.grown() {
        Ok(false) => false,
        Ok(true) => {
            tracing::info!(
                "the source has new partitions: this run ends at its next commit and begins again with them"
            );
            true
        }
        // Those that read it know better whether it can be reached.
        Err(error) => {
            tracing::warn!("looking for new partitions: {error}");
            false
        }
    }
}
