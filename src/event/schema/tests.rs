//! Paths, kinds and messages of the reader's schema.

use super::*;

const SCHEMA: &str = r#"{"type": "record", "name": "Event", "namespace": "a.b", "fields": [
    {"name": "source", "type": "string"},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["X", "Y"]}},
    {"name": "again", "type": ["Kind", "null"]},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "when", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
    {"name": "clock", "type": {"type": "int", "logicalType": "time-millis"}},
    {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "delays", "type": ["null", {"type": "record", "name": "Delays", "fields": [
        {"name": "dep", "type": "double"}, {"name": "arrival", "type": ["double", "null"]},
        {"name": "next", "type": ["null", "Delays"]}]}]},
    {"name": "plain", "type": {"type": "record", "name": "Plain", "fields": [{"name": "flag", "type": "boolean"}]}},
    {"name": "either", "type": ["null", "int", "string"]},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "notes", "type": {"type": "map", "values": "string"}},
    {"name": "raw", "type": "bytes"},
    {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 16}},
    {"name": "span", "type": {"type": "fixed", "name": "Span", "size": 12, "logicalType": "duration"}}
]}"#;

fn schema() -> ReaderSchema {
    ReaderSchema::parse(SCHEMA).expect("the schema is good")
}

fn found(path: &str) -> String {
    match schema().field(path) {
        Err(FieldError::Unusable { found }) => found,
        other => panic!("{path}: {other:?}"),
    }
}

fn nearest(path: &str) -> Option<String> {
    match schema().field(path) {
        Err(FieldError::Unknown { nearest, .. }) => nearest,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn usable_fields_have_their_kind() {
    let symbols = vec!["X".to_owned(), "Y".to_owned()];
    let cases = [
        ("source", FieldKind::Text, false),
        ("kind", FieldKind::Enum { symbols: symbols.clone() }, false),
        ("again", FieldKind::Enum { symbols }, true),
        ("price", FieldKind::Decimal { scale: 2 }, false),
        ("when", FieldKind::Time, false),
        ("clock", FieldKind::Integer, false),
        ("id", FieldKind::Text, false),
        ("delays.dep", FieldKind::Float, true),
        ("delays.arrival", FieldKind::Float, true),
        ("plain.flag", FieldKind::Boolean, false),
    ];
    let listed = schema().fields();
    assert_eq!(listed.len(), cases.len());
    for ((path, kind, nullable), (listed_path, listed)) in cases.into_iter().zip(listed) {
        let field = Field { kind, nullable };
        assert_eq!(schema().field(path), Ok(field.clone()));
        assert_eq!((listed_path.as_str(), listed), (path, field));
    }
    assert_eq!(
        schema().field("delays.next.next.dep"),
        Ok(Field { kind: FieldKind::Float, nullable: true }),
        "a path may go through a type inside itself"
    );
}

#[test]
fn unusable_fields_say_what_they_are() {
    assert_eq!(found("either"), "a union of null, int and string");
    assert_eq!(found("tags"), "an array");
    assert_eq!(found("notes"), "a map");
    assert_eq!(found("raw"), "bytes");
    assert_eq!(found("hash"), "a fixed of 16 bytes");
    assert_eq!(found("span"), "a duration");
    assert_eq!(found("plain"), "a record Plain; name one of its fields: plain.flag");
    assert_eq!(found("source.x"), "a string at \"source\", which has no fields");
    assert!(found(&format!("delays{}.dep", ".next".repeat(40))).contains("more than 32 records"));
}

#[test]
fn an_unknown_field_is_guessed() {
    assert_eq!(nearest("sorce").as_deref(), Some("source"));
    assert_eq!(nearest("dep").as_deref(), Some("delays.dep"), "the record around it was left out");
    assert_eq!(nearest("delays.dpe").as_deref(), Some("delays.dep"));
    assert_eq!(nearest("delay.arrival").as_deref(), Some("delays.arrival"));
    assert_eq!(nearest("temperature"), None);
    assert_eq!(nearest(""), None);
    match schema().field("plain.flog") {
        Err(FieldError::Unknown { known, .. }) => assert_eq!(known, ["plain.flag"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_schema_is_refused_in_words() {
    let error = |json: &str| ReaderSchema::parse(json).map(|_| ()).expect_err(json);
    assert!(error("{").contains("not JSON"), "{}", error("{"));
    assert!(error("\"double\"").contains("the top of the schema is a double, it must be a record"));
    assert!(
        error(r#"{"type": "record", "name": "A", "fields": [{"name": "x", "type": "dubble"}]}"#).contains("dubble")
    );
    assert!(error("").contains("not JSON"));
    assert!(error("[]").contains("must be a record"));
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(error(&deep).contains("not JSON"));
}

#[test]
fn types_used_many_times_over_do_not_hang_the_list() {
    let mut json = r#"{"type": "record", "name": "R0", "fields": [{"name": "x", "type": "double"}]}"#.to_owned();
    for level in 1..30 {
        let inner = level - 1;
        json = format!(
            r#"{{"type": "record", "name": "R{level}", "fields": [{{"name": "a", "type": {json}}}, {{"name": "b", "type": "R{inner}"}}]}}"#
        );
    }
    let listed = ReaderSchema::parse(&json).expect("30 levels are allowed").fields();
    assert!(listed.len() <= SCHEMA_TYPES_MAX);
}
