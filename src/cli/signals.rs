//! SIGTERM and SIGINT end a run cleanly; a second one ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::dataflow::Fate;
use crate::error::{Error, Result};

/// Listens until the process ends; gives the number of the signal that came, 0 before.
pub(crate) fn stop_on_signals(fate: &Fate) -> Result<Arc<AtomicI32>> {
    let failed = |cause| Error::outside("listening for signals", cause);
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered first, so that it sees the flag as the signal before left it.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again)).map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&again)).map_err(failed)?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let came = Arc::new(AtomicI32::new(0));
    let (fate, seen) = (fate.clone(), Arc::clone(&came));
    let listen = move || {
        if let Some(signal) = signals.forever().next() {
            seen.store(signal, Ordering::Release);
            fate.stop();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
    Ok(came)
}
