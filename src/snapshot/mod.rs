//! Snapshots: what is stored of a pipeline so that it can go on after any crash, and the contract of the place it is stored in.
//!
//! ```text
//!  <pipeline>/manifests/<sequence, 20 digits>.json   one manifest, put only if that name is free; the newest is the truth
//!  <pipeline>/parts/<attempt>-<commit>-<slot>.avro    the open partials of one slot (an Avro object container file)
//! ```

mod cut;
mod history;
mod key_group;
mod manifest;
pub mod part;
mod store;

pub use cut::{Counters, PartitionCut, Position, RejectsKept, Unreadable};
pub use history::{Finding, From, History, Shown, ShownPart, Summary};
pub use key_group::{key_group, lane, slot_of};
pub use manifest::{Manifest, OpenMinute, PartRef, Totals};
pub use store::Store;
