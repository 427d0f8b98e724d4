//! Launches the slots of this process and waits for the run to end.

use std::any::Any;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use timely::WorkerConfig;
use timely::communication::Config as Communication;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::worker::Worker;

use super::growth::Growth;
use super::mesh::Mesh;
use crate::dataflow::{Job, build};
use crate::error::{Error, Result};
use crate::limits::{FAREWELL_MS_MAX, LAST_WORDS_MS_MAX};

/// How long an idle slot sleeps before it looks whether the run is over; everything else wakes it at once.
const PARK: Duration = Duration::from_millis(50);

/// How a run ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read and committed.
    Finished,
    /// It was asked to stop; the state is that of the newest commit.
    Stopped,
    /// It ended at a commit to begin again, with the partitions that the source has by now.
    Renewed,
}

/// What timely makes workers of, and what it keeps alive for them.
type Allocators = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

/// Runs a job on `slots` worker threads of this process alone until its input ends, it is stopped, or an error ends it.
pub fn launch(job: &Job, slots: usize) -> Result<Outcome> {
    if job.resume.manifest.next.is_empty() {
        return Ok(Outcome::Finished);
    }
    let _growth = Growth::watch(job)?;
    let (guards, ends) = start(job, local(slots)?)?;
    let outcome = wait(job, &ends, slots, None)?;
    for joined in guards.join() {
        joined.map_err(|cause| Error::bug(format!("a worker thread panicked: {cause}")))?;
    }
    Ok(outcome)
}

impl Mesh {
    /// Runs this process's slots of a job until the input of all ends, it is stopped, or an error or the loss of a peer ends it.
    pub fn launch(&mut self, job: &Job) -> Result<Outcome> {
        let slots = self.hosts.workers;
        if self.links.is_empty() || job.resume.manifest.next.is_empty() {
            return launch(job, slots);
        }
        let _growth = self.is_first().then(|| Growth::watch(job)).transpose()?;
        let hooks = Hooks::default();
        let inside = ProcessBuilder::new_typed_vector(slots, hooks.refill.clone(), None);
        let sockets = std::mem::take(&mut self.data);
        let (builders, guard) = initialize_networking_from_sockets(inside, sockets, self.hosts.process, slots, hooks)
            .map_err(|cause| Error::outside("starting timely's connections", cause))?;
        let allocators = (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard) as _);
        let (guards, ends) = start(job, allocators)?;
        // Timely's own threads end when the peers' do, and not at all when a peer is lost: they are waited for elsewhere.
        let (tell, told) = bounded(1);
        let join = move || tell.send(guards.join().into_iter().all(|joined| joined.is_ok()));
        thread::Builder::new()
            .name("join".into())
            .spawn(join)
            .map_err(|cause| Error::outside("starting a thread", cause))?;
        let outcome = wait(job, &ends, slots, Some(Duration::from_millis(FAREWELL_MS_MAX)))?;
        if outcome == Outcome::Finished {
            self.finished();
            let (since, limit) = (Instant::now(), Duration::from_millis(LAST_WORDS_MS_MAX));
            // All is committed. The others may need what is on its way to them to see it too; those that are lost do not.
            while told.recv_timeout(PARK) == Err(RecvTimeoutError::Timeout)
                && !job.fate.is_over()
                && since.elapsed() < limit
            {}
        }
        Ok(outcome)
    }
}

fn local(slots: usize) -> Result<Allocators> {
    let communication = if slots == 1 { Communication::Thread } else { Communication::Process(slots) };
    communication.try_build().map_err(|cause| Error::bug(format!("workers cannot be connected: {cause}")))
}

/// How a worker ended: whether it saw the end of all input. Says that it did not where the worker panics.
struct Ending {
    tell: Sender<bool>,
    complete: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Nobody listens where the run has been given up.
        let _ = self.tell.send(self.complete);
    }
}

/// Starts the workers; each says in the end whether it saw the end of all input.
fn start(job: &Job, (builders, guard): Allocators) -> Result<(WorkerGuards<()>, Receiver<bool>)> {
    let (tell, ends) = bounded(builders.len());
    let job = Arc::new(job.clone());
    let work = move |worker: &mut Worker| {
        let mut ending = Ending { tell: tell.clone(), complete: false };
        if let Err(error) = worker.dataflow(|scope| build::build(scope, &job)) {
            job.fate.fail(error);
        }
        while worker.has_dataflows() && !job.fate.is_over() {
            worker.step_or_park(Some(PARK));
            job.observer.turned(worker.index());
        }
        ending.complete = !worker.has_dataflows();
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    };
    let guards = timely::execute::execute_from(builders, guard, WorkerConfig::default(), work)
        .map_err(|cause| Error::bug(format!("worker threads could not be started: {cause}")))?;
    Ok((guards, ends))
}

/// Waits for all slots to end; once the run is over for another reason than its input's end, no longer than `patience`.
fn wait(job: &Job, ends: &Receiver<bool>, slots: usize, patience: Option<Duration>) -> Result<Outcome> {
    let (mut ended, mut complete, mut over) = (0, true, None);
    while ended < slots {
        match ends.recv_timeout(PARK) {
            Ok(one) => {
                ended += 1;
                complete &= one;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if job.fate.is_over()
            && patience.is_some_and(|patience| over.get_or_insert_with(Instant::now).elapsed() >= patience)
        {
            complete = false;
            break;
        }
    }
    match job.fate.error() {
        // What came after the last commit, as the loss of a peer that had finished too, changes nothing.
        _ if complete => Ok(Outcome::Finished),
        Some(error) => Err(error),
        None if job.fate.is_renewed() => Ok(Outcome::Renewed),
        None => Ok(Outcome::Stopped),
    }
}
