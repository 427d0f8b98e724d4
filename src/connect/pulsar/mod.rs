//! Apache Pulsar: partitions of a topic, read and written over connections of our own.
//!
//! ```text
//!  address     pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC
//!  security    TLS, token, OAuth2
//!  wire/       frames, commands, entries: bytes only, nothing waits
//!  connection  one connection to one broker: CONNECT, request and answer, PING
//!  admin       topics, policies and subscriptions over HTTP, for what is done by hand
//!  client      which broker owns a topic, and a connection to it
//! ```
//! The protocol's messages are the types of the `pulsar` crate; its consumer and producer are not used: they split entries
//! one message at a time, hide reconnects, and keep one batch in flight.

pub mod address;
pub mod admin;
pub mod client;
pub mod connection;
mod failed;
mod pipe;
pub mod security;
mod socket;
pub mod wire;

pub use address::{Address, Topic};
pub use client::Client;
pub use connection::{Connection, Frame, LastMessage};
pub use failed::{Cause, Failed};
pub use security::{Auth, Secret, Security};
