//! Slots: how worker threads are launched and how a run ends.

mod launch;
mod resume;
mod signals;

pub use launch::{Outcome, launch};
pub use resume::{Begin, begin};
pub use signals::{Stoppable, stop_on_signals};
