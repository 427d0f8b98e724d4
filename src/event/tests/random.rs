//! Random schemas, random data, random selections: the plan reads what apache-avro reads, and takes as many bytes.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::json;

use super::generated::{Numbers, Type, any_type, encode_in_blocks, schema_of, value_of};
use super::oracle::{assert_same, plan, slow_value};
use crate::event::Selection;
use crate::limits::TIME_END_S;

/// A schema with a source and a time somewhere between random fields, and events of it.
struct Case {
    json: String,
    schema: Schema,
    selection: Selection,
    payloads: Vec<Vec<u8>>,
}

fn encode(schema: &Schema, value: Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().expect("the schema is good");
    writer.write_value_to_vec(value).expect("the value is of the schema")
}

fn simple(of: &Type, value: &Value) -> Vec<u8> {
    let json = schema_of(of, &mut 0).to_string();
    encode(&Schema::parse_str(&json).expect("the schema is good"), value.clone())
}

fn case(types: &[Type], seed: u64) -> Case {
    let mut numbers = Numbers(seed);
    let mut types = types.to_vec();
    let (time, source) = (numbers.below(types.len() + 1), numbers.below(types.len() + 2));
    types.insert(time, Type::Logical("long", "timestamp-millis"));
    types.insert(source, Type::Named("string"));
    let time = if time >= source { time + 1 } else { time };
    let mut schema = schema_of(&Type::Record(types.clone()), &mut 0);
    schema["namespace"] = json!("some.where");
    let json = schema.to_string();
    let schema = Schema::parse_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));

    let reader = crate::event::ReaderSchema::parse(&json).expect("the schema is good");
    let mut paths: Vec<String> = reader.fields().into_iter().map(|(path, _)| path).collect();
    if numbers.below(2) == 0 {
        for index in (1..paths.len()).rev() {
            paths.swap(index, numbers.below(index + 1));
        }
    }
    let keep = 1 + numbers.below(4);
    paths.retain(|_| numbers.below(4) < keep);
    paths.truncate(64);
    let selection = Selection { source: format!("f{source}"), time: Some(format!("f{time}")), fields: paths };

    let payload = |index: usize| {
        let mut value = value_of(&Type::Record(types.clone()), &mut numbers);
        if let Value::Record(fields) = &mut value {
            fields[source].1 = Value::String(format!("source-{}", numbers.below(1000)));
            fields[time].1 = Value::TimestampMillis((numbers.next() % (TIME_END_S as u64 * 1000)) as i64);
        }
        if index.is_multiple_of(2) {
            return encode(&schema, value);
        }
        let mut bytes = Vec::new();
        encode_in_blocks(&Type::Record(types.clone()), &value, &mut numbers, &simple, &mut bytes);
        bytes
    };
    let payloads = (0..6).map(payload).collect();
    Case { json, schema, selection, payloads }
}

/// Errors of apache-avro about texts that the plan skips and does not look into.
fn about_text(error: &apache_avro::Error) -> bool {
    use apache_avro::error::Details;
    matches!(error.details(), Details::ConvertToUtf8(_) | Details::ConvertStrToUuid(_))
}

/// Any bytes at all: an error, or what apache-avro reads.
fn check_anything(case: &Case, bytes: &[u8]) {
    let (reader, plan) = plan(&case.json, &case.selection);
    let mut row = plan.row();
    let Ok(taken) = plan.decode(bytes, &mut row) else { return };
    match slow_value(&case.schema, None, bytes) {
        Ok(slow) => assert_same(&row, taken, &slow, &reader, &case.selection, bytes),
        Err(error) => assert!(about_text(&error), "apache-avro refuses {bytes:?} of {}: {error}", case.json),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_event_reads_as_apache_avro_reads_it(types in prop::collection::vec(any_type(), 0..14), seed: u64) {
        let case = case(&types, seed);
        let (reader, plan) = plan(&case.json, &case.selection);
        let mut row = plan.row();
        row.words.fill(u64::MAX);
        let mut block = Vec::new();
        for payload in &case.payloads {
            let slow = slow_value(&case.schema, None, payload).expect("the payload is good");
            prop_assert_eq!(plan.decode_whole(payload, &mut row), Ok(()));
            assert_same(&row, payload.len(), &slow, &reader, &case.selection, payload);
            block.extend(payload);
        }
        let mut rest = block.as_slice();
        for payload in &case.payloads {
            let taken = plan.decode(rest, &mut row).expect("the block is good");
            prop_assert_eq!(taken, payload.len());
            let slow = slow_value(&case.schema, None, rest).expect("the block is good");
            assert_same(&row, taken, &slow, &reader, &case.selection, rest);
            rest = &rest[taken..];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_part_of_an_event_is_malformed(types in prop::collection::vec(any_type(), 0..10), seed: u64) {
        let case = case(&types, seed);
        let (_, plan) = plan(&case.json, &case.selection);
        let mut row = plan.row();
        let payload = &case.payloads[(seed % 6) as usize];
        for end in 0..payload.len() {
            prop_assert!(plan.decode(&payload[..end], &mut row).is_err(), "cut at {}", end);
        }
        let longer = [payload.as_slice(), &[0]].concat();
        prop_assert!(plan.decode_whole(&longer, &mut row).is_err());
    }

    #[test]
    fn flipped_bits_are_malformed_or_read_alike(
        types in prop::collection::vec(any_type(), 0..10),
        seed: u64,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..8), 1..4),
    ) {
        let case = case(&types, seed);
        for payload in &case.payloads {
            let mut bytes = payload.clone();
            for (index, bit) in &flips {
                let index = index.index(bytes.len());
                bytes[index] ^= 1 << bit;
                check_anything(&case, &bytes);
            }
        }
    }

    #[test]
    fn random_bytes_are_malformed_or_read_alike(
        types in prop::collection::vec(any_type(), 0..6),
        seed: u64,
        garbage in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..8], 0..80),
    ) {
        let case = case(&types, seed);
        check_anything(&case, &garbage);
        let payload = &case.payloads[0];
        let cut = (seed % payload.len() as u64) as usize;
        check_anything(&case, &[&payload[..cut], garbage.as_slice()].concat());
    }
}
