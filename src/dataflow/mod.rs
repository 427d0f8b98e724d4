//! The timely graph. Pure: no network, no file, no wall clock; everything outside is behind the traits of [`edges`].
//!
//! For the graph on one screen read [`build`] first.

mod batch;
pub mod build;
mod close;
mod commit;
mod control;
pub mod edges;
mod fate;
mod flush;
mod minutes;
mod read;
mod report;
mod store;
mod wire;

pub use batch::{Batch, ByHash, Records};
pub use build::{Job, Resume};
pub use fate::Fate;
pub use read::Combine;
