//! A partial with names instead of words: the neutral form that snapshots store and tests compare.

use super::exact_sum::ExactSum;
use super::heap::Heap;
use super::layout::{Field, Layout, NO_ORDER, join, split};
use super::merge::{Heaped, State};
use super::record::{self, PARTIAL_HEADER_WORDS, Tail};
use super::{Kind, hash_source};
use crate::error::{Error, Result};
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
    /// Of integers or unscaled decimals: `value + carry * 2^128`.
    Integer {
        /// The lowest 128 bits, in two's complement.
        value: i128,
        /// How often the sum went round them; always 0 for integers.
        carry: i64,
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
    /// Appends a state as a partial record.
    pub(super) fn write_partial(&self, out: &mut Vec<u64>, hash: u64, minute: Minute, source: &[u8], state: State<'_>) {
        let start = out.len();
        out.extend_from_slice(&[0, hash, minute]);
        out.extend_from_slice(state.words);
        let mut tail = Tail::begin(out, start, source);
        for field in &self.fields {
            match field.kind {
                Kind::Text => {
                    for place in [field.first, field.last].into_iter().flatten() {
                        let span = tail.push(state.text(state.words[place + 2]));
                        tail.out[start + PARTIAL_HEADER_WORDS + place + 2] = span;
                    }
                }
                Kind::Float => {
                    let wide = |hi: &usize| f64::from_bits(state.words[*hi]).is_nan();
                    if let Some(hi) = field.sum.filter(wide) {
                        let lo = self.pair_lo(field, hi);
                        let parts = state.float_sum(hi, lo).to_parts();
                        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
                        let span = tail.push(&bytes);
                        tail.out[start + PARTIAL_HEADER_WORDS + lo] = span;
                    }
                }
                Kind::Integer | Kind::Decimal { .. } => {}
            }
        }
        tail.end();
    }

    /// Names the words of a partial record.
    pub fn unpack(&self, record: &[u64]) -> Partial {
        let fixed = PARTIAL_HEADER_WORDS + self.state_words();
        let words = record.get(PARTIAL_HEADER_WORDS..fixed).unwrap_or(&self.empty);
        let state = State { words, heap: Heaped::Tail(record::tail(record, fixed)) };
        let fields = self.fields.iter().map(|field| self.unpack_field(field, state)).collect();
        Partial {
            source: record::source(record, fixed).to_vec(),
            minute: record::minute(record),
            count: words[0],
            fields,
        }
    }

    fn unpack_field(&self, field: &Field, state: State<'_>) -> FieldState {
        let words = state.words;
        let count = field.count(words);
        let value = |place: Option<usize>| place.filter(|_| count > 0).map(|at| picked(field, at, state));
        let when = |at: usize| When { time: words[at].cast_signed(), order: words[at + 1] };
        let chosen = |place: Option<usize>| {
            place.filter(|at| words[at + 1] != NO_ORDER).map(|at| (when(at), picked(field, at + 2, state)))
        };
        let sum = field.sum.map(|at| match field.kind {
            Kind::Float => Sum::Float(state.float_sum(at, self.pair_lo(field, at))),
            Kind::Decimal { .. } => Sum::Integer { value: join(&words[at..]), carry: words[at + 2].cast_signed() },
            Kind::Integer | Kind::Text => Sum::Integer { value: join(&words[at..]), carry: 0 },
        });
        FieldState {
            count,
            nonzero: field.nonzero.map(|at| words[at]),
            sum,
            min: value(field.min),
            max: value(field.max),
            first: chosen(field.first),
            last: chosen(field.last),
        }
    }

    /// Appends the partial as a record; an error says what does not fit this layout.
    pub fn pack(&self, partial: &Partial, out: &mut Vec<u64>) -> Result<()> {
        if partial.fields.len() != self.fields.len() {
            return Err(Error::data(format!(
                "a partial has {} fields; the dataflow has {}",
                partial.fields.len(),
                self.fields.len()
            )));
        }
        let mut words = self.empty.clone();
        words[0] = partial.count;
        let mut heap = Heap::default();
        for (field, state) in self.fields.iter().zip(&partial.fields) {
            self.pack_field(field, state, &mut words, &mut heap).map_err(|what| {
                Error::data(format!("field {} of a partial has {what}, which the dataflow does not keep", field.bit))
            })?;
        }
        let state = State { words: &words, heap: Heaped::Table(&heap) };
        self.write_partial(out, hash_source(&partial.source), partial.minute, &partial.source, state);
        Ok(())
    }

    fn pack_field(
        &self,
        field: &Field,
        state: &FieldState,
        words: &mut [u64],
        heap: &mut Heap,
    ) -> std::result::Result<(), &'static str> {
        match field.absent {
            Some(at) => words[at] = words[0].wrapping_sub(state.count),
            None if state.count == 0 => {}
            None => return Err("a count"),
        }
        if let Some(nonzero) = state.nonzero {
            words[field.nonzero.ok_or("a count of values that are not zero")?] = nonzero;
        }
        if let Some(sum) = &state.sum {
            self.pack_sum(field, sum, words, heap)?;
        }
        for (value, place, what) in [(&state.min, field.min, "a minimum"), (&state.max, field.max, "a maximum")] {
            if let Some(value) = value {
                put(field, value, place.ok_or(what)?, words, heap)?;
            }
        }
        let chosen = [(&state.first, field.first, "a first value"), (&state.last, field.last, "a last value")];
        for (chosen, place, what) in chosen {
            if let Some((when, value)) = chosen {
                let at = place.ok_or(what)?;
                (words[at], words[at + 1]) = (when.time.cast_unsigned(), when.order);
                put(field, value, at + 2, words, heap)?;
            }
        }
        Ok(())
    }

    fn pack_sum(
        &self,
        field: &Field,
        sum: &Sum,
        words: &mut [u64],
        heap: &mut Heap,
    ) -> std::result::Result<(), &'static str> {
        let at = field.sum.ok_or("a sum")?;
        match (sum, &field.kind) {
            (Sum::Float(sum), Kind::Float) => {
                let lo = self.pair_lo(field, at);
                (words[at], words[lo]) = match sum.as_pair() {
                    Some((high, low)) => (high.to_bits(), low.to_bits()),
                    None => (f64::NAN.to_bits(), heap.widen(sum.clone())),
                };
            }
            (Sum::Integer { value, carry: 0 }, Kind::Integer) => words[at..at + 2].copy_from_slice(&split(*value)),
            (Sum::Integer { value, carry }, Kind::Decimal { .. }) => {
                words[at..at + 2].copy_from_slice(&split(*value));
                words[at + 2] = carry.cast_unsigned();
            }
            _ => return Err("a sum of another kind"),
        }
        Ok(())
    }
}

fn picked(field: &Field, at: usize, state: State<'_>) -> Picked {
    let words = &state.words[at..];
    match field.kind {
        Kind::Float => Picked::Float(f64::from_bits(words[0])),
        Kind::Integer => Picked::Integer(words[0].cast_signed()),
        Kind::Decimal { .. } => Picked::Decimal(join(words)),
        Kind::Text => Picked::Text(state.text(words[0]).to_vec()),
    }
}

fn put(
    field: &Field,
    value: &Picked,
    at: usize,
    words: &mut [u64],
    heap: &mut Heap,
) -> std::result::Result<(), &'static str> {
    match (value, &field.kind) {
        (Picked::Float(value), Kind::Float) => words[at] = value.to_bits(),
        (Picked::Integer(value), Kind::Integer) => words[at] = value.cast_unsigned(),
        (Picked::Decimal(value), Kind::Decimal { .. }) => words[at..at + 2].copy_from_slice(&split(*value)),
        (Picked::Text(text), Kind::Text) => heap.replace(&mut words[at], text),
        _ => return Err("a value of another kind"),
    }
    Ok(())
}
