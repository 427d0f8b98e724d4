//! Apache Pulsar: partitions of a topic, read and written over connections of our own.
//!
//! ```text
//!  address     pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC
//!  security    TLS, token, OAuth2; tls: a connector of the newest certificates
//!  wire/       frames, commands, entries: bytes only, nothing waits
//!  connection  one connection to one broker: CONNECT, request and answer, PING
//!  probe       tries all that a run will need, for `minuet check --connect`
//!  admin       topics, policies and subscriptions over HTTP, for what is done by hand
//!  client      which broker owns a topic, and a connection to it
//!
//!  source      the topic as a source; schemas: the versions its entries were written with
//!  reader      one slot's partitions ◀── handover: a few opened entries ◀── partition/: one task, one connection each
//!              spare: entries that were read ──▶
//!  order       what the next entry must be       ╲
//!  window      permits, and what they may bring   ├ pure, but for the counters of the process
//!  budget      the bytes of the process          ╱
//!  status      a partition in numbers
//!
//!  producer    sends with a window in flight
//! ```
//! The protocol's messages are the types of the `pulsar` crate; its consumer and producer are not used: they split entries
//! one message at a time, hide reconnects, and keep one batch in flight.

pub mod address;
pub mod admin;
mod budget;
pub mod client;
pub mod connection;
mod failed;
mod handover;
mod order;
mod partition;
mod pipe;
pub mod probe;
pub mod producer;
mod reader;
mod schemas;
pub mod security;
mod socket;
pub mod source;
mod spare;
mod status;
mod tls;
mod window;
pub mod wire;

pub use address::{Address, Topic};
pub use client::Client;
pub use connection::{Connection, Frame, LastMessage};
pub use failed::{Cause, Failed};
pub use partition::Begin;
pub use schemas::Check;
pub use security::{Auth, Security};
pub use source::{Config, PulsarSource};
pub use status::PartitionStatus;
