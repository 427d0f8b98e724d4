use super::*;
use crate::error::Fault;

fn column(name: &str, kind: ColumnType, nullable: bool) -> Column {
    Column { name: name.to_owned(), kind, nullable }
}

/// The bytes of one value in a column of its own, those of `window_start` taken off.
fn bytes(kind: ColumnType, nullable: bool, value: Value) -> Vec<u8> {
    let columns = [column("window_start", ColumnType::DateTime, false), column("value", kind, nullable)];
    let mut out = Vec::new();
    append(&columns, &FinishedRow { minute: 1, values: vec![value], overflows: 0 }, &mut out).expect("it fits");
    assert_eq!(out[..4], [60, 0, 0, 0]);
    out.split_off(4)
}

#[test]
fn each_type_has_its_bytes() {
    let decimal = || ColumnType::Decimal { scale: 2 };
    assert_eq!(bytes(ColumnType::UInt64, false, Value::Unsigned(0x0102_0304)), [4, 3, 2, 1, 0, 0, 0, 0]);
    assert_eq!(bytes(ColumnType::Int64, false, Value::Integer(-2)), [0xfe, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(bytes(ColumnType::Float64, false, Value::Float(-1.5)), [0, 0, 0, 0, 0, 0, 0xf8, 0xbf]);
    assert_eq!(bytes(ColumnType::Bool, false, Value::Boolean(true)), [1]);
    assert_eq!(bytes(ColumnType::Bool, false, Value::Boolean(false)), [0]);
    assert_eq!(bytes(ColumnType::String, false, Value::Text("né".to_owned())), [3, b'n', 0xc3, 0xa9]);
    assert_eq!(bytes(ColumnType::Label, false, Value::Text(String::new())), [0]);
    let small = [[0x39, 0x30].as_slice(), &[0; 14]].concat();
    assert_eq!(bytes(decimal(), false, Value::Decimal(12_345, 2)), small);
    assert_eq!(bytes(decimal(), false, Value::Decimal(-1, 2)), [255; 16]);
    let wide = [[0; 8].as_slice(), &[1], &[0; 7]].concat();
    assert_eq!(bytes(decimal(), false, Value::Decimal(1 << 64, 2)), wide);
}

#[test]
fn a_nullable_column_says_first_whether_it_is_null() {
    let null = [
        ColumnType::UInt64,
        ColumnType::Int64,
        ColumnType::Float64,
        ColumnType::Decimal { scale: 4 },
        ColumnType::Bool,
        ColumnType::String,
        ColumnType::Label,
    ];
    for kind in null {
        assert_eq!(bytes(kind, true, Value::Null), [1]);
    }
    assert_eq!(bytes(ColumnType::Int64, true, Value::Integer(5)), [0, 5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes(ColumnType::Bool, true, Value::Boolean(true)), [0, 1]);
    assert_eq!(bytes(ColumnType::Label, true, Value::Text("ab".to_owned())), [0, 2, b'a', b'b']);
    let decimal = [[0, 7].as_slice(), &[0; 15]].concat();
    assert_eq!(bytes(ColumnType::Decimal { scale: 0 }, true, Value::Decimal(7, 0)), decimal);
}

#[test]
fn a_length_takes_seven_bits_a_byte() {
    for (length, head) in [
        (127, vec![0x7f]),
        (128, vec![0x80, 1]),
        (300, vec![0xac, 2]),
        (16_383, vec![0xff, 0x7f]),
        (16_384, vec![0x80, 0x80, 1]),
    ] {
        let text = "x".repeat(length);
        let expected = [head.as_slice(), text.as_bytes()].concat();
        assert_eq!(bytes(ColumnType::String, false, Value::Text(text)), expected);
    }
}

/// The columns of the shape that every dataflow has.
fn columns() -> Vec<Column> {
    vec![
        column("window_start", ColumnType::DateTime, false),
        column("sensor", ColumnType::String, false),
        column("count", ColumnType::UInt64, false),
        column("low", ColumnType::Float64, true),
    ]
}

fn row(minute: Minute) -> FinishedRow {
    let values = vec![Value::Text("a".to_owned()), Value::Unsigned(3), Value::Null];
    FinishedRow { minute, values, overflows: 0 }
}

#[test]
fn a_row_begins_with_its_seconds_and_its_hash_is_of_all_its_bytes() {
    let mut room = b"what was there before".to_vec();
    let hash = hash(&columns(), &row(29_333_340), &mut room).expect("it fits");
    // 29,333,340 minutes are 1,760,000,400 seconds, 0x68e779d0.
    let golden = [0xd0, 0x79, 0xe7, 0x68, 1, b'a', 3, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(room, golden);
    assert_eq!(hash, xxhash_rust::xxh3::xxh3_64(&golden));
    let mut two = golden.to_vec();
    append(&columns(), &row(29_333_340), &mut two).expect("it fits");
    assert_eq!(two, [golden, golden].concat(), "what is there stays");
}

#[test]
fn what_a_column_cannot_hold_is_a_defect() {
    let odd = |values: Vec<Value>, minute| {
        let error = append(&columns(), &FinishedRow { minute, values, overflows: 0 }, &mut Vec::new());
        let error = error.expect_err("it does not fit");
        assert_eq!(error.fault, Fault::Bug);
        error.to_string()
    };
    let text = || Value::Text("a".to_owned());
    assert!(odd(vec![text(), Value::Unsigned(1)], 1).contains("2 values where its layout has 3"));
    assert!(odd(vec![text(), Value::Null, Value::Null], 1).contains("count"));
    assert!(odd(vec![text(), Value::Integer(1), Value::Null], 1).contains("UInt64"));
    assert!(odd(vec![text(), Value::Unsigned(1), Value::Decimal(1, 0)], 1).contains("Float64"));
    assert!(odd(vec![text(), Value::Unsigned(1), Value::Null], u64::from(u32::MAX)).contains("DateTime"));
}
