//! The proof: what minuet promises, shown on the real binary. One module per concern.
#![allow(clippy::unwrap_used)]

mod architecture;
#[cfg(target_os = "linux")]
mod bounded;
mod cases;
mod clickhouse;
mod cluster;
mod combine;
mod crash;
mod departures;
mod documents;
mod environment;
mod faulty_topic;
mod fuzz;
mod harness;
mod ledger;
mod memory;
mod operate;
mod oracle;
mod pulsar;
mod refusals;
mod s3;
mod servers;
mod shapes;
mod store;
mod systems;
mod traps;
