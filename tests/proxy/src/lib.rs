//! A proxy before an HTTP/1.1 server, on a loopback port, that does to chosen requests what networks and servers do on bad days. It
//! passes on heads and bodies byte by byte as they are, so that signed requests stay valid.
//!
//! ```text
//! proxy.rs    Proxy: the port, its threads, what a test may do
//! faults.rs   which requests, what becomes of them, how often
//! exchange.rs one client's connection: requests and answers in turn
//! message.rs  heads and bodies
//! tls.rs      the end of TLS before the server
//! ```

mod exchange;
mod faults;
mod message;
mod proxy;
mod tls;

pub use faults::{Fault, Outcome, Requests, Seen};
pub use proxy::Proxy;

/// For ever, as a number of times.
pub const ALWAYS: u32 = u32::MAX;
