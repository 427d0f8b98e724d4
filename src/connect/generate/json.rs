//! Generated events for a person to read: one JSON object per line.

use std::collections::BTreeMap;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::Schema;
use apache_avro::types::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::batch::Batch;
use crate::error::{Error, Result};

/// Appends a line per event. Unions are written as what they hold, times as their number, bytes in base64, a decimal as its
/// unscaled number, NaN and infinities as texts.
pub(super) fn lines(schema: &Schema, batch: &Batch, out: &mut Vec<u8>) -> Result<()> {
    let bug = |error| Error::bug(format!("reading back a generated event: {error}"));
    let reader = GenericDatumReader::builder(schema).build().map_err(bug)?;
    let mut rest = batch.bytes.as_slice();
    for _ in &batch.spans {
        let value = reader.read_value(&mut rest).map_err(bug)?;
        out.extend_from_slice(readable(value).to_string().as_bytes());
        out.push(b'\n');
    }
    Ok(())
}

fn readable(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(found) => json!(found),
        Value::Int(found) | Value::Date(found) | Value::TimeMillis(found) => json!(found),
        Value::Long(found)
        | Value::TimeMicros(found)
        | Value::TimestampMillis(found)
        | Value::TimestampMicros(found)
        | Value::TimestampNanos(found)
        | Value::LocalTimestampMillis(found)
        | Value::LocalTimestampMicros(found)
        | Value::LocalTimestampNanos(found) => json!(found),
        Value::Float(found) if found.is_finite() => json!(found),
        Value::Double(found) if found.is_finite() => json!(found),
        Value::Float(found) => json!(found.to_string()),
        Value::Double(found) => json!(found.to_string()),
        Value::String(found) | Value::Enum(_, found) => json!(found),
        Value::Bytes(found) | Value::Fixed(_, found) => json!(STANDARD.encode(found)),
        Value::Union(_, held) => readable(*held),
        Value::Array(items) => items.into_iter().map(readable).collect(),
        Value::Map(items) => {
            // Sorted, so that the order of a hash map does not show.
            let sorted: BTreeMap<_, _> = items.into_iter().map(|(key, item)| (key, readable(item))).collect();
            Json::Object(sorted.into_iter().collect())
        }
        Value::Record(fields) => {
            Json::Object(fields.into_iter().map(|(name, field)| (name, readable(field))).collect::<Map<_, _>>())
        }
        Value::Decimal(found) => json!(unscaled(&Vec::<u8>::try_from(found).unwrap_or_default())),
        Value::BigDecimal(found) => json!(found.to_string()),
        Value::Duration(found) => json!(STANDARD.encode(<[u8; 12]>::from(found))),
        Value::Uuid(found) => json!(found.to_string()),
    }
}

/// The number of a generated decimal: at most six digits, in as many big-endian bytes as its type says.
fn unscaled(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | i64::from(byte))
}
