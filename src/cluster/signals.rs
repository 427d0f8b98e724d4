//! SIGTERM and SIGINT end a run cleanly; a second one ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::dataflow::Fate;
use crate::error::{Error, Result};

/// A run that signals can end.
#[derive(Clone, Debug)]
pub struct Stoppable {
    /// The fate of the run.
    pub fate: Fate,
    signal: Arc<AtomicI32>,
}

impl Stoppable {
    /// The exit code of a process that the signal ended.
    pub fn exit_code(&self) -> u8 {
        u8::try_from(128 + self.signal.load(Ordering::Acquire)).unwrap_or(u8::MAX)
    }
}

/// Listens until the process ends. Comes first in a verb: a signal must not find the process deaf while it opens its files.
pub fn stop_on_signals() -> Result<Stoppable> {
    let failed = |cause| Error::outside("listening for signals", cause);
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered first, so that it sees the flag as the signal before left it.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again)).map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&again)).map_err(failed)?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let came = Arc::new(AtomicI32::new(0));
    let stoppable = Stoppable { fate: Fate::default(), signal: Arc::clone(&came) };
    let (fate, seen) = (stoppable.fate.clone(), came);
    let listen = move || {
        if let Some(signal) = signals.forever().next() {
            seen.store(signal, Ordering::Release);
            fate.stop();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
    Ok(stoppable)
}
