//! The edges in memory, with faults on demand ([`Faults`]): what a disk, a network or another run may do, said by a script.
//!
//! Nothing here has a thread or a clock: work is done when it is submitted, answers come when they are polled for. So a test
//! that drives the graph from one thread has the same run again from the same script.

mod faults;
mod outlet;
mod sink;
mod source;
mod store;

pub use faults::{Act, Faults};
pub use outlet::{MemoryArchive, MemoryOutlet};
pub use sink::{Collected, MemorySink, Told};
pub use source::{MemorySource, Standing, payload_entry};
pub use store::MemoryStore;
