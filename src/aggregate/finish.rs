//! A partial whose minute is complete becomes a row.

use super::Layout;
use crate::time::Minute;

/// A value of a finished row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value was there, or a sum does not fit its column.
    Null,
    /// `UInt64`.
    Unsigned(u64),
    /// `Int64`.
    Integer(i64),
    /// `Float64`, finite.
    Float(f64),
    /// An unscaled decimal with its scale.
    Decimal(i128, u32),
    /// `Bool`.
    Boolean(bool),
    /// `String`.
    Text(String),
}

/// A row, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedRow {
    /// Its minute (`window_start` is this times 60 seconds).
    pub minute: Minute,
    /// The values of [`Layout::columns`] after `window_start`: the source, the count, the outputs.
    pub values: Vec<Value>,
    /// Sums of this row that do not fit their column and are written as null.
    pub overflows: u32,
}

impl Layout {
    /// The row of one partial record.
    pub fn finish(&self, _partial: &[u64]) -> FinishedRow {
        todo!()
    }
}
