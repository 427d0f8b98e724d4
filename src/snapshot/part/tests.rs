use apache_avro::types::Value;
use proptest::prelude::*;

use super::*;
use crate::aggregate::exact_sum::ExactSum;
use crate::aggregate::partial::{FieldState, Picked, Sum, When};

const GOLDEN_V1: &[u8] = include_bytes!("../../../tests/data/snapshot/part-v1.avro");

fn float_sum(parts: &[f64]) -> Option<Sum> {
    Some(Sum::Float(ExactSum::from_parts(parts).unwrap()))
}

fn example() -> Vec<Partial> {
    let when = |time, order| When { time, order };
    let integers = FieldState {
        count: 3,
        nonzero: Some(2),
        sum: Some(Sum::Integer { value: -(1 << 100), carry: -1 }),
        min: Some(Picked::Integer(i64::MIN)),
        max: Some(Picked::Integer(i64::MAX)),
        first: Some((when(-1, u64::MAX), Picked::Text("Zürich".into()))),
        last: Some((when(60_000, 1 << 48), Picked::Decimal(i128::MIN))),
    };
    let floats = FieldState {
        count: 1,
        sum: float_sum(&[1e300]),
        min: Some(Picked::Float(-0.0)),
        max: Some(Picked::Float(f64::MIN_POSITIVE)),
        ..FieldState::default()
    };
    vec![
        Partial { source: b"b".to_vec(), minute: 7, count: 3, fields: vec![integers, floats] },
        Partial { source: vec![], minute: 8, count: u64::MAX, fields: vec![] },
        Partial { source: vec![0, 255], minute: 8, count: 1, fields: vec![FieldState::default()] },
    ]
}

/// The oracle's encoding of a value.
fn avro(schema: &apache_avro::Schema, value: Value) -> Vec<u8> {
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

#[test]
fn golden_bytes_of_version_1_are_read_for_ever() {
    assert_eq!(read(GOLDEN_V1).unwrap(), example());
}

#[test]
fn version_1_is_still_what_is_written() {
    assert!(write(example()) == GOLDEN_V1);
}

#[test]
fn equal_partials_give_equal_bytes_in_whatever_order() {
    let mut turned = example();
    turned.reverse();
    assert_eq!(write(turned), write(example()));
}

#[test]
fn no_partials_are_a_file_too() {
    assert_eq!(read(&write(Vec::new())).unwrap(), []);
}

#[test]
fn many_blocks_come_back_whole() {
    let many: Vec<Partial> = (0..2_500).map(|minute| Partial { minute, ..example()[0].clone() }).collect();
    assert_eq!(read(&write(many.clone())).unwrap(), many);
}

#[test]
fn apache_avro_reads_what_is_written() {
    let bytes = write(example());
    let reader = apache_avro::Reader::new(&bytes[..]).unwrap();
    assert_eq!(reader.user_metadata()["minuet.part"], b"1");
    let values: Vec<Value> = reader.map(|value| value.unwrap()).collect();
    assert_eq!(values.len(), 3);
    let Value::Record(partial) = &values[0] else { panic!("{values:?}") };
    assert_eq!(partial[0].1, Value::Bytes(b"b".to_vec()));
    assert_eq!((&partial[1].1, &partial[2].1), (&Value::Long(7), &Value::Long(3)));
    let Value::Array(fields) = &partial[3].1 else { panic!("{partial:?}") };
    let text = format!("{fields:?}");
    for part in ["Long(-9223372036854775808)", "Long(-1)", "Double(1e300)", "Double(-0.0)", "Fixed(16, [128, 0"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_apache_avro_writes_is_read() {
    let bytes = write(example());
    let schema = apache_avro::Schema::parse_str(datum::SCHEMA).unwrap();
    let values = apache_avro::Reader::new(&bytes[..]).unwrap().map(|value| value.unwrap());
    let mut datums = Vec::new();
    values.for_each(|value| datums.extend(avro(&schema, value)));
    let mut taken = wire::Taken(&datums);
    for partial in example() {
        assert_eq!(datum::take(&mut taken).unwrap(), partial);
    }
}

#[test]
fn another_version_codec_or_schema_is_refused_clearly() {
    let replaced = |from: &[u8], to: &[u8]| {
        let mut bytes = write(example());
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        read(&bytes).unwrap_err().to_string()
    };
    assert!(replaced(b"minuet.part\x021", b"minuet.part\x022").contains("minuet.part is 2, this minuet reads 1"));
    assert!(replaced(b"minuet.part", b"minuet.tart").contains("minuet.part is nothing"));
    assert!(replaced(b"null", b"zstd").contains("its codec is zstd, allowed is null"));
    assert!(replaced(b"carry", b"carrx").contains("its schema is not the one of version 1"));
    assert!(replaced(b"Obj\x01", b"Obj\x02").contains("does not begin as"));
}

#[test]
fn huge_announcements_are_refused_without_memory() {
    let mut huge = Vec::new();
    wire::put_long(&mut huge, i64::MAX);
    assert!(wire::Taken(&huge).bytes().is_err());
    assert!(wire::Taken(&huge).items(|bytes| bytes.long()).is_err());
    let mut negative = Vec::new();
    wire::put_long(&mut negative, i64::MIN);
    assert!(wire::Taken(&negative).len().is_err());
    assert!(wire::Taken(&negative).items(|bytes| bytes.long()).is_err());
    assert!(wire::Taken(&[0xff; 11]).long().is_err());
}

fn picked() -> impl Strategy<Value = Picked> {
    prop_oneof![
        (-1e300..1e300_f64).prop_map(Picked::Float),
        any::<i64>().prop_map(Picked::Integer),
        any::<i128>().prop_map(Picked::Decimal),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Picked::Text),
    ]
}

fn field() -> impl Strategy<Value = FieldState> {
    let sum = prop_oneof![
        (-1e300..1e300_f64).prop_map(|value| float_sum(&[value])),
        (any::<i128>(), any::<i64>()).prop_map(|(value, carry)| Some(Sum::Integer { value, carry })),
        Just(None),
    ];
    let timed = || prop::option::of(((any::<i64>(), any::<u64>()), picked()));
    let timed = || timed().prop_map(|timed| timed.map(|((time, order), value)| (When { time, order }, value)));
    let ends = (prop::option::of(picked()), prop::option::of(picked()), timed(), timed());
    (any::<u64>(), prop::option::of(any::<u64>()), sum, ends).prop_map(
        |(count, nonzero, sum, (min, max, first, last))| FieldState { count, nonzero, sum, min, max, first, last },
    )
}

fn partial() -> impl Strategy<Value = Partial> {
    let source = prop::collection::vec(any::<u8>(), 0..20);
    (source, any::<u64>(), any::<u64>(), prop::collection::vec(field(), 0..5))
        .prop_map(|(source, minute, count, fields)| Partial { source, minute, count, fields })
}

proptest! {
    #[test]
    fn comes_back_as_it_was(mut partials in prop::collection::vec(partial(), 0..10)) {
        let bytes = write(partials.clone());
        partials.sort_by(|a, b| (a.minute, &a.source).cmp(&(b.minute, &b.source)));
        prop_assert_eq!(read(&bytes).unwrap(), partials);
    }

    #[test]
    fn longs_are_as_apache_avro_has_them(value in prop_oneof![any::<i64>(), -200..200_i64]) {
        let mut bytes = Vec::new();
        wire::put_long(&mut bytes, value);
        prop_assert_eq!(&bytes, &avro(&apache_avro::Schema::Long, Value::Long(value)));
        prop_assert_eq!(wire::Taken(&bytes).long().unwrap(), value);
    }

    #[test]
    fn damaged_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5), end in any::<prop::sample::Index>()) {
        let mut bytes = write(example());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
        let _ = read(&bytes[..end.index(bytes.len())]);
    }
}
