//! Lines of rows, read back as strictly as they are written: their hash must come out the same, to the last bit of a float.

use crate::aggregate::{Column, ColumnType, FinishedRow, Value};
use crate::limits::MINUTE_MS;
use crate::time::{from_utc, minute_of};

/// Reads lines of one layout.
pub struct RowReader {
    /// Per column: its name as it stands before the value, and what it holds.
    columns: Vec<(String, Column)>,
}

impl RowReader {
    /// A reader of lines with these columns, the first being `window_start`.
    pub fn new(columns: &[Column]) -> Self {
        let key = |column: &Column| format!("{}:", serde_json::Value::from(column.name.as_str()));
        RowReader { columns: columns.iter().map(|column| (key(column), column.clone())).collect() }
    }

    /// The row of a line without its end; the error says what is odd about it.
    pub fn read(&self, line: &str) -> Result<FinishedRow, String> {
        let (mut minute, mut values) = (None, Vec::with_capacity(self.columns.len()));
        let mut rest = line;
        for (index, (key, column)) in self.columns.iter().enumerate() {
            let begin = if index == 0 { '{' } else { ',' };
            let after = rest.strip_prefix(begin).and_then(|rest| rest.strip_prefix(key.as_str()));
            let (token, after) = token(after.ok_or_else(|| format!("column {} is not where it belongs", column.name))?);
            rest = after;
            let odd = || format!("column {} cannot hold {token}", column.name);
            if index == 0 {
                minute = text(token)
                    .and_then(|text| from_utc(&text))
                    .filter(|time| time % MINUTE_MS == 0)
                    .and_then(minute_of);
                minute.ok_or_else(odd)?;
            } else {
                values.push(value(column, token).ok_or_else(odd)?);
            }
        }
        match minute {
            Some(minute) if rest == "}" => Ok(FinishedRow { minute, values, overflows: 0 }),
            _ => Err("a row ends where another column begins".to_owned()),
        }
    }
}

/// The value that a text begins with, and what follows it.
fn token(text: &str) -> (&str, &str) {
    let mut escaped = false;
    let is_end = |(at, byte): (usize, u8)| match (text.starts_with('"'), byte) {
        (true, _) if at == 0 => false,
        (true, _) if std::mem::take(&mut escaped) => false,
        (true, b'\\') => {
            escaped = true;
            false
        }
        (true, byte) => byte == b'"',
        (false, byte) => byte == b',' || byte == b'}',
    };
    let end =
        text.bytes().enumerate().position(is_end).map_or(text.len(), |end| end + usize::from(text.starts_with('"')));
    text.split_at(end)
}

fn text(token: &str) -> Option<String> {
    serde_json::from_str(token).ok()
}

fn value(column: &Column, token: &str) -> Option<Value> {
    if token == "null" {
        return column.nullable.then_some(Value::Null);
    }
    match &column.kind {
        ColumnType::UInt64 => token.parse().ok().map(Value::Unsigned),
        ColumnType::Int64 => token.parse().ok().map(Value::Integer),
        ColumnType::Float64 => {
            let begins = token.starts_with(|first: char| first == '-' || first.is_ascii_digit());
            token.parse().ok().filter(|number: &f64| begins && number.is_finite()).map(Value::Float)
        }
        ColumnType::Decimal { scale } => decimal(token, *scale).map(|unscaled| Value::Decimal(unscaled, *scale)),
        ColumnType::Bool => token.parse().ok().map(Value::Boolean),
        ColumnType::String | ColumnType::Label => text(token).map(Value::Text),
        ColumnType::DateTime => None,
    }
}

fn decimal(token: &str, scale: u32) -> Option<i128> {
    let (whole, fraction) = if scale == 0 { (token, "") } else { token.split_once('.')? };
    let digits = fraction.len() == scale as usize && fraction.bytes().all(|byte| byte.is_ascii_digit());
    format!("{whole}{fraction}").parse().ok().filter(|_| digits)
}
