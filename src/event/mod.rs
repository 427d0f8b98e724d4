//! Avro bytes to rows of numbers: the schema an operator wrote, the read plan compiled from it, and the decoder that runs it.
//!
//! ```text
//!  schema.avsc ──▶ ReaderSchema ──┐ (what the plan needs: Selection)
//!                                 ├──▶ ReadPlan ──▶ decode(bytes) ──▶ Row
//!  writer's schema ───────────────┘
//! ```

mod compile;
mod cursor;
mod decode;
mod defaults;
mod malformed;
mod names;
mod program;
mod read_plan;
mod resolve;
mod schema;
mod skip;
mod steps;
#[cfg(test)]
mod tests;

pub use malformed::{Malformed, Reason};
pub use read_plan::{CompileError, ReadPlan};
pub use schema::{Field, FieldError, FieldKind, ReaderSchema};

use crate::time::Millis;

/// What a dataflow needs of each event. Paths are dotted names in the reader's schema (`delays.dep`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The field that is the source (the key): a string, an enum, an int or a long.
    pub source: String,
    /// The field that is the event time; `None` where the publish time is.
    pub time: Option<String>,
    /// Measured and labelling fields, in the order in which a row carries them; at most [`crate::limits::FIELDS_MAX`].
    pub fields: Vec<String>,
}

/// A run of bytes in the payload that was decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte, from the start of the slice given to `decode`.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

/// The source of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A string's bytes, checked to be UTF-8 (for an enum: the index of its symbol stands in `Symbol`).
    Text(Span),
    /// An int or a long.
    Integer(i64),
    /// The index of an enum's symbol in the reader's schema.
    Symbol(u32),
}

/// One decoded event. Made once and filled again for each event: decoding allocates nothing.
///
/// `words` holds the selected fields one after another: one word each, two for a decimal (low, high word of the unscaled `i128`).
/// A float is its bits, an integer (int, long, date, timestamp: as written, in its own unit) its two's complement, a boolean 0 or 1,
/// an enum the index of its symbol in the *reader's* schema, a text `start << 32 | len` of its bytes in the payload.
#[derive(Clone, Debug)]
pub struct Row {
    /// The source.
    pub source: Source,
    /// Event time in milliseconds; 0 where the dataflow takes the publish time.
    pub time: Millis,
    /// Bit `i` is set where selected field `i` is there: not null and, for a float, finite.
    pub present: u64,
    /// The selected fields' values; what lies under an absent field is 0.
    pub words: Vec<u64>,
    /// Selected fields that were null in this event.
    pub nulls: u32,
    /// Selected fields that were NaN or infinite in this event.
    pub non_finite: u32,
}
