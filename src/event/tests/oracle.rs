//! Expected rows by way of apache-avro, and rows as something that can be compared.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::{Schema, Uuid};

use crate::event::{FieldKind, ReadPlan, ReaderSchema, Row, Selection, Source};

/// One value of an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Not there, null.
    Null,
    /// A float that is NaN or infinite.
    NonFinite,
    Float(f64),
    Integer(i64),
    Boolean(bool),
    Text(String),
    /// A text that apache-avro holds as a number, and so forgets how it was written.
    Id(Uuid),
    Symbol(u32),
    Decimal(i128),
}

/// One event: source, time and selected fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) source: Cell,
    pub(super) time: i64,
    pub(super) fields: Vec<Cell>,
}

/// A selection by words.
pub(super) fn select(source: &str, time: Option<&str>, fields: &[&str]) -> Selection {
    Selection {
        source: source.to_owned(),
        time: time.map(str::to_owned),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    }
}

/// Decodes the front of `bytes` with apache-avro; the value and the bytes it took.
pub(super) fn slow_value(
    writer: &Schema,
    reader: Option<&Schema>,
    bytes: &[u8],
) -> Result<(Value, usize), apache_avro::Error> {
    let mut rest = bytes;
    let datum = match reader {
        Some(reader) => GenericDatumReader::builder(writer).reader_schema(reader).build()?,
        None => GenericDatumReader::builder(writer).build()?,
    };
    let value = datum.read_value(&mut rest)?;
    Ok((value, bytes.len() - rest.len()))
}

/// What the plan must make of a value that was decoded.
pub(super) fn expected(value: &Value, reader: &ReaderSchema, selection: &Selection) -> Event {
    let cell = |path: &String| {
        let kind = reader.field(path).expect("the path was checked").kind;
        cell_of(at(value, path), &kind)
    };
    let time = selection.time.as_ref().map_or(0, |path| match at(value, path) {
        Value::Date(days) => i64::from(*days) * 86_400_000,
        Value::TimestampMillis(time) | Value::LocalTimestampMillis(time) | Value::Long(time) => *time,
        Value::TimestampMicros(time) | Value::LocalTimestampMicros(time) => time.div_euclid(1_000),
        Value::TimestampNanos(time) | Value::LocalTimestampNanos(time) => time.div_euclid(1_000_000),
        other => panic!("{other:?} is no time"),
    });
    Event { source: cell(&selection.source), time, fields: selection.fields.iter().map(cell).collect() }
}

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    let inside = |value: &'v Value| match value {
        Value::Union(_, inner) => &**inner,
        other => other,
    };
    path.split('.').fold(inside(value), |value, part| match value {
        Value::Record(fields) => {
            let (_, value) = fields.iter().find(|(name, _)| name == part).expect("the field is there");
            inside(value)
        }
        Value::Null => value,
        other => panic!("{other:?} has no {part}"),
    })
}

fn float(value: f64) -> Cell {
    if value.is_finite() { Cell::Float(value) } else { Cell::NonFinite }
}

fn cell_of(value: &Value, kind: &FieldKind) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Boolean(value) => Cell::Boolean(*value),
        Value::Float(value) => float(f64::from(*value)),
        Value::Double(value) => float(*value),
        Value::Int(value) | Value::Date(value) | Value::TimeMillis(value) => Cell::Integer(i64::from(*value)),
        Value::Long(value)
        | Value::TimeMicros(value)
        | Value::TimestampMillis(value)
        | Value::TimestampMicros(value)
        | Value::TimestampNanos(value)
        | Value::LocalTimestampMillis(value)
        | Value::LocalTimestampMicros(value)
        | Value::LocalTimestampNanos(value) => Cell::Integer(*value),
        Value::String(text) => Cell::Text(text.clone()),
        Value::Uuid(id) => Cell::Id(*id),
        Value::Enum(_, symbol) => match kind {
            FieldKind::Enum { symbols } => {
                Cell::Symbol(symbols.iter().position(|known| known == symbol).expect("a known symbol") as u32)
            }
            other => panic!("an enum where {other:?} was expected"),
        },
        Value::Decimal(decimal) => {
            // Its own way to bytes refuses a decimal that was read from none, which is 0.
            let unscaled = num_bigint::BigInt::from(decimal.clone());
            Cell::Decimal(unscaled.try_into().expect("the plan has read it, so it fits 128 bits"))
        }
        other => panic!("{other:?} is not usable"),
    }
}

/// Base 256, digit by digit; the first one has the sign.
pub(super) fn slow_unscaled(digits: &[u8]) -> i128 {
    let mut value = 0_i128;
    for (index, digit) in digits.iter().enumerate() {
        let digit = if index == 0 { i128::from(digit.cast_signed()) } else { i128::from(*digit) };
        value = value.checked_mul(256).and_then(|value| value.checked_add(digit)).expect("fits 128 bits");
    }
    value
}

/// What a row says, after checking that its counts and its absent words agree with it.
pub(super) fn event_of(row: &Row, reader: &ReaderSchema, selection: &Selection, payload: &[u8]) -> Event {
    let text = |start: usize, len: usize| {
        String::from_utf8(payload[start..start + len].to_vec()).expect("a text that was read is UTF-8")
    };
    let mut word = 0;
    let mut absent = 0;
    let mut fields = Vec::new();
    for (index, path) in selection.fields.iter().enumerate() {
        let kind = reader.field(path).expect("the path was checked").kind;
        let wide = matches!(kind, FieldKind::Decimal { .. });
        let (low, high) = (row.words[word], if wide { row.words[word + 1] } else { 0 });
        word += if wide { 2 } else { 1 };
        if row.present >> index & 1 == 0 {
            assert_eq!((low, high), (0, 0), "an absent field's words are 0");
            absent += 1;
            fields.push(Cell::Null);
            continue;
        }
        fields.push(match kind {
            FieldKind::Float => Cell::Float(f64::from_bits(low)),
            FieldKind::Integer | FieldKind::Time => Cell::Integer(low as i64),
            FieldKind::Boolean => Cell::Boolean(low == 1),
            FieldKind::Decimal { .. } => Cell::Decimal((u128::from(high) << 64 | u128::from(low)) as i128),
            FieldKind::Text => Cell::Text(text((low >> 32) as usize, low as u32 as usize)),
            FieldKind::Enum { .. } => Cell::Symbol(low as u32),
        });
    }
    assert_eq!(word, row.words.len());
    assert_eq!(row.nulls + row.non_finite, absent);
    if selection.fields.len() < 64 {
        assert_eq!(row.present >> selection.fields.len(), 0);
    }
    let source = match row.source {
        Source::Text(span) => Cell::Text(text(span.start as usize, span.len as usize)),
        Source::Integer(value) => Cell::Integer(value),
        Source::Symbol(index) => Cell::Symbol(index),
    };
    Event { source, time: row.time, fields }
}

/// Checks a row that was read from the front of `payload` against what apache-avro makes of it.
pub(super) fn assert_same(
    row: &Row,
    taken: usize,
    slow: &(Value, usize),
    reader: &ReaderSchema,
    selection: &Selection,
    payload: &[u8],
) {
    let mut wanted = expected(&slow.0, reader, selection);
    let count = |cell: &Cell| wanted.fields.iter().filter(|field| *field == cell).count() as u32;
    assert_eq!((row.nulls, row.non_finite), (count(&Cell::Null), count(&Cell::NonFinite)));
    for cell in wanted.fields.iter_mut().filter(|cell| **cell == Cell::NonFinite) {
        *cell = Cell::Null;
    }
    let mut event = event_of(row, reader, selection, payload);
    for (cell, wanted) in event.fields.iter_mut().zip(&wanted.fields) {
        if let (Cell::Text(text), Cell::Id(_)) = (&*cell, wanted) {
            *cell = Cell::Id(Uuid::parse_str(text).expect("apache-avro parsed it"));
        }
    }
    assert_eq!(event, wanted);
    assert_eq!(taken, slow.1, "bytes taken");
}

/// A schema, a plan for it as its own writer and reader, and both checked to be good.
pub(super) fn plan(json: &str, selection: &Selection) -> (ReaderSchema, ReadPlan) {
    let reader = ReaderSchema::parse(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let plan = ReadPlan::compile(json, &reader, selection).unwrap_or_else(|error| panic!("{error}: {json}"));
    (reader, plan)
}
