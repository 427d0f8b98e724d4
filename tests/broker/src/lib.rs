//! A double of a Pulsar broker: speaks the binary protocol from memory on a loopback port, answers as broker 4.0.7 was measured to
//! answer, and fails in the ways a test asks for while it runs.
//!
//! ```text
//! server.rs    Double: the port, its threads, what a test may do to the broker
//! world.rs     everything the broker knows, behind one lock; sessions that open, fall silent, close
//! session.rs   one command of one client, and its answer
//! consuming.rs SUBSCRIBE, ACK, SEEK and the rest of a consumer's commands
//! producing.rs PRODUCER, SEND, schemas
//! dispatch.rs  entries on their way to consumers, and what may happen to them there
//! topic.rs     ledgers, entries and cursors of one topic
//! faults.rs    what is to go wrong, where, how often
//! record.rs    what was asked, when, in which read
//! entry.rs     bodies of entries, true ones and lying ones
//! frame.rs     commands as bytes and back
//! client.rs    a small blocking client, for the double and for a real broker
//! ```

pub mod client;
mod consuming;
mod dispatch;
mod entry;
mod faults;
mod frame;
mod producing;
mod record;
mod server;
mod session;
mod topic;
mod world;

pub use entry::{Codec, Message, Shape};
pub use faults::{Babble, Damage, Fault, Reply};
pub use frame::{Frames, command, frame};
pub use pulsar::message::proto;
pub use pulsar::message::proto::base_command::Type;
pub use record::{Asked, Record};
pub use server::Double;
pub use topic::Position;
pub use world::Settings;

/// For ever, as a number of times.
pub const ALWAYS: u32 = u32::MAX;
