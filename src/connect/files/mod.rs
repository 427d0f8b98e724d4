//! The edges on files: partitions are files ([`Files`]), rows go into a folder ([`FileSink`]), snapshots into another
//! ([`FolderStore`]).
//!
//! ```text
//!  source ──▶ container (Avro object container files) ──▶ codec ─┐
//!         └─▶ capture   (.events)                             input (bounded bytes with an offset)
//!  sink ────▶ rows (JSONEachRow) ─┐
//!  store ─────────────────────────┴─▶ durable (temporary name, sync, rename or link)
//! ```

pub mod capture;
mod codec;
pub mod container;
mod durable;
mod fence;
mod identity;
mod input;
mod ledger;
mod reader;
pub mod rows;
mod sink;
mod source;
mod store;

pub use input::Input;
pub use ledger::FolderLedger;
pub use sink::FileSink;
pub use source::Files;
pub use store::FolderStore;
