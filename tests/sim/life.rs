//! One life of the pipeline: real worker threads with the real graph, each of which steps only while it holds the baton.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Once};
use std::thread;

use minuet::connect::memory::{Faults, MemorySource};
use minuet::dataflow::{Job, build};
use minuet::mutation::{self, Mutation};
use timely::WorkerConfig;
use timely::communication::allocator::{Allocator, AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards, initialize_from};
use timely::worker::Worker;

/// What a worker says when it gives the baton back.
enum Said {
    /// It has more to do.
    Alive,
    /// Its graph is complete.
    Complete,
    /// It panicked.
    Panicked(String),
}

/// A run of the real graph.
pub struct Life {
    pub number: u64,
    pub job: Job,
    /// Where its readers read.
    pub source: MemorySource,
    /// Scripts with answers that wait to be released.
    pub held: Vec<Faults>,
    /// Whether another run may claim the pipeline.
    pub rivalled: bool,
    alive: Vec<usize>,
    batons: Vec<Sender<()>>,
    back: Receiver<Said>,
    /// Dropped last: it waits for the threads, which end when there are no batons any more.
    _threads: WorkerGuards<()>,
}

impl Life {
    /// Starts the threads; none of them steps before it has the baton.
    pub fn start(
        number: u64,
        job: Job,
        slots: usize,
        source: MemorySource,
        (held, rivalled): (Vec<Faults>, bool),
        (mutation, narrow): (Option<Mutation>, usize),
    ) -> Self {
        PLACES.call_once(keep_places);
        let (said, back) = channel();
        let (batons, waiting): (Vec<_>, Vec<_>) =
            (0..slots).map(|_| channel()).map(|(give, wait)| (give, Some(wait))).unzip();
        let waiting = Mutex::new(waiting);
        let builders = ProcessBuilder::new_typed_vector(slots, Hooks::default().refill, None);
        let builders = builders.into_iter().map(AllocatorBuilder::Process).collect();
        let mine = Arc::new(job.clone());
        let work = move |allocator: Allocator| {
            mutation::set(mutation, narrow);
            // Without a timer, whoever asks to be woken later is woken at the next step: real time has no say.
            let mut worker = ManuallyDrop::new(Worker::new(WorkerConfig::default(), allocator, None));
            let baton = waiting.lock().unwrap()[worker.index()].take().expect("each worker waits once");
            let end = panic::catch_unwind(AssertUnwindSafe(|| hold(&mut worker, &mine, &baton, &said)));
            match end {
                Ok(()) => drop(ManuallyDrop::into_inner(worker)),
                // Its graph is in pieces, so it stays where it is.
                Err(_) => drop(said.send(Said::Panicked(PANIC.take()))),
            }
        };
        let threads = initialize_from(builders, Box::new(()), work).unwrap_or_else(|e| panic!("no threads: {e}"));
        Life { number, job, source, held, rivalled, alive: (0..slots).collect(), batons, back, _threads: threads }
    }

    /// The slots whose graph is not complete.
    pub fn alive(&self) -> &[usize] {
        &self.alive
    }

    /// Lets one slot make one step; the error is its panic.
    pub fn step(&mut self, slot: usize) -> Result<(), String> {
        let given = self.batons[slot].send(());
        match given
            .map_err(|_| "a worker has gone".to_owned())
            .and_then(|()| self.back.recv().map_err(|e| e.to_string()))?
        {
            Said::Alive => Ok(()),
            Said::Complete => {
                self.alive.retain(|alive| *alive != slot);
                Ok(())
            }
            Said::Panicked(cause) => Err(format!("slot {slot}: {cause}")),
        }
    }

    /// Lets go of all answers that are held back.
    pub fn release(&self) {
        self.held.iter().for_each(Faults::release);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.batons.clear();
    }
}

/// Builds the graph with the first baton and steps with each further one. Without batons it drops the graph as a crash does.
fn hold(worker: &mut Worker, job: &Job, baton: &Receiver<()>, said: &Sender<Said>) {
    let mut built = false;
    while baton.recv().is_ok() {
        if built {
            worker.step();
        } else {
            built = true;
            if let Err(error) = worker.dataflow(|scope| build::build(scope, job)) {
                job.fate.fail(error);
            }
        }
        let word = if worker.has_dataflows() { Said::Alive } else { Said::Complete };
        if said.send(word).is_err() {
            break;
        }
    }
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

static PLACES: Once = Once::new();

thread_local! {
    /// What this worker's panic says, with its place.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps a worker's panic for whoever reports it, with its seed; those of other threads are told as ever.
fn keep_places() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name().is_some_and(|name| name.starts_with("timely:")) {
            PANIC.set(info.to_string().replace('\n', " "));
        } else {
            tell(info);
        }
    }));
}
