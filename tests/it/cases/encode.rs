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
    let int = || i32::try_from(long()).unwrap_or_else(|_| wrong());
    let text = || json.as_str().unwrap_or_else(|| wrong()).to_owned();
    let time = |digits| json.as_str().map_or_else(long, |text| instant(text, digits));
    match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(json.as_bool().unwrap_or_else(|| wrong())),
        Schema::Int => Value::Int(int()),
        Schema::Date => Value::Date(int()),
        Schema::TimeMillis => Value::TimeMillis(int()),
        Schema::Long => Value::Long(long()),
        Schema::TimeMicros => Value::TimeMicros(long()),
        Schema::TimestampMillis => Value::TimestampMillis(time(3)),
        Schema::TimestampMicros => Value::TimestampMicros(time(6)),
        Schema::TimestampNanos => Value::TimestampNanos(time(9)),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(time(3)),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(time(6)),
        Schema::LocalTimestampNanos => Value::LocalTimestampNanos(time(9)),
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

/// A time such as `2026-01-01T00:00:05.250Z` since 1970, in a unit of so many digits after the second.
pub(super) fn instant(text: &str, digits: usize) -> i64 {
    let wrong = || -> ! { panic!("{text:?} is no time with at most {digits} digits after the second") };
    let fields: Vec<&str> = text.strip_suffix('Z').unwrap_or_else(|| wrong()).split(['-', 'T', ':', '.']).collect();
    let [year, month, day, hour, minute, second, fraction @ ..] = fields.as_slice() else { wrong() };
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| wrong());
    let fraction = format!("{:0<digits$}", fraction.first().unwrap_or(&"0"));
    // A finer time than the unit is cut: the clock of a case is in milliseconds.
    let fraction = number(&fraction[..digits]);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, 28 + i64::from(leap(number(year))), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut days: i64 = (1970..number(year)).map(|year| 365 + i64::from(leap(year))).sum();
    days += months.iter().take(number(month) as usize - 1).sum::<i64>() + number(day) - 1;
    let seconds = ((days * 24 + number(hour)) * 60 + number(minute)) * 60 + number(second);
    seconds * 10_i64.pow(digits as u32) + fraction
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
