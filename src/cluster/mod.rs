//! Slots: how worker threads are launched and how a run ends.

mod launch;
mod resume;

pub use launch::{Outcome, launch};
pub use resume::{Begin, begin};
