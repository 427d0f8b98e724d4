//! Rows in ClickHouse: the real binary against the real engine, killed, cut off and lied to.

mod doubt;
mod faults;
mod ledger;
mod probe;
mod rounds;
pub(crate) mod setup;
mod shards;
mod tables;
mod tls;
