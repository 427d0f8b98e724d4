//! A partial whose minute is complete becomes a row.

use super::Kind;
use super::layout::{Field, Layout, NO_ORDER, Output, Render, SourceKind, Statistic, join};
use super::merge::{Heaped, State};
use super::record::{self, PARTIAL_HEADER_WORDS};
use crate::time::Minute;

/// Decimals have at most 38 digits, as ClickHouse's `Decimal(38, scale)`.
const DECIMAL_END: i128 = 10_i128.pow(38);

/// A value of a finished row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// There is no such value, or a sum does not fit its column.
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

impl FinishedRow {
    /// Its count: the value after the source.
    pub fn count(&self) -> u64 {
        match self.values.get(1) {
            Some(Value::Unsigned(count)) => *count,
            _ => 0,
        }
    }
}

/// A sum does not fit its column.
struct DoesNotFit;

impl Layout {
    /// The row of one partial record. An average is the exact sum, rounded to a double, divided by the count
    /// (of decimals, by the power of ten of their scale before).
    pub fn finish(&self, partial: &[u64]) -> FinishedRow {
        let fixed = PARTIAL_HEADER_WORDS + self.state_words();
        let Some(words) = partial.get(PARTIAL_HEADER_WORDS..fixed) else {
            debug_assert!(false, "a partial is shorter than its layout");
            return FinishedRow { minute: 0, values: vec![Value::Null; self.outputs.len() + 2], overflows: 0 };
        };
        let state = State { words, heap: Heaped::Tail(record::tail(partial, fixed)) };
        let mut values = Vec::with_capacity(self.outputs.len() + 2);
        values.push(self.source_value(record::source(partial, fixed)));
        values.push(Value::Unsigned(words[0]));
        let mut overflows = 0;
        for output in &self.outputs {
            values.push(self.output(output, state).unwrap_or_else(|DoesNotFit| {
                overflows += 1;
                Value::Null
            }));
        }
        FinishedRow { minute: record::minute(partial), values, overflows }
    }

    fn source_value(&self, bytes: &[u8]) -> Value {
        match &self.source {
            SourceKind::Text => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
            SourceKind::Integer(render) => {
                record::source_integer(bytes).map_or(Value::Null, |integer| rendered_integer(render, integer))
            }
        }
    }

    fn output(&self, output: &Output, state: State<'_>) -> Result<Value, DoesNotFit> {
        let field = &self.fields[output.field];
        let words = state.words;
        let count = field.count(words);
        let kept = |place: Option<usize>| place.filter(|_| count > 0);
        Ok(match output.statistic {
            Statistic::Count => Value::Unsigned(count),
            // The sum of no values is 0; there is no average, smallest or largest of them.
            Statistic::Sum => field.sum.map_or(Ok(Value::Null), |at| self.sum(field, at, state))?,
            Statistic::Avg => kept(field.sum)
                .and_then(|at| self.sum_as_float(field, at, state))
                .map_or(Value::Null, |sum| Value::Float(sum / count as f64)),
            Statistic::Min => kept(field.min).map_or(Value::Null, |at| plain(&field.kind, &words[at..])),
            Statistic::Max => kept(field.max).map_or(Value::Null, |at| plain(&field.kind, &words[at..])),
            Statistic::Share => {
                kept(field.nonzero).map_or(Value::Null, |at| Value::Float(words[at] as f64 / count as f64))
            }
            Statistic::First => picked(field, field.first, &output.render, state),
            Statistic::Last => picked(field, field.last, &output.render, state),
        })
    }

    fn sum(&self, field: &Field, at: usize, state: State<'_>) -> Result<Value, DoesNotFit> {
        match field.kind {
            Kind::Float => {
                let sum = state.float_sum(at, self.pair_lo(field, at));
                sum.value().map(Value::Float).ok_or(DoesNotFit)
            }
            Kind::Decimal { scale } => {
                let sum = join(&state.words[at..]);
                let fits = state.words[at + 2] == 0 && -DECIMAL_END < sum && sum < DECIMAL_END;
                if fits { Ok(Value::Decimal(sum, scale)) } else { Err(DoesNotFit) }
            }
            Kind::Integer | Kind::Text => {
                i64::try_from(join(&state.words[at..])).map(Value::Integer).map_err(|_| DoesNotFit)
            }
        }
    }

    /// The exact sum rounded to a double; `None` where it does not fit one (the sum itself is what is counted as not fitting).
    fn sum_as_float(&self, field: &Field, at: usize, state: State<'_>) -> Option<f64> {
        match field.kind {
            Kind::Float => state.float_sum(at, self.pair_lo(field, at)).value(),
            Kind::Decimal { scale } => {
                let fits = state.words[at + 2] == 0;
                fits.then(|| join(&state.words[at..]) as f64 / 10_i128.pow(scale) as f64)
            }
            Kind::Integer | Kind::Text => Some(join(&state.words[at..]) as f64),
        }
    }
}

fn plain(kind: &Kind, words: &[u64]) -> Value {
    match kind {
        Kind::Float => Value::Float(f64::from_bits(words[0])),
        Kind::Decimal { scale } => {
            let value = join(words);
            if -DECIMAL_END < value && value < DECIMAL_END { Value::Decimal(value, *scale) } else { Value::Null }
        }
        Kind::Integer | Kind::Text => Value::Integer(words[0].cast_signed()),
    }
}

fn picked(field: &Field, place: Option<usize>, render: &Render, state: State<'_>) -> Value {
    let Some(at) = place.filter(|at| state.words[at + 1] != NO_ORDER) else { return Value::Null };
    match (&field.kind, render) {
        (Kind::Text, render) => {
            let text = String::from_utf8_lossy(state.text(state.words[at + 2]));
            match render {
                Render::Format(format) | Render::MapFormat(_, format) => Value::Text(format.replacen("{}", &text, 1)),
                _ => Value::Text(text.into_owned()),
            }
        }
        (Kind::Integer, render) => rendered_integer(render, state.words[at + 2].cast_signed()),
        (kind, _) => plain(kind, &state.words[at + 2..]),
    }
}

fn rendered_integer(render: &Render, integer: i64) -> Value {
    match render {
        Render::Plain => Value::Integer(integer),
        Render::Boolean => Value::Boolean(integer != 0),
        Render::Symbols(symbols) => {
            let symbol = usize::try_from(integer).ok().and_then(|index| symbols.get(index));
            Value::Text(symbol.cloned().unwrap_or_else(|| integer.to_string()))
        }
        Render::Map(names) => Value::Text(names.get(&integer).cloned().unwrap_or_else(|| integer.to_string())),
        Render::Format(format) => Value::Text(format.replacen("{}", &integer.to_string(), 1)),
        Render::MapFormat(names, format) => {
            let name = names.get(&integer).cloned().unwrap_or_else(|| integer.to_string());
            Value::Text(format.replacen("{}", &name, 1))
        }
    }
}
