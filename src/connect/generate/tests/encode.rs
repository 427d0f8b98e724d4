//! The bytes: decodable, plausible, and what the event says stands in them.

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

use super::*;
use crate::connect::generate::{Encoder, Event, Random};
use crate::error::Fault;

fn error_of(json: &str, source: &str, time: Option<&str>) -> String {
    let error = Encoder::compile(&schema(json), source, time, &Spec::default()).unwrap_err();
    assert_eq!(error.fault, Fault::Configuration);
    error.to_string()
}

fn one(encoder: &Encoder, source: u64, time_ns: i64, seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.write(&mut Event { source, time_ns, spoil: false }, &mut Random::of([seed, 0, 0]), &mut out);
    out
}

#[test]
fn sensors_decode_and_encode_to_the_same_bytes() {
    let schema = schema(SENSORS);
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    for payload in payloads(&sensors(small(5_000)), 0) {
        let value = decode(&schema, &payload).unwrap();
        assert_eq!(writer.write_value_to_vec(value).unwrap(), payload);
    }
}

#[test]
fn every_type_decodes_and_validates() {
    let schema = schema(EVERYTHING);
    let generator = everything(Spec { nulls: 0.3, non_finite: 0.1, ..small(6_000) });
    for payload in payloads(&generator, 1) {
        let value = decode(&schema, &payload).expect("a well-formed event");
        assert!(value.validate(&schema), "{value:?}");
    }
}

#[test]
fn source_and_time_are_never_null() {
    let generator = everything(Spec { nulls: 1.0, ..small(2_000) });
    for payload in payloads(&generator, 0) {
        let value = decode(generator.schema(), &payload).unwrap();
        assert!(matches!(at(&value, "head.who"), Value::String(name) if name.starts_with("source-")));
        assert!(matches!(at(&value, "head.when"), Value::TimestampMicros(_)));
        assert_eq!(at(&value, "tree.left"), Value::Null);
    }
}

#[test]
fn a_source_is_text_number_or_symbol() {
    let of = |kind: &str| {
        let json = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"k","type":{kind}}}]}}"#);
        let encoder = Encoder::compile(&schema(&json), "k", None, &Spec::default()).unwrap();
        at(&decode(&schema(&json), &one(&encoder, 1_234_567, 0, 1)).unwrap(), "k")
    };
    assert_eq!(of(r#""string""#), Value::String("source-1234567".into()));
    assert_eq!(of(r#""int""#), Value::Int(1_234_567));
    assert_eq!(of(r#""long""#), Value::Long(1_234_567));
    assert_eq!(of(r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#), Value::Enum(1, "B".into()));
    assert_eq!(of(r#"["double","null","string"]"#), Value::String("source-1234567".into()));
}

#[test]
fn time_is_written_in_its_own_unit() {
    let time_ns = 1_767_225_661_123_456_789;
    let of = |kind: &str| {
        let fields = format!(r#"{{"name":"k","type":"int"}},{{"name":"t","type":{kind}}}"#);
        let json = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        let encoder = Encoder::compile(&schema(&json), "k", Some("t"), &Spec::default()).unwrap();
        at(&decode(&schema(&json), &one(&encoder, 0, time_ns, 1)).unwrap(), "t")
    };
    assert_eq!(of(r#""long""#), Value::Long(1_767_225_661_123));
    assert_eq!(of(r#"{"type":"int","logicalType":"date"}"#), Value::Date(20_454));
    let logical = |name: &str| of(&format!(r#"{{"type":"long","logicalType":"{name}"}}"#));
    assert_eq!(logical("timestamp-millis"), Value::TimestampMillis(1_767_225_661_123));
    assert_eq!(logical("timestamp-micros"), Value::TimestampMicros(1_767_225_661_123_456));
    assert_eq!(logical("timestamp-nanos"), Value::TimestampNanos(time_ns));
    assert_eq!(logical("local-timestamp-millis"), Value::LocalTimestampMillis(1_767_225_661_123));
}

#[test]
fn doubles_have_two_decimals_and_move_smoothly() {
    let encoder = Encoder::compile(&schema(SENSORS), "event_source_id", Some("event_time"), &Spec::default()).unwrap();
    let reading = |time_s: i64| {
        let bytes = one(&encoder, 3, time_s * 1_000_000_000, 1);
        let Value::Double(reading) = at(&decode(&schema(SENSORS), &bytes).unwrap(), "temperature") else { panic!() };
        reading
    };
    for second in 0..10_000 {
        let (now, next) = (reading(second), reading(second + 1));
        assert_eq!(now, (now * 100.0).round() / 100.0);
        assert!((now - next).abs() <= 0.03, "{now} then {next} at second {second}");
    }
}

#[test]
fn words_of_a_field_are_few_and_a_source_keeps_its_own() {
    let generator = sensors(small(20_000));
    let mut words = std::collections::BTreeMap::<String, u64>::new();
    for payload in payloads(&generator, 0) {
        let value = decode(generator.schema(), &payload).unwrap();
        if at(&value, "event_source_id") == Value::String("source-0000003".into()) {
            let Value::String(word) = at(&value, "site_id") else { panic!() };
            *words.entry(word).or_default() += 1;
        }
    }
    let (most, all) = (words.values().max().unwrap(), words.values().sum::<u64>());
    assert!(words.len() <= 16 && words.keys().all(|word| word.starts_with("site_id-")));
    assert!(*most * 10 > all * 9, "{words:?}");
}

#[test]
fn what_cannot_be_generated_is_said() {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let found = error_of(&record(r#"{"name":"k","type":"double"}"#), "k", None);
    assert!(found.contains("source \"k\""), "{found}");
    let found = error_of(&record(r#"{"name":"k","type":"string"}"#), "k", Some("t.x"));
    assert!(found.contains("event time \"t.x\""), "{found}");
    let found = error_of(&record(r#"{"name":"k","type":"string"},{"name":"self","type":"R"}"#), "k", None);
    assert!(found.contains("without end"), "{found}");
    let fixed = r#"{"name":"k","type":"string"},{"name":"f","type":{"type":"fixed","name":"F","size":20000}}"#;
    assert!(error_of(&record(fixed), "k", None).contains("must fit an entry"));
    let deep = "[{\"type\":\"array\",\"items\":".repeat(40) + "\"int\"" + &"}]".repeat(40);
    let deep = record(&format!(r#"{{"name":"k","type":"string"}},{{"name":"deep","type":{deep}}}"#));
    assert!(error_of(&deep, "k", None).contains("too deep"));
}

/// A random type; records, enums and fixed have names of their own only by way of `number`.
fn any_type() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        r#""int""#,
        r#""long""#,
        r#""double""#,
        r#""float""#,
        r#""string""#,
        r#""bytes""#,
        r#""boolean""#,
        r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#,
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| format!(r#"{{"type":"array","items":{item}}}"#)),
            inner.clone().prop_map(|item| format!(r#"{{"type":"map","values":{item}}}"#)),
            inner
                .prop_filter("no union in a union", |of| !of.starts_with('['))
                .prop_map(|of| format!(r#"["null",{of}]"#)),
        ]
    })
}

proptest! {
    #[test]
    fn random_schemas_decode(types in prop::collection::vec(any_type(), 1..6), seed: u64, nulls in 0.0..1.0f64) {
        let fields: Vec<String> =
            types.iter().enumerate().map(|(i, of)| format!(r#",{{"name":"f{i}","type":{of}}}"#)).collect();
        let json = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"k","type":"string"}}{}]}}"#, fields.concat());
        let schema = schema(&json);
        let spec = Spec { seed, nulls, ..Spec::default() };
        let encoder = Encoder::compile(&schema, "k", None, &spec).unwrap();
        for seed in 0..20 {
            let value = decode(&schema, &one(&encoder, seed, 1_000_000_000, seed)).expect("a well-formed event");
            prop_assert!(value.validate(&schema));
        }
    }
}
