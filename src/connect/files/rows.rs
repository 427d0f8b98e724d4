//! Rows as ClickHouse's `JSONEachRow` takes them: one JSON object per line, columns in their order.
//!
//! Equal rows give equal bytes, always: a replay must write the file it wrote before.

use std::io::{self, Write};

use crate::aggregate::{Column, FinishedRow, Value};
use crate::time::Minute;

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
        write!(out, "\"{}\"", DateTime(row.minute))?;
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

/// The start of a minute in UTC as `YYYY-MM-DD HH:MM:SS`.
struct DateTime(Minute);

impl std::fmt::Display for DateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = civil_date(self.0 / 1_440);
        let in_day = self.0 % 1_440;
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:00", in_day / 60, in_day % 60)
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year: then months have a fixed pattern of
/// 153 days in five months, and the calendar repeats every 146,097 days (400 years).
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_0000_03_01_TO_1970: u64 = 719_468;
    let days = days + DAYS_0000_03_01_TO_1970;
    let (cycle, in_cycle) = (days / 146_097, days % 146_097);
    // Leap days before this one in the cycle: one in 4 years (1,461 days), none in 100 (36,524), one in 400.
    let year_in_cycle = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year_in_cycle + year_in_cycle / 4 - year_in_cycle / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + year_in_cycle + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
