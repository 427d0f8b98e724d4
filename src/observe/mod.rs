//! What a person sees of a run: counts as they grow, the live line, the log, the summary.

mod combining;
pub mod health;
mod histogram;
pub mod http;
mod live;
mod log;
mod process;
mod progress;
mod remembered;
pub mod status;
mod summary;
mod told;

pub use combining::Combining;
pub use histogram::{BOUNDS, Times};
pub use live::LiveLine;
pub use log::{LogFormat, start_log};
pub use progress::Progress;
pub use remembered::CommitLedger;
pub use summary::{Summary, balance, committed};
pub use told::{Told, Took};
