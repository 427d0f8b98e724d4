//! A partial with names instead of words: the neutral form that snapshots store and tests compare.

use super::Layout;
use super::exact_sum::ExactSum;
use crate::error::Result;
use crate::time::{Millis, Minute};

/// When an event was, in the order `first` and `last` go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct When {
    /// Its event time.
    pub time: Millis,
    /// [`super::record::order`] of its partition and place.
    pub order: u64,
}

/// A first or last value.
#[derive(Clone, Debug, PartialEq)]
pub enum Picked {
    /// A float.
    Float(f64),
    /// An integer.
    Integer(i64),
    /// An unscaled decimal.
    Decimal(i128),
    /// A text.
    Text(Vec<u8>),
}

/// A sum of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Sum {
    /// Of floats.
    Float(ExactSum),
    /// Of integers or unscaled decimals, and whether it left 128 bits.
    Integer {
        /// The sum, where it did not overflow.
        value: i128,
        /// Whether it did.
        overflowed: bool,
    },
}

/// What is kept of one input field; what the layout does not keep is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldState {
    /// Values that were there.
    pub count: u64,
    /// Values that were not zero.
    pub nonzero: Option<u64>,
    /// Their sum.
    pub sum: Option<Sum>,
    /// The smallest.
    pub min: Option<Picked>,
    /// The largest.
    pub max: Option<Picked>,
    /// The first.
    pub first: Option<(When, Picked)>,
    /// The last.
    pub last: Option<(When, Picked)>,
}

/// A partial of one (source, minute).
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// The source's bytes.
    pub source: Vec<u8>,
    /// The minute.
    pub minute: Minute,
    /// Events folded in.
    pub count: u64,
    /// One state per input field of the layout.
    pub fields: Vec<FieldState>,
}

impl Layout {
    /// Names the words of a partial record.
    pub fn unpack(&self, _record: &[u64]) -> Partial {
        todo!()
    }

    /// Appends the partial as a record; an error says what does not fit this layout.
    pub fn pack(&self, _partial: &Partial, _out: &mut Vec<u64>) -> Result<()> {
        todo!()
    }
}
