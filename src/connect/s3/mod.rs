//! Snapshots in a bucket of S3, or of a server that speaks its protocol.
//!
//! ```text
//!  address   s3://BUCKET/PREFIX          settings  endpoint, region, encryption
//!  client    credentials, time-outs, tries
//!  store ─── the contract on it          failed    whose fault an answer is, and what to do about it
//!  probe     does the server keep a condition? asked when a run begins; and all else, step by step
//!  policy    the least rights that are needed
//! ```
//! Everything rests on one thing: a put with `If-None-Match: *` stores nothing where the name is taken, whoever else puts at the same
//! time. Manifests are put like that. A try whose answer is lost may have stored its bytes, and the next try is then refused because
//! of them; the history reads back what has the name and compares (`snapshot/history/claim.rs`).

mod address;
mod client;
mod failed;
mod policy;
mod probe;
mod settings;
mod store;

pub use address::Address;
pub use policy::policy;
pub use probe::probe;
pub use settings::{Encryption, Settings};
pub use store::S3Store;
