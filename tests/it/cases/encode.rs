//! An event written for a person, as JSON, into the Avro bytes that a producer would send.

use std::collections::HashMap;

use apache_avro::schema::UnionSchema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use serde_json::Value as Json;

/// The Avro encoding of an event.
pub(super) fn encode(schema: &Schema, event: &Json) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().expect("a shipped schema resolves");
    let value = value(schema, event, "event");
    writer.write_value_to_vec(value).unwrap_or_else(|e| panic!("{event} does not fit its schema: {e}"))
}

/// The value of a field; what its JSON leaves out takes the schema's default.
fn value(schema: &Schema, json: &Json, path: &str) -> Value {
    let wrong = || -> ! { panic!("{path}: {json} does not fit {schema:?}") };
    let long = || json.as_i64().unwrap_or_else(|| wrong());
    let instant =
        |per_second: i64| json.as_str().map_or_else(long, |text| units(text, per_second).unwrap_or_else(|| wrong()));
    let int = || i32::try_from(long()).unwrap_or_else(|_| wrong());
    let text = || json.as_str().unwrap_or_else(|| wrong()).to_owned();
    match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(json.as_bool().unwrap_or_else(|| wrong())),
        Schema::Int => Value::Int(int()),
        Schema::Date => Value::Date(int()),
        Schema::TimeMillis => Value::TimeMillis(int()),
        Schema::Long => Value::Long(long()),
        Schema::TimeMicros => Value::TimeMicros(long()),
        Schema::TimestampMillis => Value::TimestampMillis(instant(1_000)),
        Schema::TimestampMicros => Value::TimestampMicros(instant(1_000_000)),
        Schema::TimestampNanos => Value::TimestampNanos(instant(1_000_000_000)),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(instant(1_000)),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(instant(1_000_000)),
        Schema::LocalTimestampNanos => Value::LocalTimestampNanos(instant(1_000_000_000)),
        Schema::Float => Value::Float(double(json).unwrap_or_else(|| wrong()) as f32),
        Schema::Double => Value::Double(double(json).unwrap_or_else(|| wrong())),
        Schema::String => Value::String(text()),
        Schema::Bytes => Value::Bytes(text().into_bytes()),
        Schema::Fixed(fixed) => Value::Fixed(fixed.size, text().into_bytes()),
        Schema::Decimal(decimal) => Value::Decimal(unscaled(json, decimal.scale).unwrap_or_else(|| wrong())),
        Schema::Enum(symbols) => {
            let at = symbols.symbols.iter().position(|symbol| Some(symbol.as_str()) == json.as_str());
            Value::Enum(at.unwrap_or_else(|| wrong()) as u32, text())
        }
        Schema::Array(items) => {
            let list = json.as_array().unwrap_or_else(|| wrong());
            Value::Array(list.iter().map(|item| value(&items.items, item, path)).collect())
        }
        Schema::Map(values) => {
            let pairs = json.as_object().unwrap_or_else(|| wrong()).iter();
            let pairs = pairs.map(|(name, item)| (name.clone(), value(&values.types, item, path)));
            Value::Map(pairs.collect::<HashMap<_, _>>())
        }
        Schema::Union(union) => branch(union, json, path),
        Schema::Record(record) => {
            let given = json.as_object().unwrap_or_else(|| wrong());
            let unknown = given.keys().find(|name| record.fields.iter().all(|field| field.name != **name));
            assert!(unknown.is_none(), "{path} has no field {unknown:?}");
            let fields = record.fields.iter().map(|field| {
                let path = format!("{path}.{}", field.name);
                let json = given.get(&field.name).or(field.default.as_ref());
                let json = json.unwrap_or_else(|| panic!("{path} is missing and has no default"));
                (field.name.clone(), value(&field.schema, json, &path))
            });
            Value::Record(fields.collect())
        }
        _ => wrong(),
    }
}

/// Null where the JSON is, else the first branch that is something.
fn branch(union: &UnionSchema, json: &Json, path: &str) -> Value {
    let variants = union.variants();
    let at = variants.iter().position(|variant| (*variant == Schema::Null) == json.is_null());
    let at = at.unwrap_or_else(|| panic!("{path}: no branch for {json}"));
    Value::Union(at as u32, Box::new(value(&variants[at], json, path)))
}

/// A number, or one of the words for what JSON cannot say.
fn double(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => json.as_f64(),
    }
}

/// The unscaled number of a decimal that is written with its point (`"12.50"`), as text or as a number.
fn unscaled(json: &Json, scale: usize) -> Option<Decimal> {
    let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() > scale {
        return None;
    }
    let digits = format!("{whole}{fraction:0<scale$}");
    Some(Decimal::from(digits.parse::<i128>().ok()?.to_be_bytes().to_vec()))
}

/// `2026-01-01T00:00:05.250Z` in units of which there are so many in a second, since 1970.
fn units(text: &str, per_second: i64) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let part = |text: &str| text.parse::<i64>().ok();
    let date: Vec<i64> = date.split('-').map(part).collect::<Option<_>>()?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let time: Vec<i64> = time.split(':').map(part).collect::<Option<_>>()?;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, if leap(date[0]) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = (1970..date[0]).map(|year| if leap(year) { 366 } else { 365 }).sum::<i64>()
        + months[..date[1] as usize - 1].iter().sum::<i64>()
        + date[2]
        - 1;
    let seconds = ((days * 24 + time[0]) * 60 + time[1]) * 60 + time[2];
    let fraction = part(&format!("{fraction:0<9}"))? / (1_000_000_000 / per_second);
    Some(seconds * per_second + fraction)
}
