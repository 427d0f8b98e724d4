//! What the benches share: their arguments, the events they read, and how they take and write down figures.

#![allow(dead_code, unused_imports, reason = "each bench uses its part")]

mod ask;
mod figures;
mod meter;
mod pool;
mod recorder;

pub use ask::Ask;
pub use figures::{Figures, Report};
pub use meter::{Cost, Meter, thread_cpu};
pub use pool::{PARTITIONS, Pool, plan};
pub use recorder::Recorder;

// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
