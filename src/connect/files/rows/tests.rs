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
