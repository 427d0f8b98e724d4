use super::*;
use crate::aggregate::ColumnType;

fn column(name: &str, kind: ColumnType) -> Column {
    Column { name: name.to_owned(), kind, nullable: true }
}

#[test]
fn a_row_is_one_line_of_json_with_columns_in_order() {
    let columns = [
        column("window_start", ColumnType::DateTime),
        column("event_source_id", ColumnType::String),
        column("count", ColumnType::UInt64),
        column("temperature_avg", ColumnType::Float64),
        column("balance", ColumnType::Decimal { scale: 2 }),
        column("delta", ColumnType::Int64),
        column("on", ColumnType::Bool),
        column("odd \"name\"", ColumnType::String),
        column("none", ColumnType::Float64),
    ];
    let row = FinishedRow {
        minute: 29_333_341,
        values: vec![
            Value::Text("s \"1\"\n\u{1f600}".to_owned()),
            Value::Unsigned(u64::MAX),
            Value::Float(0.1),
            Value::Decimal(-5, 2),
            Value::Integer(i64::MIN),
            Value::Boolean(true),
            Value::Text(String::new()),
            Value::Null,
        ],
        overflows: 0,
    };
    let mut out = Vec::new();
    RowLines::new(&columns).write(&row, &mut out).expect("memory takes all");
    let line = String::from_utf8(out).expect("JSON is UTF-8");
    assert_eq!(
        line,
        concat!(
            r#"{"window_start":"2025-10-09 09:01:00","event_source_id":"s \"1\"\n"#,
            "\u{1f600}",
            r#"","count":18446744073709551615,"temperature_avg":0.1,"balance":-0.05,"delta":-9223372036854775808,"#,
            r#""on":true,"odd \"name\"":"","none":null}"#,
            "\n"
        )
    );
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
}

#[test]
fn numbers_are_written_exactly() {
    let text = |value: Value| {
        let mut out = Vec::new();
        write_value(&value, &mut out).expect("memory takes all");
        String::from_utf8(out).expect("numbers are ASCII")
    };
    assert_eq!(text(Value::Decimal(12_345, 2)), "123.45");
    assert_eq!(text(Value::Decimal(0, 3)), "0.000");
    assert_eq!(text(Value::Decimal(-1_000, 0)), "-1000");
    assert_eq!(text(Value::Decimal(i128::MIN, 38)), "-1.70141183460469231731687303715884105728");
    for float in [0.0, -0.0, 1.0, 1e300, 5e-324, f64::MAX, 0.1 + 0.2, -123_456_789.125] {
        let written = text(Value::Float(float));
        assert_eq!(written.parse::<f64>().expect("a float").to_bits(), float.to_bits(), "{written}");
        assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok(), "{written}");
    }
    assert_eq!(text(Value::Float(f64::NAN)), "null");
}

#[test]
fn a_row_of_another_layout_is_refused() {
    let lines = RowLines::new(&[column("window_start", ColumnType::DateTime), column("key", ColumnType::String)]);
    let row = FinishedRow { minute: 0, values: vec![], overflows: 0 };
    assert!(lines.write(&row, &mut Vec::new()).is_err());
}

/// Columns of every type, each nullable.
fn every_type() -> Vec<Column> {
    let kinds = [
        ColumnType::DateTime,
        ColumnType::String,
        ColumnType::UInt64,
        ColumnType::Float64,
        ColumnType::Decimal { scale: 3 },
        ColumnType::Decimal { scale: 0 },
        ColumnType::Int64,
        ColumnType::Bool,
        ColumnType::Label,
    ];
    kinds.into_iter().enumerate().map(|(index, kind)| column(&format!("c {index} \"{{,"), kind)).collect()
}

fn line(row: &FinishedRow) -> String {
    let mut out = Vec::new();
    RowLines::new(&every_type()).write(row, &mut out).expect("memory takes all");
    String::from_utf8(out).expect("JSON is UTF-8").trim_end_matches('\n').to_owned()
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read_back(
        minute in 0_u64..70_000_000, text in ".{0,20}", label in proptest::option::of("[\"\\\\,}a]{0,9}"),
        unsigned in proptest::prelude::any::<u64>(), bits in proptest::prelude::any::<u64>(),
        integer in proptest::prelude::any::<i64>(), truth in proptest::option::of(proptest::prelude::any::<bool>()),
        decimal in -10_i128.pow(37)..10_i128.pow(37),
    ) {
        let float = Some(f64::from_bits(bits)).filter(|float| float.is_finite());
        let row = FinishedRow {
            minute,
            values: vec![
                Value::Text(text),
                Value::Unsigned(unsigned),
                float.map_or(Value::Null, Value::Float),
                Value::Decimal(decimal, 3),
                Value::Decimal(decimal, 0),
                Value::Integer(integer),
                truth.map_or(Value::Null, Value::Boolean),
                label.map_or(Value::Null, Value::Text),
            ],
            overflows: 0,
        };
        let read = RowReader::new(&every_type()).read(&line(&row)).expect("it was written so");
        proptest::prop_assert_eq!(line(&read), line(&row));
        proptest::prop_assert_eq!(read, row);
    }
}

#[test]
fn a_line_that_was_not_written_so_is_refused() {
    let columns = vec![
        column("window_start", ColumnType::DateTime),
        column("source", ColumnType::String),
        Column { nullable: false, ..column("count", ColumnType::UInt64) },
        column("low", ColumnType::Float64),
        column("sum", ColumnType::Decimal { scale: 2 }),
    ];
    let reader = RowReader::new(&columns);
    let good = r#"{"window_start":"2025-10-09 09:01:00","source":"a","count":3,"low":-1.5,"sum":-0.05}"#;
    reader.read(good).expect("it is a row");
    for (from, to) in [
        ("09:01:00", "09:01:01"),
        ("09:01:00", "24:00:00"),
        ("\"a\"", "a"),
        ("\"a\"", "\"a"),
        ("\"source\"", "\"sauce\""),
        (":3,", ":-3,"),
        (":3,", ":null,"),
        ("-1.5", "nan"),
        ("-1.5", "1e999"),
        ("-0.05", "-0.5"),
        ("-0.05", "5"),
        ("-0.05", "0.0 5"),
        ("}", ""),
        ("}", "}}"),
        ("}", ",\"more\":1}"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(reader.read(&bad).is_err(), "{bad}");
    }
}
