//! Each shape by itself: what is read, how a plan describes itself, and what makes an event malformed.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use super::generated::put_long;
use super::oracle::{Cell, event_of, plan, select, slow_unscaled, slow_value};
use crate::event::{Malformed, ReadPlan, ReaderSchema, Reason, Row, Selection, Source};
use crate::limits::{EMPTY_ITEMS_MAX, SCHEMA_DEPTH_MAX, SOURCE_BYTES_MAX, TEXT_BYTES_MAX};

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Event", "fields": [{fields}]}}"#)
}

fn encode(json: &str, fields: Vec<(&str, Value)>) -> Vec<u8> {
    let schema = Schema::parse_str(json).expect("the schema is good");
    let writer = GenericDatumWriter::builder(&schema).build().expect("the schema is good");
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    writer.write_value_to_vec(Value::Record(fields)).expect("the value is of the schema")
}

fn read(plan: &ReadPlan, payload: &[u8]) -> Result<Row, Malformed> {
    let mut row = plan.row();
    plan.decode_whole(payload, &mut row).map(|()| row)
}

fn reason(plan: &ReadPlan, payload: &[u8]) -> Reason {
    read(plan, payload).expect_err("the payload is malformed").reason
}

fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

fn none() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

const SENSOR: &str = r#"
    {"name": "id", "type": "string"}, {"name": "a", "type": "string"}, {"name": "b", "type": "bytes"}, {"name": "c", "type": "string"},
    {"name": "x", "type": "double"}, {"name": "y", "type": "double"}, {"name": "f", "type": "float"}, {"name": "g", "type": "double"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "z", "type": "double"}, {"name": "m", "type": ["null", "double"]}, {"name": "n", "type": ["null", "double"]},
    {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
    {"name": "j", "type": "int"}, {"name": "k", "type": "int"}, {"name": "end", "type": "string"}"#;

#[test]
fn a_plan_describes_its_steps() {
    let selection = select("id", Some("at"), &["x", "y", "z", "m", "n", "j", "k"]);
    let (_, plan) = plan(&record(SENSOR), &selection);
    assert_eq!(
        plan.steps(),
        [
            "read source string \"id\"",
            "skip 3 string or bytes values",
            "read 2 doubles x..y",
            "skip 12 bytes",
            "read time long \"at\" in milliseconds",
            "read double z",
            "read 2 nullable doubles m..n",
            "skip the items of an array, each union",
            "  choose one of 2 branches: null and string",
            "    string: skip 1 string",
            "read 2 ints j..k",
            "skip 1 string",
        ]
    );
}

#[test]
fn one_field_may_serve_twice() {
    let json = record(
        r#"{"name": "id", "type": ["null", "string"]}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
           {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}}"#,
    );
    let selection = select("id", Some("at"), &["at", "kind", "id", "at"]);
    let (reader, plan) = plan(&json, &selection);
    let kind = Value::Enum(1, "B".to_owned());
    let payload = encode(
        &json,
        vec![
            ("id", some(Value::String("me".to_owned()))),
            ("at", Value::TimestampMicros(5_000_999)),
            ("kind", kind.clone()),
        ],
    );
    let event = event_of(&read(&plan, &payload).expect("good"), &reader, &selection, &payload);
    assert_eq!((event.source, event.time), (Cell::Text("me".to_owned()), 5_000));
    let at = Cell::Integer(5_000_999);
    assert_eq!(event.fields, [at.clone(), Cell::Symbol(1), Cell::Text("me".to_owned()), at]);

    let payload = encode(&json, vec![("id", none()), ("at", Value::TimestampMicros(5)), ("kind", kind)]);
    assert_eq!(reason(&plan, &payload), Reason::SourceMissing);
}

#[test]
fn what_lies_in_a_null_record_is_null() {
    let json = record(
        r#"{"name": "id", "type": "int"}, {"name": "in", "type": ["null", {"type": "record", "name": "In", "fields": [
           {"name": "x", "type": "double"}, {"name": "skipped", "type": "string"},
           {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}},
           {"name": "deep", "type": ["null", {"type": "record", "name": "Deep", "fields": [{"name": "b", "type": "boolean"}]}]}]}]},
           {"name": "after", "type": "long"}"#,
    );
    let selection = select("id", None, &["in.x", "in.d", "in.deep.b", "after"]);
    let (reader, plan) = plan(&json, &selection);
    let with = |inside: Value| encode(&json, vec![("id", Value::Int(-7)), ("in", inside), ("after", Value::Long(9))]);
    let deep = |deep: Value| {
        some(Value::Record(vec![
            ("x".to_owned(), Value::Double(1.5)),
            ("skipped".to_owned(), Value::String("s".to_owned())),
            ("d".to_owned(), Value::Decimal(vec![0xff, 0x00].into())),
            ("deep".to_owned(), deep),
        ]))
    };
    let flag = some(Value::Record(vec![("b".to_owned(), Value::Boolean(true))]));
    let (x, d, after) = (Cell::Float(1.5), Cell::Decimal(-256), Cell::Integer(9));
    let cases = [
        (none(), [Cell::Null, Cell::Null, Cell::Null, after.clone()], 3),
        (deep(none()), [x.clone(), d.clone(), Cell::Null, after.clone()], 1),
        (deep(flag), [x, d, Cell::Boolean(true), after], 0),
    ];
    for (inside, fields, nulls) in cases {
        let payload = with(inside);
        let row = read(&plan, &payload).expect("good");
        assert_eq!((row.source, row.nulls), (Source::Integer(-7), nulls));
        assert_eq!(event_of(&row, &reader, &selection, &payload).fields, fields);
    }
}

#[test]
fn a_source_or_time_in_a_null_record_is_missing() {
    let json = record(
        r#"{"name": "in", "type": ["null", {"type": "record", "name": "In", "fields": [
           {"name": "id", "type": "string"}, {"name": "at", "type": "long"}, {"name": "x", "type": "double"}]}]},
           {"name": "other", "type": "string"}, {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]}"#,
    );
    let payload = encode(&json, vec![("in", none()), ("other", Value::String("o".to_owned())), ("day", none())]);
    let reason_of = |source, time| reason(&plan(&json, &select(source, Some(time), &["in.x"])).1, &payload);
    assert_eq!(reason_of("in.id", "in.at"), Reason::SourceMissing);
    assert_eq!(reason_of("other", "in.at"), Reason::TimeMissing);
    assert_eq!(reason_of("other", "day"), Reason::TimeMissing);
}

#[test]
fn every_kind_of_time_becomes_milliseconds() {
    let last = (1_i64 << 32) * 1_000 - 1;
    let cases: [(&str, &str, i64, i64); 8] = [
        ("long", "none", 1, 1),
        ("int", "date", 20_000, 20_000 * 86_400_000),
        ("long", "timestamp-millis", last, last),
        ("long", "timestamp-micros", 1_999, 1),
        ("long", "timestamp-nanos", 1_999_999, 1),
        ("long", "local-timestamp-millis", 77, 77),
        ("long", "local-timestamp-micros", last * 1_000 + 999, last),
        ("long", "local-timestamp-nanos", i64::MAX, -1),
    ];
    for (below, logical, written, wanted) in cases {
        let at = format!(
            r#"{{"name": "id", "type": "int"}}, {{"name": "at", "type": {{"type": "{below}", "logicalType": "{logical}"}}}}"#
        );
        let (_, plan) = plan(&record(&at), &select("id", Some("at"), &[]));
        let read_time = |written: i64| {
            let mut payload = vec![2];
            put_long(written, &mut payload);
            read(&plan, &payload).map(|row| row.time).map_err(|error| error.reason)
        };
        let bound = if wanted < 0 { Err(Reason::TimeOutOfRange) } else { Ok(wanted) };
        assert_eq!(read_time(written), bound, "{logical}");
        assert_eq!(read_time(-1), Err(Reason::TimeOutOfRange), "{logical}");
        let far = if below == "int" { i64::from(i32::MAX) } else { i64::MAX };
        assert_eq!(read_time(far), Err(Reason::TimeOutOfRange), "{logical}");
    }
}

#[test]
fn sources_and_texts_are_bounded_and_checked() {
    let json = record(
        r#"{"name": "id", "type": "string"}, {"name": "label", "type": "string"}, {"name": "skipped", "type": "string"}"#,
    );
    let (_, plan) = plan(&json, &select("id", None, &["label"]));
    let payload = |texts: [&[u8]; 3]| {
        let mut bytes = Vec::new();
        for text in texts {
            put_long(text.len() as i64, &mut bytes);
            bytes.extend(text);
        }
        bytes
    };
    let long = vec![b'x'; TEXT_BYTES_MAX + 1];
    assert_eq!(reason(&plan, &payload([b"", b"l", b""])), Reason::SourceMissing);
    assert_eq!(reason(&plan, &payload([&long[..=SOURCE_BYTES_MAX], b"l", b""])), Reason::SourceTooLong);
    assert_eq!(reason(&plan, &payload([b"s", &long, b""])), Reason::TextTooLong);
    for at in 0..20 {
        let mut text = [b'a'; 20];
        text[at] = 0xff;
        let error = read(&plan, &payload([b"s", &text, b""])).expect_err("not UTF-8");
        assert_eq!((error.reason, error.at), (Reason::BadUtf8, 3));
        assert_eq!(reason(&plan, &payload([&text[at..], b"", b""])), Reason::BadUtf8);
    }
    let good = payload([&long[..SOURCE_BYTES_MAX], &long[..TEXT_BYTES_MAX], &[0xff; 9]]);
    assert!(read(&plan, &good).is_ok(), "a text that is skipped is not looked into, and the bounds are allowed");
}

#[test]
fn decimals_fit_128_bits_or_not() {
    let json = record(
        r#"{"name": "id", "type": "int"}, {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 0}}"#,
    );
    let selection = select("id", None, &["d"]);
    let (reader, plan) = plan(&json, &selection);
    let most = i128::MAX.to_be_bytes();
    let least = i128::MIN.to_be_bytes();
    let good: [Vec<u8>; 7] = [
        vec![],
        vec![0x80],
        vec![0x00, 0x80],
        most.to_vec(),
        least.to_vec(),
        [[0; 4].as_slice(), &most].concat(),
        [[0xff; 40].as_slice(), &least].concat(),
    ];
    let payload = |digits: &[u8]| {
        let mut bytes = vec![2];
        put_long(digits.len() as i64, &mut bytes);
        bytes.extend(digits);
        bytes
    };
    for digits in good {
        let payload = payload(&digits);
        let event = event_of(&read(&plan, &payload).expect("fits"), &reader, &selection, &payload);
        let value =
            if digits.len() > 16 { slow_unscaled(&digits[digits.len() - 16..]) } else { slow_unscaled(&digits) };
        assert_eq!(event.fields, [Cell::Decimal(value)]);
    }
    for digits in
        [[[0].as_slice(), &least].concat(), [[0xff].as_slice(), &most].concat(), [[1].as_slice(), &most].concat()]
    {
        assert_eq!(reason(&plan, &payload(&digits)), Reason::DecimalTooWide);
    }
}

#[test]
fn a_type_inside_itself_is_skipped_and_bounded() {
    let json = record(
        r#"{"name": "id", "type": "int"}, {"name": "tree", "type": {"type": "record", "name": "Tree", "fields": [
           {"name": "leaf", "type": "string"}, {"name": "children", "type": {"type": "array", "items": "Tree"}},
           {"name": "next", "type": ["null", "Tree"]}]}},
           {"name": "x", "type": "double"}"#,
    );
    let (_, plan) = plan(&json, &select("id", None, &["x", "tree.leaf", "tree.next.leaf"]));
    let schema = Schema::parse_str(&json).expect("good");
    let chain = |length: usize| {
        let mut payload = vec![2];
        for level in 0..length {
            payload.extend([2, b'l', 0, if level + 1 < length { 2 } else { 0 }]);
        }
        payload.extend(1.0_f64.to_le_bytes());
        payload
    };
    for length in [1, 2, 3, 20] {
        let payload = chain(length);
        let row = read(&plan, &payload).expect("a tree");
        assert_eq!(row.nulls, u32::from(length == 1));
        if length < 10 {
            // Deeper, apache-avro needs more than a test's stack.
            assert_eq!(slow_value(&schema, None, &payload).expect("a tree").1, payload.len());
        }
    }
    assert_eq!(reason(&plan, &chain(SCHEMA_DEPTH_MAX + 5)), Reason::BadLength);

    let nested = [vec![2, 2, b'l', 2], [2, b'x', 0, 0].to_vec(), vec![0, 0], 1.0_f64.to_le_bytes().to_vec()].concat();
    assert!(read(&plan, &nested).is_ok());
    let endless = record(
        r#"{"name": "id", "type": "int"}, {"name": "self", "type": {"type": "record", "name": "S", "fields": [{"name": "s", "type": "S"}]}}"#,
    );
    let (_, plan) = super::oracle::plan(&endless, &select("id", None, &[]));
    assert_eq!(reason(&plan, &[2, 0, 0]), Reason::BadLength);
}

#[test]
fn items_without_bytes_are_counted_not_walked() {
    let json =
        record(r#"{"name": "id", "type": "int"}, {"name": "nothing", "type": {"type": "array", "items": "null"}}"#);
    let (_, plan) = plan(&json, &select("id", None, &[]));
    let payload = |count: i64| {
        let mut bytes = vec![2];
        put_long(count, &mut bytes);
        if count < 0 {
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    };
    let most = EMPTY_ITEMS_MAX as i64;
    for (count, good) in [(3, true), (-3, true), (most, true), (most + 1, false), (i64::MAX, false), (i64::MIN, false)]
    {
        let read = read(&plan, &payload(count)).map_err(|error| error.reason);
        assert_eq!(read.map(|_| ()), if good { Ok(()) } else { Err(Reason::BadLength) }, "{count}");
    }
}

#[test]
fn a_row_of_another_shape_is_reshaped() {
    let json = record(r#"{"name": "id", "type": "int"}, {"name": "x", "type": "double"}"#);
    let reader = ReaderSchema::parse(&json).expect("good");
    let of = |fields: &[&str]| ReadPlan::compile(&json, &reader, &select("id", None, fields)).expect("good");
    let mut row = of(&[]).row();
    let payload = [vec![2], 4.0_f64.to_le_bytes().to_vec()].concat();
    assert_eq!(of(&["x"]).decode(&payload, &mut row), Ok(9));
    assert_eq!((row.words.as_slice(), row.present), ([4.0_f64.to_bits()].as_slice(), 1));
}

#[test]
fn all_64_fields_may_be_used() {
    let doubles: Vec<String> = (0..64).map(|index| format!(r#"{{"name": "x{index}", "type": "double"}}"#)).collect();
    let json = record(&format!(r#"{{"name": "id", "type": "int"}}, {}"#, doubles.join(", ")));
    let fields: Vec<String> = (0..64).map(|index| format!("x{index}")).collect();
    let selection = Selection { source: "id".to_owned(), time: None, fields };
    let (_, plan) = plan(&json, &selection);
    let mut payload = vec![2];
    for index in 0..64 {
        payload.extend(if index == 63 { f64::NAN } else { 1.0 }.to_le_bytes());
    }
    let row = read(&plan, &payload).expect("good");
    assert_eq!((row.present, row.non_finite, row.words[63]), (u64::MAX >> 1, 1, 0));
}
