//! The slow, obvious way: keep all events, compute each row from scratch with big integers.

use std::collections::BTreeMap;
use std::ops::Range;

use num_bigint::BigInt;
use proptest::prelude::*;

use crate::aggregate::exact_sum::tests::{finite, nearest, whole};
use crate::aggregate::record::{self, EventHead, write_event};
use crate::aggregate::{FinishedRow, Kind, Layout, Output, Render, SourceKind, Statistic, Value, hash_source};
use crate::time::Minute;

/// An event of the dataflow under test.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    pub source: String,
    pub minute: Minute,
    pub second: u32,
    pub order: u64,
    pub floats: [Option<f64>; 6],
    pub integers: [Option<i64>; 2],
    pub decimal: Option<i128>,
    pub text: Option<String>,
}

const STATISTICS: [Statistic; 7] = [
    Statistic::Count,
    Statistic::Sum,
    Statistic::Min,
    Statistic::Max,
    Statistic::Avg,
    Statistic::Share,
    Statistic::First,
];

/// Two floats, an integer, a decimal, an integer, a text, four floats: runs of several lengths, every statistic.
const FIELDS: usize = 10;

fn kind(field: usize) -> Kind {
    match field {
        2 | 4 => Kind::Integer,
        3 => Kind::Decimal { scale: 2 },
        5 => Kind::Text,
        _ => Kind::Float,
    }
}

pub(super) fn dataflow() -> Layout {
    let mut outputs = Vec::new();
    let mut add = |field, statistic| {
        let name = format!("f{field}_{statistic:?}");
        outputs.push(Output { name, field, statistic, render: Render::Plain });
    };
    for field in (0..FIELDS).filter(|&field| field != 5) {
        STATISTICS.iter().for_each(|&statistic| add(field, statistic));
        add(field, Statistic::Last);
    }
    for statistic in [Statistic::Count, Statistic::First, Statistic::Last] {
        add(5, statistic);
    }
    Layout::new("source", SourceKind::Text, (0..FIELDS).map(kind).collect(), outputs)
}

impl Event {
    fn value(&self, field: usize) -> Option<Value> {
        match field {
            2 => self.integers[0].map(Value::Integer),
            4 => self.integers[1].map(Value::Integer),
            3 => self.decimal.map(|value| Value::Decimal(value, 2)),
            5 => self.text.clone().map(Value::Text),
            field => self.floats[if field < 2 { field } else { field - 4 }].map(Value::Float),
        }
    }

    fn time(&self) -> i64 {
        self.minute as i64 * 60_000 + i64::from(self.second) * 1_000
    }

    pub(super) fn record(&self) -> Vec<u64> {
        let mut words = Vec::new();
        let mut present = 0;
        let mut text_at = 0;
        for field in 0..FIELDS {
            let value = self.value(field);
            present |= u64::from(value.is_some()) << field;
            if field == 5 {
                text_at = words.len();
            }
            match value {
                Some(Value::Float(value)) => words.push(value.to_bits()),
                Some(Value::Integer(value)) => words.push(value.cast_unsigned()),
                Some(Value::Decimal(value, _)) => words.extend([value as u64, (value >> 64) as u64]),
                _ => words.extend(vec![0; kind(field).words()]),
            }
        }
        let source = self.source.as_bytes();
        let head = EventHead {
            hash: hash_source(source),
            minute: self.minute,
            time: self.time(),
            order: record::order(0, self.order),
            present,
        };
        let mut out = Vec::new();
        let texts = self.text.iter().map(|text| (text_at, text.as_bytes()));
        write_event(&mut out, &head, &words, source, texts);
        out
    }
}

fn decimal() -> impl Strategy<Value = i128> {
    let edge = 10i128.pow(38) - 1;
    prop_oneof![
        4 => -10_000i128..10_000,
        1 => any::<i128>(),
        1 => prop_oneof![Just(0), Just(1), Just(-1), Just(edge), Just(-edge), Just(i128::MAX), Just(i128::MIN)],
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -100i64..100, 1 => any::<i64>(), 1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(0)]]
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), Just(Some(String::new())), "[a-zä]{1,12}".prop_map(Some)]
}

fn event() -> impl Strategy<Value = Event> {
    let floats = prop::array::uniform6(prop::option::weighted(0.8, finite()));
    let plain = prop::array::uniform6((-100i32..100).prop_map(|value| Some(f64::from(value) / 8.0)));
    (
        0u32..4,
        10u64..14,
        0u32..60,
        prop_oneof![floats, plain],
        prop::array::uniform2(prop::option::weighted(0.8, integer())),
        prop::option::weighted(0.8, decimal()),
        text(),
    )
        .prop_map(|(source, minute, second, floats, integers, decimal, text)| Event {
            source: format!("source-{source}"),
            minute,
            second,
            order: 0,
            floats,
            integers,
            decimal,
            text,
        })
}

/// Events, each with an order of its own.
pub(super) fn events(len: Range<usize>) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), len).prop_map(|mut events| {
        for (order, event) in events.iter_mut().enumerate() {
            event.order = order as u64;
        }
        events
    })
}

pub(super) fn row_key(row: &FinishedRow) -> (String, Minute) {
    (format!("{:?}", row.values[0]), row.minute)
}

#[derive(Default)]
pub(super) struct Oracle {
    events: BTreeMap<(String, Minute), Vec<Event>>,
}

impl Oracle {
    pub(super) fn add(&mut self, event: &Event) {
        self.events.entry((event.source.clone(), event.minute)).or_default().push(event.clone());
    }

    /// All rows, by source and minute.
    pub(super) fn rows(&self) -> Vec<FinishedRow> {
        self.events.iter().map(|((source, minute), events)| row(source, *minute, events)).collect()
    }
}

fn row(source: &str, minute: Minute, events: &[Event]) -> FinishedRow {
    let mut ordered = events.to_vec();
    ordered.sort_by_key(|event| (event.time(), event.order));
    let mut row = FinishedRow {
        minute,
        values: vec![Value::Text(source.to_owned()), Value::Unsigned(events.len() as u64)],
        overflows: 0,
    };
    // In the order of the outputs: the text comes last.
    for field in (0..FIELDS).filter(|&field| field != 5).chain([5]) {
        let values: Vec<Value> = ordered.iter().filter_map(|event| event.value(field)).collect();
        let statistics: Vec<Statistic> = if field == 5 {
            vec![Statistic::Count, Statistic::First, Statistic::Last]
        } else {
            STATISTICS.into_iter().chain([Statistic::Last]).collect()
        };
        for statistic in statistics {
            let (value, fits) = statistic_of(statistic, &values, zero_of(field));
            row.values.push(value);
            row.overflows += u32::from(!fits);
        }
    }
    row
}

/// The sum of no values.
fn zero_of(field: usize) -> Value {
    match kind(field) {
        Kind::Float => Value::Float(0.0),
        Kind::Integer => Value::Integer(0),
        Kind::Decimal { scale } => Value::Decimal(0, scale),
        Kind::Text => Value::Null,
    }
}

/// The exact sum: of floats in units of 2^-1074.
fn exact(values: &[Value]) -> BigInt {
    let number = |value: &Value| match value {
        Value::Float(value) => whole(*value),
        Value::Integer(value) => BigInt::from(*value),
        Value::Decimal(value, _) => BigInt::from(*value),
        _ => BigInt::from(0),
    };
    values.iter().map(number).sum()
}

/// A value, and whether it fits.
fn statistic_of(statistic: Statistic, values: &[Value], zero: Value) -> (Value, bool) {
    if statistic == Statistic::Count {
        return (Value::Unsigned(values.len() as u64), true);
    }
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        let zero = if statistic == Statistic::Sum { zero } else { Value::Null };
        return (zero, true);
    };
    let total = exact(values);
    let value = match statistic {
        Statistic::First => Some(fitting(first.clone())),
        Statistic::Last => Some(fitting(last.clone())),
        Statistic::Min => values.iter().cloned().reduce(|a, b| if less(&b, &a) { b } else { a }).map(fitting),
        Statistic::Max => values.iter().cloned().reduce(|a, b| if less(&a, &b) { b } else { a }).map(fitting),
        Statistic::Share => {
            let nonzero = values.iter().filter(|value| exact(&[(*value).clone()]) != BigInt::from(0)).count();
            Some(Value::Float(nonzero as f64 / values.len() as f64))
        }
        Statistic::Sum => match first {
            Value::Float(_) => nearest(&total).map(Value::Float),
            Value::Integer(_) => i64::try_from(&total).ok().map(Value::Integer),
            _ => {
                i128::try_from(&total).ok().map(|sum| Value::Decimal(sum, 2)).filter(|sum| *sum == fitting(sum.clone()))
            }
        },
        _ => {
            // A whole number as a double: units of 2^-1074 are its 2^1074-fold.
            let rounded = match first {
                Value::Float(_) => nearest(&total),
                _ => i128::try_from(&total).ok().and_then(|_| nearest(&(total << 1074))),
            };
            let scale = if matches!(first, Value::Decimal(..)) { 100.0 } else { 1.0 };
            let average = rounded.map_or(Value::Null, |sum| Value::Float(sum / scale / values.len() as f64));
            return (average, true);
        }
    };
    let fits = value.is_some();
    (value.unwrap_or(Value::Null), fits)
}

fn fitting(value: Value) -> Value {
    match value {
        Value::Decimal(unscaled, _) if unscaled.unsigned_abs() >= 10u128.pow(38) => Value::Null,
        other => other,
    }
}

fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a < b,
        _ => exact(std::slice::from_ref(a)) < exact(std::slice::from_ref(b)),
    }
}
