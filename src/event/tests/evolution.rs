//! Writers that are not the reader: older, newer, wider, renamed.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::generated::{Numbers, Type, any_type, schema_of, value_of};
use super::oracle::{Cell, Event, assert_same, event_of, select, slow_value};
use crate::event::{ReadPlan, ReaderSchema, Reason, Selection};

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "Event", "fields": [{{"name": "id", "type": "int"}}, {fields}]}}"#)
}

fn encode(json: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(json).expect("the schema is good");
    let writer = GenericDatumWriter::builder(&schema).build().expect("the schema is good");
    writer.write_value_to_vec(value).expect("the value is of the schema")
}

fn compile(writer: &str, reader: &str, selection: &Selection) -> Result<(ReaderSchema, ReadPlan), String> {
    let reader = ReaderSchema::parse(&record(reader)).expect("the reader's schema is good");
    let plan = ReadPlan::compile(&record(writer), &reader, selection).map_err(|error| error.0)?;
    Ok((reader, plan))
}

/// The field `x` of one event: the writer's field is the first of `writer`.
fn resolve(writer: &str, reader: &str, value: Value) -> Result<Cell, Reason> {
    let selection = select("id", None, &["x"]);
    let (reader, plan) = compile(writer, reader, &selection).unwrap_or_else(|error| panic!("{error}"));
    let name = Schema::parse_str(&record(writer)).map(|schema| match schema {
        Schema::Record(record) => record.fields[1].name.clone(),
        other => panic!("{other:?}"),
    });
    let fields = vec![("id".to_owned(), Value::Int(1)), (name.expect("good"), value)];
    let payload = encode(&record(writer), Value::Record(fields));
    let mut row = plan.row();
    plan.decode_whole(&payload, &mut row).map_err(|error| error.reason)?;
    let Event { mut fields, .. } = event_of(&row, &reader, &selection, &payload);
    Ok(fields.remove(0))
}

fn refused(writer: &str, reader: &str) -> String {
    match compile(writer, reader, &select("id", None, &["x"])) {
        Err(error) => error,
        Ok(_) => panic!("{writer} must not resolve to {reader}"),
    }
}

fn x(of: &str) -> String {
    format!(r#"{{"name": "x", "type": {of}}}"#)
}

fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

#[test]
fn numbers_and_texts_are_promoted() {
    let wide = 16_777_217;
    let cases: Vec<(&str, &str, Value, Cell)> = vec![
        (r#""int""#, r#""long""#, Value::Int(-5), Cell::Integer(-5)),
        (r#""int""#, r#""float""#, Value::Int(wide), Cell::Float(16_777_216.0)),
        (r#""int""#, r#""double""#, Value::Int(wide), Cell::Float(16_777_217.0)),
        (r#""long""#, r#""float""#, Value::Long(i64::from(wide)), Cell::Float(16_777_216.0)),
        (r#""long""#, r#""double""#, Value::Long(i64::MAX), Cell::Float(i64::MAX as f64)),
        (r#""float""#, r#""double""#, Value::Float(0.1), Cell::Float(f64::from(0.1_f32))),
        (r#""bytes""#, r#""string""#, Value::Bytes(b"ab".to_vec()), Cell::Text("ab".to_owned())),
        (r#""long""#, r#"{"type": "long", "logicalType": "timestamp-micros"}"#, Value::Long(7), Cell::Integer(7)),
        (
            r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
            r#""long""#,
            Value::TimestampMicros(7),
            Cell::Integer(7),
        ),
        (
            r#"{"type": "fixed", "name": "F", "size": 3, "logicalType": "decimal", "precision": 4, "scale": 2}"#,
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#,
            Value::Decimal(vec![0xff, 0xff, 0xfe].into()),
            Cell::Decimal(-2),
        ),
    ];
    for (writer, reader, value, wanted) in cases {
        assert_eq!(resolve(&x(writer), &x(reader), value.clone()), Ok(wanted.clone()), "{writer} to {reader}");
        let (nullable_writer, nullable_reader) = (format!(r#"["null", {writer}]"#), format!(r#"[{reader}, "null"]"#));
        assert_eq!(resolve(&x(writer), &x(&nullable_reader), value.clone()), Ok(wanted.clone()));
        assert_eq!(resolve(&x(&nullable_writer), &x(reader), some(value.clone())), Ok(wanted.clone()));
        assert_eq!(resolve(&x(&nullable_writer), &x(&nullable_reader), some(value)), Ok(wanted));
        let null = || Value::Union(0, Box::new(Value::Null));
        assert_eq!(resolve(&x(&nullable_writer), &x(&nullable_reader), null()), Ok(Cell::Null));
        assert_eq!(resolve(&x(&nullable_writer), &x(reader), null()), Err(Reason::BadUnionBranch));
    }
}

#[test]
fn what_does_not_match_is_refused_in_words() {
    let cases = [
        (
            r#""string""#,
            r#""double""#,
            "the writer's schema has a string, the reader's has a double; the writer's may be an int, a long, a float or a double",
        ),
        (r#""double""#, r#""float""#, "the writer's may be an int, a long or a float"),
        (r#""long""#, r#""int""#, "the writer's may be an int"),
        (r#""null""#, r#""double""#, "the writer's schema has null"),
        (r#""int""#, r#""boolean""#, "the writer's may be a boolean"),
        (
            r#"["null", "string", "bytes"]"#,
            r#"["null", "double"]"#,
            "has a union of null, string and bytes, of which nothing can be read",
        ),
        (
            r#""bytes""#,
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}"#,
            "the writer's may be a decimal of scale 2",
        ),
        (
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 3}"#,
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}"#,
            "the writer's schema has a decimal over bytes of scale 3, the reader's has a decimal over bytes of scale 2",
        ),
        (
            r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
            r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
            "the writer's may be the same unit of time",
        ),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
            r#"{"type": "enum", "name": "E", "symbols": ["B"]}"#,
            "none of the writer's symbols (A) is one of the reader's (B)",
        ),
        (r#""string""#, r#"{"type": "enum", "name": "E", "symbols": ["B"]}"#, "the writer's may be an enum"),
    ];
    for (writer, reader, words) in cases {
        let error = refused(&x(writer), &x(reader));
        assert!(error.starts_with("field \"x\": ") && error.contains(words), "{error}");
    }
    let error = refused(r#"{"name": "y", "type": "double"}"#, &x(r#""double""#));
    assert!(error.contains("the writer's record Event has no field \"x\" and the reader's has no default for it; the writer's has id and y"), "{error}");
    let two = r#"{"name": "x", "aliases": ["w"], "type": "double"}, {"name": "y", "aliases": ["w"], "type": "double"}"#;
    let both = compile(r#"{"name": "w", "type": "double"}"#, two, &select("id", None, &["x", "y"])).map(|_| ());
    assert!(both.as_ref().is_err_and(|error| error.contains("select one of them")), "{both:?}");
    let unit = compile(
        &x(r#"{"type": "long", "logicalType": "timestamp-micros"}"#),
        &x(r#""long""#),
        &select("id", Some("x"), &[]),
    );
    assert!(unit.is_err_and(|error| error.contains("unit of time")), "a plain long is milliseconds");
}

#[test]
fn what_cannot_be_source_or_time_is_refused() {
    let fields = r#"{"name": "x", "type": "double"}, {"name": "i", "type": "int"}, {"name": "l", "type": {"type": "array", "items": "int"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#;
    for (selection, words) in [
        (select("x", None, &[]), "a source is a string, an enum, an int or a long, the reader's schema has a double"),
        (select("at", None, &[]), "a source is a string"),
        (select("id", Some("i"), &[]), "an event time is a timestamp"),
        (select("id", Some("x"), &[]), "an event time is a timestamp"),
        (select("id", None, &["l"]), "the reader's schema has an array, which cannot be selected"),
        (select("id", None, &["gone"]), "the reader's schema has none of this name; it has id, x, i, l, at"),
        (select("id", None, &["x"; 65]), "65 fields are selected, at most 64 are allowed"),
    ] {
        let error = compile(fields, fields, &selection).map(|_| ()).expect_err("must be refused");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn defaults_stand_in_for_what_the_writer_lacks() {
    let other = r#"{"name": "other", "type": "string"}"#;
    let at = |of: &str, default: &str| format!(r#"{{"name": "x", "type": {of}, "default": {default}}}"#);
    let value = || Value::String("o".to_owned());
    let cases = [
        (r#"["null", "double"]"#, "null", Cell::Null),
        (r#""double""#, "1.5", Cell::Float(1.5)),
        (r#""float""#, "0.1", Cell::Float(f64::from(0.1_f32))),
        (r#""int""#, "-3", Cell::Integer(-3)),
        (r#"["long", "null"]"#, "4", Cell::Integer(4)),
        (r#""boolean""#, "true", Cell::Boolean(true)),
        (r#""string""#, r#""""#, Cell::Text(String::new())),
        (r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#, r#""B""#, Cell::Symbol(1)),
        (
            r#"{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}"#,
            r#""\u00ff\u0000""#,
            Cell::Decimal(-256),
        ),
    ];
    for (of, default, wanted) in cases {
        assert_eq!(resolve(other, &at(of, default), value()), Ok(wanted), "{of} {default}");
    }
    let error = refused(other, &at(r#""string""#, r#""unknown""#));
    assert!(error.contains("\"unknown\" cannot stand in"), "{error}");

    let nested = r#"{"name": "in", "default": {"x": 2.5}, "type": {"type": "record", "name": "In", "fields": [
        {"name": "x", "type": "double"}, {"name": "y", "type": "int", "default": 6}, {"name": "z", "type": ["null", "string"], "default": null}]}}"#;
    let selection = select("id", None, &["in.y", "in.z", "in.x"]);
    let (reader, plan) = compile(other, nested, &selection).expect("all have defaults");
    let payload = [2, 2, b'o'];
    let mut row = plan.row();
    assert_eq!(plan.decode_whole(&payload, &mut row), Ok(()));
    let fields = event_of(&row, &reader, &selection, &payload).fields;
    assert_eq!(fields, [Cell::Integer(6), Cell::Null, Cell::Float(2.5)]);
}

#[test]
fn fields_are_found_by_alias_and_records_and_symbols_by_name() {
    let renamed = r#"{"name": "x", "aliases": ["never", "old"], "type": ["null", "double"]}"#;
    assert_eq!(resolve(r#"{"name": "old", "type": "int"}"#, renamed, Value::Int(3)), Ok(Cell::Float(3.0)));

    let ours = r#"{"type": "enum", "name": "E", "symbols": ["A", "B", "OTHER"], "default": "OTHER"}"#;
    let strict = r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#;
    let theirs = x(r#"{"type": "enum", "name": "E2", "symbols": ["B", "NEW"]}"#);
    let symbol = |index, name: &str| Value::Enum(index, name.to_owned());
    assert_eq!(resolve(&theirs, &x(ours), symbol(0, "B")), Ok(Cell::Symbol(1)));
    assert_eq!(resolve(&theirs, &x(ours), symbol(1, "NEW")), Ok(Cell::Symbol(2)));
    assert_eq!(resolve(&theirs, &x(strict), symbol(0, "B")), Ok(Cell::Symbol(1)));
    assert_eq!(resolve(&theirs, &x(strict), symbol(1, "NEW")), Err(Reason::BadEnumIndex));

    let one = |name: &str, of: &str| {
        format!(r#"{{"type": "record", "name": "{name}", "fields": [{{"name": "v", "type": {of}}}]}}"#)
    };
    let writer =
        format!(r#"{{"name": "x", "type": ["null", {}, {}]}}"#, one("P", r#""string""#), one("Q", r#""long""#));
    let reader = x(&one("Q", r#""double""#));
    let selection = select("id", None, &["x.v"]);
    let (_, plan) = compile(&writer, &reader, &selection).expect("Q is Q");
    let mut row = plan.row();
    assert_eq!(plan.decode_whole(&[2, 4, 6], &mut row), Ok(()));
    assert_eq!(row.words, [3.0_f64.to_bits()]);
    for other in [&[2, 0][..], &[2, 2, 2, b'p']] {
        assert_eq!(plan.decode_whole(other, &mut row).map_err(|error| error.reason), Err(Reason::BadUnionBranch));
    }
}

#[test]
fn a_writer_without_bounds_is_refused() {
    let mut json = r#"{"type": "record", "name": "R0", "fields": [{"name": "x", "type": "null"}]}"#.to_owned();
    for level in 1..25 {
        let inner = level - 1;
        json = format!(
            r#"{{"type": "record", "name": "R{level}", "fields": [{{"name": "a", "type": {json}}}, {{"name": "b", "type": "R{inner}"}}]}}"#
        );
    }
    let selection = select("id", None, &[]);
    let error = compile(&x(&json), r#"{"name": "o", "type": "int"}"#, &selection).map(|_| ()).expect_err("2^25 types");
    assert!(error.contains("more than 100000 types"), "{error}");
    let deep = format!("{}\"int\"{}", r#"{"type": "array", "items": "#.repeat(40), "}".repeat(40));
    let error = compile(&x(&deep), r#"{"name": "o", "type": "int"}"#, &selection).map(|_| ()).expect_err("40 arrays");
    assert!(error.contains("nests deeper than 32"), "{error}");
}

/// A reader's schema made from the writer's: fields left out, moved, widened, made nullable, added with a default; records within too.
fn evolve(writer: &Json, numbers: &mut Numbers, inside: bool) -> Json {
    if writer["type"] == "record" {
        let mut fields = Vec::new();
        for field in writer["fields"].as_array().expect("a record has fields") {
            if inside && numbers.below(5) == 0 {
                continue;
            }
            let of = evolve(&field["type"], numbers, true);
            let nullable = numbers.below(4) == 0 && !of.is_array() && of != "null";
            let of = if nullable { json!(["null", of]) } else { of };
            fields.insert(numbers.below(fields.len() + 1), json!({"name": field["name"], "type": of}));
        }
        if numbers.below(2) == 0 {
            let added = json!({"name": "added", "type": ["null", "double"], "default": null});
            fields.insert(numbers.below(fields.len() + 1), added);
            fields.push(json!({"name": "constant", "type": "long", "default": 12}));
        }
        return json!({"type": "record", "name": writer["name"], "fields": fields});
    }
    let wider: &[&str] = match writer.as_str() {
        Some("int") => &["long", "float", "double"],
        Some("long") => &["float", "double"],
        Some("float") => &["double"],
        _ => &[],
    };
    match wider.len() {
        0 => writer.clone(),
        choices => json!(wider[numbers.below(choices)]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_evolved_reader_reads_as_apache_avro_resolves(types in prop::collection::vec(any_type(), 0..12), seed: u64) {
        let mut numbers = Numbers(seed);
        let types: Vec<Type> = std::iter::once(Type::Named("string")).chain(types).collect();
        let writer_json = schema_of(&Type::Record(types.clone()), &mut 0);
        let mut reader_json = evolve(&writer_json, &mut numbers, false);
        // The source stays what it was.
        for field in reader_json["fields"].as_array_mut().expect("a record has fields") {
            if field["name"] == "f0" {
                field["type"] = json!("string");
            }
        }
        let reader = ReaderSchema::parse(&reader_json.to_string()).map_err(TestCaseError::fail)?;
        let fields: Vec<String> = reader.fields().into_iter().map(|(path, _)| path).take(64).collect();
        let selection = Selection { source: "f0".to_owned(), time: None, fields };
        let plan = ReadPlan::compile(&writer_json.to_string(), &reader, &selection).map_err(|error| TestCaseError::fail(error.0))?;
        let writer = Schema::parse_str(&writer_json.to_string()).expect("the writer's schema is good");
        let mut row = plan.row();
        for _ in 0..4 {
            let mut value = value_of(&Type::Record(types.clone()), &mut numbers);
            if let Value::Record(fields) = &mut value {
                fields[0].1 = Value::String("source".to_owned());
            }
            let payload = encode(&writer_json.to_string(), value);
            // What apache-avro cannot resolve of what is not selected (a duration, say) tells nothing.
            let Ok(slow) = slow_value(&writer, Some(reader.avro()), &payload) else { continue };
            prop_assert_eq!(plan.decode_whole(&payload, &mut row), Ok(()), "{} as {}", &writer_json, &reader_json);
            assert_same(&row, payload.len(), &slow, &reader, &selection, &payload);
        }
    }
}
