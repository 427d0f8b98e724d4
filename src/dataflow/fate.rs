//! How a run ends early: one error, a wish to stop, or a wish to begin again; seen by every slot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// Shared by all slots of a process. Operators never panic on what comes from outside: they fail the run here, and the worker
/// loops end. A failed operator keeps its capabilities: dropping them would say that its epoch is complete, and a manifest
/// could be stored for what was never read.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    shared: Arc<Shared>,
    /// That of the process, whose end is the end of every run in it.
    process: Option<Arc<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// The run is to end at its next commit and to begin again.
    outgrown: AtomicBool,
    /// It has ended for that reason.
    renewed: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Fate {
    /// A fate for one run of the process whose fate this is: it ends with it, and what ends it alone is not passed on, so that a
    /// run can follow another whose threads are still saying their last words.
    pub fn of_run(&self) -> Fate {
        Fate { shared: Arc::default(), process: Some(Arc::clone(&self.shared)) }
    }

    /// Ends the run with an error; the first one counts.
    pub fn fail(&self, error: Error) {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop();
    }

    /// Ends the run without an error.
    pub fn stop(&self) {
        self.shared.over.store(true, Ordering::Release);
    }

    /// The source has more partitions than the run knows: it is to end at its next commit.
    pub fn outgrow(&self) {
        self.shared.outgrown.store(true, Ordering::Release);
    }

    /// Whether [`Fate::outgrow`] was called.
    pub fn is_outgrown(&self) -> bool {
        self.shared.outgrown.load(Ordering::Acquire)
    }

    /// Ends the run without an error, to begin again.
    pub fn renew(&self) {
        self.shared.renewed.store(true, Ordering::Release);
        self.stop();
    }

    /// Whether the run has ended only to begin again.
    pub fn is_renewed(&self) -> bool {
        let stopped = self.process.as_ref().is_some_and(|process| process.over.load(Ordering::Acquire));
        self.shared.renewed.load(Ordering::Acquire) && self.error().is_none() && !stopped
    }

    /// Whether the run is to end.
    pub fn is_over(&self) -> bool {
        let over = |shared: &Arc<Shared>| shared.over.load(Ordering::Acquire);
        over(&self.shared) || self.process.as_ref().is_some_and(over)
    }

    /// The error that ended it.
    pub fn error(&self) -> Option<Error> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_with_its_process_and_not_the_other_way_round() {
        let process = Fate::default();
        let (first, second) = (process.of_run(), process.of_run());
        first.fail(Error::bug("a word of the last run"));
        assert!(first.is_over() && !second.is_over() && !process.is_over());
        process.stop();
        assert!(second.is_over() && second.error().is_none());
    }

    #[test]
    fn only_a_run_that_ended_for_no_other_reason_begins_again() {
        let process = Fate::default();
        let run = process.of_run();
        run.outgrow();
        assert!(run.is_outgrown() && !run.is_over());
        run.renew();
        assert!(run.is_over() && run.is_renewed());
        let failed = process.of_run();
        failed.renew();
        failed.fail(Error::bug("it failed too"));
        assert!(!failed.is_renewed());
        process.stop();
        assert!(!run.is_renewed(), "a process that was asked to end begins no run");
    }
}
