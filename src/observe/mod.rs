//! What a person sees of a run: counts as they grow, the live line, the log, the summary.

mod combining;
mod live;
mod log;
mod progress;
mod summary;

pub use combining::Combining;
pub use live::LiveLine;
pub use log::{LogFormat, start_log};
pub use progress::Progress;
pub use summary::{Summary, balance, committed};
