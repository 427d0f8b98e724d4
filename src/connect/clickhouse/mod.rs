//! Rows in ClickHouse, over its HTTP interface.
//!
//! ```text
//!  address    where the tables are: servers, database, name
//!  tables     what they are, and the statements that make them; preflight: whether those that are there fit
//!
//!  sink       checks, makes ready, opens; outlet: a slot's way in, a few inserts at a time
//!  writer     tokens, doubt, healing: why a block is there once; block, lines: the bytes that are sent
//!  probe      all that a run needs, tried step by step
//!  kept       how long tables keep their lines
//!  ledger     the tables read back to be checked; answers: what a server answers, line by line, however much it is
//!  server     one server, asked with patience; breaker: one at a time while it fails; failed: what its errors mean;
//!             transport: its connections
//! ```
//! Every insert is acknowledged by the server before its commit can become the truth. What fails in a way that passes is tried for as
//! long as the run goes on, with the same bytes and the same token; meanwhile nothing commits, and reading stops at its bound.

pub mod address;
mod answers;
mod block;
mod breaker;
mod failed;
mod kept;
mod ledger;
mod lines;
mod outlet;
mod preflight;
mod probe;
mod server;
mod sink;
pub mod tables;
mod transport;
mod writer;

pub use address::Address;
pub use ledger::TablesLedger;
pub use probe::probe;
pub use server::{Reread, User};
pub use sink::{ClickHouseSink, Config, Encounters, Over};
pub use tables::{Form, Tables};
