//! Rows as ClickHouse's `JSONEachRow` takes them: one JSON object per line, columns in their order.
//!
//! Equal rows give equal bytes, always: a replay must write the file it wrote before.

mod read;

use std::io::{self, Write};

use crate::aggregate::{Column, FinishedRow, Value};
use crate::limits::MINUTE_MS;
use crate::time::utc;
pub use read::RowReader;

/// Writes rows of one layout.
#[derive(Clone, Debug)]
pub struct RowLines {
    /// Per column: what stands between the value before and its own (`,"name":`).
    keys: Vec<Vec<u8>>,
}

impl RowLines {
    /// Lines with these columns, the first being `window_start`.
    pub fn new(columns: &[Column]) -> Self {
        let key = |(index, column): (usize, &Column)| {
            let begin = if index == 0 { '{' } else { ',' };
            format!("{begin}{}:", serde_json::Value::from(column.name.as_str())).into_bytes()
        };
        RowLines { keys: columns.iter().enumerate().map(key).collect() }
    }

    /// Values that a row must have: all columns but `window_start`.
    pub fn values(&self) -> usize {
        self.keys.len().saturating_sub(1)
    }

    /// Writes one line. A row with fewer or more values than [`Self::values`] is an error of kind `InvalidData`.
    pub fn write(&self, row: &FinishedRow, out: &mut impl Write) -> io::Result<()> {
        let Some((first, keys)) = self.keys.split_first().filter(|(_, keys)| keys.len() == row.values.len()) else {
            let (found, wanted) = (row.values.len(), self.values());
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a row has {found} values, not {wanted}")));
        };
        out.write_all(first)?;
        write!(out, "\"{}\"", utc(row.minute.cast_signed() * MINUTE_MS))?;
        for (key, value) in keys.iter().zip(&row.values) {
            out.write_all(key)?;
            write_value(value, out)?;
        }
        out.write_all(b"}\n")
    }
}

fn write_value(value: &Value, out: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Null => out.write_all(b"null"),
        Value::Unsigned(number) => out.write_all(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Integer(number) => out.write_all(itoa::Buffer::new().format(*number).as_bytes()),
        // JSON has no other floats; those of a finished row are finite.
        Value::Float(number) if !number.is_finite() => out.write_all(b"null"),
        Value::Float(number) => out.write_all(ryu::Buffer::new().format_finite(*number).as_bytes()),
        Value::Decimal(unscaled, scale) => write_decimal(*unscaled, *scale as usize, out),
        Value::Boolean(truth) => out.write_all(if *truth { b"true" } else { b"false" }),
        Value::Text(text) => Ok(serde_json::to_writer(out, text)?),
    }
}

/// Plain digits with `scale` of them after the point: no exponent, so that no reader goes through a float.
fn write_decimal(unscaled: i128, scale: usize, out: &mut impl Write) -> io::Result<()> {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    write!(out, "{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests;
