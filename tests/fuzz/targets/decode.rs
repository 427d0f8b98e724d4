//! Events: the first byte chooses the schemas, the others are the payload. apache-avro is the oracle of what it can read.

use std::sync::OnceLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use minuet::event::{Malformed, ReadPlan, ReaderSchema, Reason, Row, Selection, Source};

/// A writer, a reader and what is selected of it.
struct Case {
    /// The writer's own selection is compared value by value.
    own: bool,
    writer: Schema,
    plan: ReadPlan,
    fields: Vec<&'static str>,
    /// Items may take no byte: the oracle would keep any number of them.
    empty_items: bool,
}

impl Case {
    /// Whether the oracle can be asked. Not where a length was found to be wrong: it takes the memory that a length asks for before
    /// it looks what is there. Nor where it is too kind: it makes nulls of what the bytes end before, and cuts the upper bits off a
    /// number that is too long.
    fn asks(&self, length: &Result<usize, Malformed>) -> bool {
        let other = matches!(
            length,
            Err(Malformed { reason: Reason::BadLength | Reason::Truncated | Reason::OverlongVarint, .. })
        );
        !self.empty_items && !other
    }
}

/// What stands around the fields of a case.
const AROUND: [&str; 2] = [
    r#"{"type": "record", "name": "Event", "fields": [{"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}, "#,
    "]}",
];

/// Fields of the writer, fields of the reader (none where they are the same), what is selected.
const CASES: [(&str, &str, &[&str]); 7] = [
    (
        r#"{"name": "a", "type": "double"}, {"name": "b", "type": "double"}, {"name": "c", "type": "long"}"#,
        "",
        &["a", "c"],
    ),
    (
        r#"{"name": "a", "type": ["null", "double"]}, {"name": "b", "type": ["null", "string"]}, {"name": "c", "type": "boolean"}"#,
        "",
        &["a", "b", "c"],
    ),
    (
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": {"type": "array", "items": ["null", "string", "long"]}},
           {"name": "c", "type": {"type": "map", "values": "float"}}, {"name": "d", "type": "string"}"#,
        "",
        &["a", "d"],
    ),
    (
        r#"{"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y", "Z"]}},
           {"name": "b", "type": {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}},
           {"name": "c", "type": {"type": "fixed", "name": "F", "size": 12}}, {"name": "d", "type": "float"}"#,
        "",
        &["a", "b", "d"],
    ),
    (
        r#"{"name": "a", "type": {"type": "record", "name": "Node", "fields": [{"name": "v", "type": "long"},
           {"name": "next", "type": ["null", "Node"]}]}}, {"name": "b", "type": {"type": "array", "items": "null"}}"#,
        "",
        &["a.v"],
    ),
    (
        r#"{"name": "gone", "type": {"type": "map", "values": {"type": "array", "items": "bytes"}}},
           {"name": "a", "type": "int"}, {"name": "old", "type": ["null", "int", "string"]}"#,
        r#"{"name": "a", "type": "double"}, {"name": "b", "aliases": ["old"], "type": ["null", "long", "string"]},
           {"name": "c", "type": "long", "default": 7}"#,
        &["a", "c"],
    ),
    (
        r#"{"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["X", "NEW"]}}, {"name": "b", "type": "float"}"#,
        r#"{"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["Y", "X"], "default": "Y"}}, {"name": "b", "type": "double"}"#,
        &["a", "b"],
    ),
];

/// Decodes one event.
pub fn decode(bytes: &[u8]) -> bool {
    let Some((choice, payload)) = bytes.split_first() else { return false };
    let cases = cases();
    let case = &cases[usize::from(*choice) % cases.len()];
    let mut row = case.plan.row();
    let decoded = case.plan.decode(payload, &mut row);
    let length = case.plan.length(payload);
    let oracle = if case.asks(&length) { oracle(&case.writer, payload) } else { None };
    if let Some((_, taken)) = &oracle {
        assert_eq!(Ok(*taken), length, "the oracle finds another end");
    }
    let Ok(taken) = decoded else { return false };
    assert_eq!(length, Ok(taken), "what can be read has an end");
    check_spans(&case.plan, payload, taken, &row);
    if let Some((value, _)) = oracle.filter(|_| case.own) {
        check_values(&value, case, payload, &row);
    }
    taken == payload.len()
}

fn cases() -> &'static [Case] {
    static COMPILED: OnceLock<Vec<Case>> = OnceLock::new();
    COMPILED.get_or_init(|| CASES.iter().map(|(writer, reader, fields)| case(writer, reader, fields)).collect())
}

fn case(writer: &str, reader: &str, fields: &'static [&'static str]) -> Case {
    let record = |fields: &str| format!("{}{fields}{}", AROUND[0], AROUND[1]);
    let own = reader.is_empty();
    let empty_items = writer.contains("\"items\": \"null\"");
    let (writer, reader) = (record(writer), record(if own { writer } else { reader }));
    let selection = Selection {
        source: "id".to_owned(),
        time: Some("at".to_owned()),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    let reader = ReaderSchema::parse(&reader).expect("the reader's schema is good");
    let plan = ReadPlan::compile(&writer, &reader, &selection).expect("the schemas fit");
    Case {
        own,
        writer: Schema::parse_str(&writer).expect("the writer's schema is good"),
        plan,
        fields: fields.to_vec(),
        empty_items,
    }
}

/// What apache-avro reads from the front, and how many bytes it takes.
fn oracle(writer: &Schema, payload: &[u8]) -> Option<(Value, usize)> {
    let mut rest = payload;
    let value = GenericDatumReader::builder(writer).build().expect("the schema is good").read_value(&mut rest).ok()?;
    Some((value, payload.len() - rest.len()))
}

/// An event needs all of its bytes and no others, and a row that was used before makes no difference.
fn check_spans(plan: &ReadPlan, payload: &[u8], taken: usize, row: &Row) {
    let mut again = plan.row();
    again.words.fill(u64::MAX);
    again.present = u64::MAX;
    assert_eq!(plan.decode_whole(&payload[..taken], &mut again), Ok(()));
    assert_eq!(format!("{again:?}"), format!("{row:?}"));
    assert!(plan.decode(&payload[..taken - 1], &mut again).is_err(), "an event without its last byte");
    let Source::Text(span) = row.source else { panic!("{:?}", row.source) };
    let text = &payload[..taken][span.start as usize..][..span.len as usize];
    assert!(std::str::from_utf8(text).is_ok_and(|text| !text.is_empty()));
}

/// Values of the fields that stand at the top, as apache-avro has them.
fn check_values(value: &Value, case: &Case, payload: &[u8], row: &Row) {
    let Value::Record(values) = value else { panic!("{value:?}") };
    let mut word = 0;
    for (bit, path) in case.fields.iter().enumerate() {
        let there = row.present >> bit & 1 == 1;
        let found = row.words[word];
        let Some((_, value)) = values.iter().find(|(name, _)| name == path) else { return };
        let inner = if let Value::Union(_, inner) = value { inner } else { value };
        let text = || &payload[(found >> 32) as usize..][..found as u32 as usize];
        let same = match inner {
            Value::Null => !there,
            Value::Double(value) if !value.is_finite() => !there,
            Value::Float(value) if !value.is_finite() => !there,
            Value::Double(value) => found == value.to_bits(),
            Value::Float(value) => found == f64::from(*value).to_bits(),
            Value::Long(value) => found == value.cast_unsigned(),
            Value::Int(value) => found == i64::from(*value).cast_unsigned(),
            Value::Boolean(value) => found == u64::from(*value),
            Value::Enum(index, _) => found == u64::from(*index),
            Value::String(value) => text() == value.as_bytes(),
            Value::Decimal(_) => there,
            other => panic!("{other:?} is not selected"),
        };
        assert!(same, "{path} is {found:x} ({there}), not {value:?}");
        word += if matches!(inner, Value::Decimal(_)) { 2 } else { 1 };
    }
}
