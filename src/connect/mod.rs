//! The traits of [`crate::dataflow::edges`] made real.
//!
//! ```text
//!  clickhouse/ tables of ClickHouse: a sink only
//!  files/    partitions are files, rows go into a folder, snapshots into another
//!  generate/ entries made from a seed: a source only
//!  memory/   the same in memory, with faults on demand, for tests
//!  pulsar/   partitions of a topic of Apache Pulsar
//!  s3/       snapshots in a bucket of S3
//! ```
//! Each holds the same file names (`source`, `sink`, `store`), so knowing one is knowing all. What blocks runs on a thread
//! behind [`outlet::ThreadOutlet`]; [`Keeper`] puts a pipeline's history behind any store, and [`Patient`] waits
//! for one that is away.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

mod archive;
mod backoff;
pub mod clickhouse;
pub mod files;
pub mod generate;
pub mod memory;
mod object_name;
pub mod outlet;
mod patient;
pub mod probe;
pub mod pulsar;
mod runtime;
pub mod s3;
mod secret;
mod tls;

pub use archive::Keeper;
pub use patient::{GivenUp, Patient, StoreMet};
pub use secret::Secret;

/// A random number: the standard library seeds its hashers from the system's.
pub fn random_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A named step at which a test may end the process (`FAILPOINTS=rows-renamed=return`); nothing unless the feature
/// `failpoints` is on. `return` aborts, as a power cut would; the other actions are those of the `fail` crate.
#[cfg_attr(not(feature = "failpoints"), allow(unused_variables, reason = "the macro is empty without the feature"))]
pub fn failpoint(name: &str) {
    fail::fail_point!(name, |_| std::process::abort());
}

#[cfg(all(test, feature = "failpoints"))]
mod tests;
