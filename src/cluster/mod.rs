//! Processes and slots: how processes meet, how worker threads are launched, how a run begins and ends.
//!
//! [`Mesh`] is the way through this folder: `hosts` says who is meant, `door` and `dial` meet them with a `handshake`, in the
//! `hall` they come together, `link` keeps each in sight, `data` is what timely gets.

mod data;
mod dial;
mod door;
mod growth;
mod hall;
pub mod handshake;
mod hosts;
mod launch;
mod link;
mod mesh;
mod resume;
mod signals;
mod socket;

pub use hosts::{Hosts, Secret};
pub use launch::{Outcome, launch};
pub use mesh::Mesh;
pub use resume::{Begin, begin, join};
pub use signals::{Stoppable, stop_on_signals};
