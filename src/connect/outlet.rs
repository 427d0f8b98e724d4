//! An outlet whose jobs block: they run one after another on a thread of their own.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};

use crate::dataflow::edges::{Outlet, Wake};
use crate::error::{Error, Result};
use crate::limits::OUTLET_JOBS_MAX;

/// An answer: the ticket, and what became of its job.
type Answer = (u64, Result<()>);

/// Runs jobs in order on one thread. Dropping it lets the thread end after the job it is at; waiting jobs are not begun.
///
/// The thread is not joined: a job may hang on a dead disk or network, and whoever drops the outlet must be able to go on.
pub struct ThreadOutlet<J> {
    name: String,
    jobs: Sender<(u64, J)>,
    answers: Receiver<Answer>,
    refused: VecDeque<Answer>,
    /// Tickets taken and not yet answered; their number bounds both channels, which therefore take memory for what is in
    /// them only (a bounded channel takes all it may ever need at once, in every slot).
    open: BTreeSet<u64>,
    queue: usize,
    stop: Arc<AtomicBool>,
    wake: Wake,
}

impl<J: Send + 'static> ThreadOutlet<J> {
    /// Starts the thread under `name`; `work` does one job, `wake` is called after each answer.
    pub fn start(name: &str, wake: Wake, work: impl FnMut(J) -> Result<()> + Send + 'static) -> Result<Self> {
        Self::with_queue(name, OUTLET_JOBS_MAX, wake, work)
    }

    /// The same with room for `queue` jobs whose answers have not been polled.
    pub fn with_queue(
        name: &str,
        queue: usize,
        wake: Wake,
        work: impl FnMut(J) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (jobs, jobs_in) = unbounded();
        let (answers_out, answers) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let side = ThreadSide { jobs: jobs_in, answers: answers_out, stop: Arc::clone(&stop), wake: Arc::clone(&wake) };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || side.run(work))
            .map_err(|cause| Error::outside(format!("starting the thread {name}"), cause))?;
        Ok(ThreadOutlet {
            name: name.to_owned(),
            jobs,
            answers,
            refused: VecDeque::new(),
            open: BTreeSet::new(),
            queue,
            stop,
            wake,
        })
    }
}

/// What the thread holds.
struct ThreadSide<J> {
    jobs: Receiver<(u64, J)>,
    answers: Sender<Answer>,
    stop: Arc<AtomicBool>,
    wake: Wake,
}

impl<J> ThreadSide<J> {
    fn run(self, mut work: impl FnMut(J) -> Result<()>) {
        let ThreadSide { jobs, answers, stop, wake } = self;
        // Declared first, so dropped last of the two: whoever is woken by a thread that panics finds the channel closed.
        let _wake_at_end = WakeAtEnd(Arc::clone(&wake));
        let answers = answers;
        for (ticket, job) in jobs {
            if stop.load(Ordering::Acquire) || answers.send((ticket, work(job))).is_err() {
                return;
            }
            wake();
        }
    }
}

/// Wakes when the thread ends, however it does.
struct WakeAtEnd(Wake);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<J> Outlet<J> for ThreadOutlet<J> {
    fn submit(&mut self, ticket: u64, job: J) {
        let problem = if self.open.len() >= self.queue {
            format!("was given more jobs than the {} it may hold", self.queue)
        } else if self.jobs.send((ticket, job)).is_ok() {
            self.open.insert(ticket);
            return;
        } else {
            "has ended, yet was given a job".to_owned()
        };
        self.refused.push_back((ticket, Err(Error::bug(format!("the thread {} {problem}", self.name)))));
        (self.wake)();
    }

    fn poll(&mut self) -> Option<Answer> {
        if let Some(answer) = self.refused.pop_front() {
            return Some(answer);
        }
        match self.answers.try_recv() {
            Ok((ticket, answer)) => {
                self.open.remove(&ticket);
                Some((ticket, answer))
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let ticket = self.open.pop_first()?;
                let error = Error::bug(format!("the thread {} ended without an answer", self.name));
                Some((ticket, Err(error.ambiguous())))
            }
        }
    }
}

impl<J> Drop for ThreadOutlet<J> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
