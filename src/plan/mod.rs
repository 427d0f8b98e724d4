//! A dataflow's folder, as written and as checked.
//!
//! [`load`] reads `dataflow.toml` and the schema it names and gives a [`Plan`], or every problem at once.
//!
//! ```text
//!  dataflow.toml ─ folder ─▶ Table ─ written ─▶ Written ──┐
//!                                                         ├─ resolve ─▶ Resolved ─ checked ─▶ Plan ─ describe ─▶ words
//!  schema.avsc ─── folder ─▶ ReaderSchema ────────────────┘
//! ```

use std::sync::Arc;

use crate::aggregate::Layout;
use crate::event::{ReaderSchema, Selection};
use crate::time::Millis;

mod checked;
mod describe;
mod duration;
mod fingerprint;
mod folder;
mod problem;
mod resolve;
mod section;
mod statistics;
mod written;

pub use checked::load;
pub use describe::{ColumnOut, Description, clickhouse_type};
pub use problem::Problem;

/// A checked dataflow: everything that follows can rely on it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The dataflow's name, which is also the pipeline's: the name of its folder.
    pub name: String,
    /// The schema that its fields are named in.
    pub schema: Arc<ReaderSchema>,
    /// What is read of each event.
    pub selection: Selection,
    /// What is kept per source and minute, and the columns out.
    pub layout: Arc<Layout>,
    /// How much an event may come after a later one of its partition without being late.
    pub out_of_order: Millis,
    /// How far an event's time may lie past its publish time.
    pub max_ahead: Millis,
    /// How long a partition that was read to its end must be quiet before it no longer holds the others back.
    pub idle_after: Millis,
    /// Key groups of the pipeline.
    pub key_groups: u32,
    /// Lanes of the pipeline.
    pub lanes: u32,
    /// Rows of one insert, at most.
    pub rows_per_insert: u32,
    /// SHA-256, in hex, of everything above that changes what a row or a stored state means.
    pub fingerprint: String,
}
