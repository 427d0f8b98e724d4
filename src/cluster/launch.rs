//! Launches the slots of this process and waits for the run to end.

use std::sync::Arc;
use std::time::Duration;

use timely::communication::Config as Communication;
use timely::{Config, WorkerConfig};

use crate::dataflow::{Job, build};
use crate::error::{Error, Result};

/// How long an idle slot sleeps before it looks whether the run is over; everything else wakes it at once.
const PARK: Duration = Duration::from_millis(50);

/// How a run ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read and committed.
    Finished,
    /// It was asked to stop; the state is that of the newest commit.
    Stopped,
}

/// Runs a job on `slots` worker threads until its input ends, it is stopped, or an error ends it.
pub fn launch(job: &Job, slots: usize) -> Result<Outcome> {
    if job.resume.manifest.next.is_empty() {
        return Ok(Outcome::Finished);
    }
    let communication = if slots == 1 { Communication::Thread } else { Communication::Process(slots) };
    let config = Config { communication, worker: WorkerConfig::default() };
    let shared = Arc::new(job.clone());
    let guards = timely::execute(config, move |worker| {
        let job = Arc::clone(&shared);
        if let Err(error) = worker.dataflow(|scope| build::build(scope, &job)) {
            job.fate.fail(error);
        }
        while worker.has_dataflows() && !job.fate.is_over() {
            worker.step_or_park(Some(PARK));
        }
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    })
    .map_err(|cause| Error::bug(format!("worker threads could not be started: {cause}")))?;
    for joined in guards.join() {
        joined.map_err(|cause| Error::bug(format!("a worker thread panicked: {cause}")))?;
    }
    match job.fate.error() {
        Some(error) => Err(error),
        None if job.fate.is_over() => Ok(Outcome::Stopped),
        None => Ok(Outcome::Finished),
    }
}
