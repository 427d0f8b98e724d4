//! The proof: what minuet promises, shown on the real binary. One module per concern.
#![allow(clippy::unwrap_used)]

mod architecture;
mod cases;
mod cluster;
mod crash;
mod departures;
mod documents;
mod harness;
mod memory;
mod oracle;
mod refusals;
mod shapes;
mod traps;
