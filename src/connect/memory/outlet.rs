//! An outlet without a thread: a job is done when it is submitted, or as late as the script says, which says when its answer comes.

use std::collections::VecDeque;

use super::faults::{Act, Faults};
use crate::connect::Keeper;
use crate::dataflow::edges::{Archive, Keep, Outlet, Wake};
use crate::error::Result;

/// When an answer comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// After this many more polls.
    Polls(u32),
    /// When the script has been released more often than this.
    Release(u64),
    /// After another answer.
    AfterNext,
}

/// What an answer will say.
enum Outcome<J> {
    Known(Result<()>),
    /// The job is yet to be done.
    Job(J),
}

struct Waiting<J> {
    ticket: u64,
    outcome: Outcome<J>,
    due: Due,
}

/// Does jobs under a script.
pub struct MemoryOutlet<J> {
    work: Box<dyn FnMut(J) -> Result<()>>,
    faults: Faults,
    waiting: VecDeque<Waiting<J>>,
    wake: Wake,
    tried: &'static str,
}

impl<J> MemoryOutlet<J> {
    /// An outlet that does each job by `work`; `tried` stands in the errors of the script.
    pub fn new(tried: &'static str, faults: Faults, wake: Wake, work: impl FnMut(J) -> Result<()> + 'static) -> Self {
        faults.wake_on_release(wake.clone());
        MemoryOutlet { work: Box::new(work), faults, waiting: VecDeque::new(), wake, tried }
    }

    /// The index of the answer that is due at this poll; all that wait for polls come one nearer.
    fn due(&mut self) -> Option<usize> {
        let released = self.faults.released();
        let due = self.waiting.iter().position(|waiting| match waiting.due {
            Due::Polls(left) => left == 0,
            Due::Release(since) => released > since,
            Due::AfterNext => false,
        });
        for waiting in &mut self.waiting {
            if let Due::Polls(left) = &mut waiting.due {
                *left = left.saturating_sub(1);
            }
        }
        // Nothing else will ever answer: an answer that should come after another comes now.
        let alone = self.waiting.iter().all(|waiting| waiting.due == Due::AfterNext) && !self.waiting.is_empty();
        due.or(alone.then_some(0))
    }
}

impl<J> Outlet<J> for MemoryOutlet<J> {
    fn submit(&mut self, ticket: u64, job: J) {
        let act = self.faults.begin();
        if let Act::Late(polls) = act {
            self.waiting.push_back(Waiting { ticket, outcome: Outcome::Job(job), due: Due::Polls(polls) });
            (self.wake)();
            return;
        }
        let work = &mut self.work;
        let answer = act.perform(self.tried, || work(job));
        let due = match act {
            Act::Delay(polls) => Due::Polls(polls),
            Act::Hold => Due::Release(self.faults.released()),
            Act::AfterNext => Due::AfterNext,
            _ => Due::Polls(0),
        };
        if act == Act::Twice {
            self.waiting.push_back(Waiting { ticket, outcome: Outcome::Known(answer.clone()), due });
        }
        self.waiting.push_back(Waiting { ticket, outcome: Outcome::Known(answer), due });
        (self.wake)();
    }

    fn poll(&mut self) -> Option<(u64, Result<()>)> {
        let Some(index) = self.due() else {
            if self.waiting.iter().any(|waiting| matches!(waiting.due, Due::Polls(_))) {
                // Polls bring it nearer, so there must be more of them.
                (self.wake)();
            }
            return None;
        };
        let answered = self.waiting.remove(index)?;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.due == Due::AfterNext) {
            waiting.due = Due::Polls(0);
        }
        let answer = match answered.outcome {
            Outcome::Known(answer) => answer,
            Outcome::Job(job) => (self.work)(job),
        };
        Some((answered.ticket, answer))
    }
}

/// An archive that does a keeper's work in the caller's thread.
pub struct MemoryArchive {
    keeper: Keeper,
    faults: Faults,
}

impl MemoryArchive {
    /// An archive of this keeper's history, under this script.
    pub fn new(keeper: Keeper, faults: Faults) -> Self {
        MemoryArchive { keeper, faults }
    }
}

impl Archive for MemoryArchive {
    fn open(&self, _slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Keep>>> {
        let keeper = self.keeper.clone();
        let work = move |job| keeper.keep(job);
        Ok(Box::new(MemoryOutlet::new("keeping a part or manifest", self.faults.clone(), wake, work)))
    }
}

#[cfg(test)]
mod tests;
