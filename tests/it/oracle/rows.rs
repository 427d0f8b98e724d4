//! All values of one (source, minute), and the row that they make.

use std::collections::BTreeMap;

use num_bigint::BigInt;

use super::exact::{nearest, units, whole};
use super::written::{Cell, Column, Dataflow};

/// Where an event stands: its time, its partition, its place there.
type When = (i64, usize, u64);

/// The events of one source in one minute.
#[derive(Debug, Default)]
pub(super) struct Group {
    count: u64,
    values: BTreeMap<String, Vec<(When, Cell)>>,
}

impl Group {
    pub(super) fn fold(&mut self, when: When, cells: &BTreeMap<String, Cell>) {
        self.count += 1;
        for (path, cell) in cells {
            if !matches!(cell, Cell::Null | Cell::NonFinite) {
                self.values.entry(path.clone()).or_default().push((when, cell.clone()));
            }
        }
    }

    /// The row as a line of JSON, columns in their order.
    pub(super) fn row(&self, dataflow: &Dataflow, minute: i64, source: &str, overflows: &mut u64) -> String {
        let source = dataflow.source_format.as_ref().map_or(source.to_owned(), |text| text.replace("{}", source));
        let mut columns = vec![
            format!("\"window_start\":\"{}\"", date_time(minute * 60)),
            format!("{}:{}", quoted(&dataflow.source_name), quoted(&source)),
            format!("\"count\":{}", self.count),
        ];
        for column in &dataflow.columns {
            let values = self.values.get(&column.path).map_or(&[][..], Vec::as_slice);
            columns.push(format!("{}:{}", quoted(&column.name), value(column, values, overflows)));
        }
        format!("{{{}}}", columns.join(","))
    }
}

fn value(column: &Column, values: &[(When, Cell)], overflows: &mut u64) -> String {
    let count = values.len() as u64;
    let statistic = column.statistic.as_str();
    if statistic == "count" {
        return count.to_string();
    }
    if count == 0 && statistic != "sum" {
        return "null".to_owned();
    }
    let by_value = |a: &&(When, Cell), b: &&(When, Cell)| compare(&a.1, &b.1);
    match statistic {
        "sum" => summed(column, values).unwrap_or_else(|| {
            *overflows += 1;
            "null".to_owned()
        }),
        "avg" => {
            // The exact sum, rounded to a double, over the count; of decimals, the point is moved in between.
            let sum = nearest(&total(values), &BigInt::from(1));
            if !sum.is_finite() {
                return "null".to_owned();
            }
            let scale = column.scale.map_or(0, |scale| i32::try_from(scale).expect("a scale is small"));
            float(sum / 10_f64.powi(scale) / count as f64)
        }
        "share" => float(values.iter().filter(|(_, cell)| !is_zero(cell)).count() as f64 / count as f64),
        "min" => plain(column, &values.iter().min_by(by_value).unwrap().1),
        "max" => plain(column, &values.iter().max_by(by_value).unwrap().1),
        "first" => picked(column, &values.iter().min_by_key(|(when, _)| *when).unwrap().1),
        "last" => picked(column, &values.iter().max_by_key(|(when, _)| *when).unwrap().1),
        other => panic!("statistic {other}"),
    }
}

/// The exact total in units of 2^-1074 (for decimals: of the unscaled numbers).
fn total(values: &[(When, Cell)]) -> BigInt {
    values.iter().fold(BigInt::ZERO, |sum, (_, cell)| match cell {
        Cell::Float(v) => sum + units(*v),
        other => sum + whole(&number(other)),
    })
}

/// A sum as it is written; nothing where it does not fit its column.
fn summed(column: &Column, values: &[(When, Cell)]) -> Option<String> {
    if column.float {
        let sum = nearest(&total(values), &BigInt::from(1));
        return sum.is_finite().then(|| float(sum));
    }
    let sum = values.iter().fold(BigInt::ZERO, |sum, (_, cell)| sum + number(cell));
    if column.scale.is_some() {
        return (sum.magnitude() < BigInt::from(10).pow(38).magnitude()).then(|| decimal(&sum, column.scale));
    }
    i64::try_from(sum).ok().map(|sum| sum.to_string())
}

fn number(cell: &Cell) -> BigInt {
    match cell {
        Cell::Integer(v) => BigInt::from(*v),
        Cell::Decimal(v) => v.clone(),
        Cell::Boolean(v) => BigInt::from(u8::from(*v)),
        other => panic!("{other:?} is no whole number"),
    }
}

fn is_zero(cell: &Cell) -> bool {
    match cell {
        Cell::Float(v) => *v == 0.0,
        other => number(other) == BigInt::ZERO,
    }
}

fn compare(a: &Cell, b: &Cell) -> std::cmp::Ordering {
    match (a, b) {
        (Cell::Float(a), Cell::Float(b)) => a.total_cmp(b),
        (a, b) => number(a).cmp(&number(b)),
    }
}

fn plain(column: &Column, cell: &Cell) -> String {
    match cell {
        Cell::Float(v) => float(*v),
        Cell::Text(text) => quoted(text),
        Cell::Boolean(v) => v.to_string(),
        Cell::Decimal(v) => decimal(v, column.scale),
        other => number(other).to_string(),
    }
}

/// A first or last value: by name where it has one, then into its text.
fn picked(column: &Column, cell: &Cell) -> String {
    if column.map.is_empty() && column.format.is_none() {
        return plain(column, cell);
    }
    let bare = match cell {
        Cell::Text(text) => text.clone(),
        other => plain(column, other),
    };
    let named = column.map.get(&bare).cloned().unwrap_or(bare);
    quoted(&column.format.as_ref().map_or(named.clone(), |text| text.replace("{}", &named)))
}

fn float(value: f64) -> String {
    ryu::Buffer::new().format_finite(value).to_owned()
}

fn decimal(unscaled: &BigInt, scale: Option<usize>) -> String {
    let scale = scale.unwrap_or(0);
    let sign = if unscaled.sign() == num_bigint::Sign::Minus { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.magnitude().to_string(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// Seconds since 1970 as ClickHouse writes a `DateTime`, counting years and months off one by one.
pub(crate) fn date_time(seconds: i64) -> String {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut day, of_day) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", month + 1, day + 1)
}

#[test]
fn dates_are_those_of_the_calendar() {
    assert_eq!(date_time(0), "1970-01-01 00:00:00");
    assert_eq!(date_time(951_782_399), "2000-02-28 23:59:59");
    assert_eq!(date_time(951_868_800), "2000-03-01 00:00:00");
    assert_eq!(date_time(1_357_017_420), "2013-01-01 05:17:00");
    assert_eq!(date_time((1 << 32) - 1), "2106-02-07 06:28:15");
}
