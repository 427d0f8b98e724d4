//! Seeded events for any dataflow's schema: what `minuet demo` reads and `minuet gen` writes.
//!
//! ```text
//!  schema, source and time field ──▶ compile ──▶ Encoder ─┐
//!                                                         ├──▶ Generator::fill(partition, entry) ──▶ Batch
//!  Spec (knobs) ──▶ Timeline, Pick ───────────────────────┘        │
//!                                                  Generated (edges::Source)   write (files, standard output), topic (Pulsar)
//! ```
//!
//! Every entry is a pure function of (schema, spec, partition, entry number): its random numbers begin anew from these, so a
//! partition can be generated alone and resumed at any entry without generating what came before. Nothing here knows a word
//! of any domain; values follow from the kind of a field and from its name as a seed.

mod batch;
mod compile;
mod container;
mod encode;
mod json;
mod pick;
mod random;
mod source;
mod spec;
mod timeline;
mod topic;
mod write;

pub use batch::{Batch, Generator, Tally};
pub use encode::{Encoder, Event};
pub use random::{Chance, Random};
pub use source::{Generated, Pace};
pub use spec::{Extent, Spec, parse_duration, parse_time};
pub use topic::{Sending, to_topic};
pub use write::{Format, Summary, to_folder, to_stream};

#[cfg(test)]
mod tests;
