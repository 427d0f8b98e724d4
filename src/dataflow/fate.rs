//! How a run ends early: one error, or a wish to stop, seen by every slot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// Shared by all slots of a process. Operators never panic on what comes from outside: they fail the run here, and the worker
/// loops end. A failed operator keeps its capabilities: dropping them would say that its epoch is complete, and a manifest
/// could be stored for what was never read.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Fate {
    /// Ends the run with an error; the first one counts.
    pub fn fail(&self, error: Error) {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop();
    }

    /// Ends the run without an error.
    pub fn stop(&self) {
        self.shared.over.store(true, Ordering::Release);
    }

    /// Whether the run is to end.
    pub fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Acquire)
    }

    /// The error that ended it.
    pub fn error(&self) -> Option<Error> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
