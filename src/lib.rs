//! minuet: exactly-once, one-minute event-time aggregates on timely dataflow.
//!
//! ARCHITECTURE.md draws the way of an event through these modules, lowest layer first.

pub mod limits;

pub mod error;
pub mod mutation;
pub mod time;

pub mod aggregate;
pub mod event;

pub mod plan;
pub mod snapshot;

pub mod dataflow;

pub mod ledger;

pub mod connect;

pub mod cluster;
pub mod observe;

pub mod cli;
