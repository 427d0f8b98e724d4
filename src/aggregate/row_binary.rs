//! A row as ClickHouse's `RowBinary` has it: what is inserted, and what the ledger's hash is of.
//!
//! ```text
//!  DateTime  UInt32, seconds      UInt64, Int64, Float64   8 bytes       String, LowCardinality(String)   LEB128 length, bytes
//!  Bool      1 byte               Decimal(38, s)           16 bytes      Nullable(T)                      1 for null, else 0 and T
//! ```
//! All numbers little-endian. Columns that a sink adds for its own books have no part in it: the same row has the same bytes,
//! whoever wrote it and how often.

use super::{Column, ColumnType, FinishedRow, Value};
use crate::error::{Error, Result};
use crate::time::Minute;

/// Seconds of a minute.
const MINUTE_S: u64 = 60;

/// Appends the bytes of a row with these columns, the first being `window_start`. The error is a defect: a value that its column
/// cannot hold. Then `out` ends in half a row.
pub fn append(columns: &[Column], row: &FinishedRow, out: &mut Vec<u8>) -> Result<()> {
    let Some((_, columns)) = columns.split_first().filter(|(_, columns)| columns.len() == row.values.len()) else {
        let (found, wanted) = (row.values.len(), columns.len().saturating_sub(1));
        return Err(Error::bug(format!("a row has {found} values where its layout has {wanted}")));
    };
    out.extend_from_slice(&seconds(row.minute)?.to_le_bytes());
    columns.iter().zip(&row.values).try_for_each(|(column, value)| append_value(column, value, out))
}

/// The hash of a row's bytes: XXH3, 64 bits, seed 0. `room` is cleared and used for the bytes.
pub fn hash(columns: &[Column], row: &FinishedRow, room: &mut Vec<u8>) -> Result<u64> {
    room.clear();
    append(columns, row, room)?;
    Ok(xxhash_rust::xxh3::xxh3_64(room))
}

fn seconds(minute: Minute) -> Result<u32> {
    let seconds = minute.checked_mul(MINUTE_S).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.ok_or_else(|| Error::bug(format!("minute {minute} is past what a DateTime can hold")))
}

fn append_value(column: &Column, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (value, column.nullable) {
        (Value::Null, true) => {
            out.push(1);
            return Ok(());
        }
        (_, true) => out.push(0),
        (_, false) => {}
    }
    match (&column.kind, value) {
        (ColumnType::UInt64, Value::Unsigned(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (ColumnType::Int64, Value::Integer(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (ColumnType::Float64, Value::Float(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (ColumnType::Decimal { scale }, Value::Decimal(unscaled, digits)) if scale == digits => {
            out.extend_from_slice(&unscaled.to_le_bytes());
        }
        (ColumnType::Bool, Value::Boolean(truth)) => out.push(u8::from(*truth)),
        (ColumnType::String | ColumnType::Label, Value::Text(text)) => {
            append_length(text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        (kind, value) => {
            let name = &column.name;
            return Err(Error::bug(format!("column {name} is a {kind:?} and cannot hold {value:?}")));
        }
    }
    Ok(())
}

/// LEB128, as `VarUInt`.
fn append_length(mut length: usize, out: &mut Vec<u8>) {
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

#[cfg(test)]
mod tests;
