//! Random schemas and random data for them.

use apache_avro::types::Value;
use apache_avro::{Decimal, Duration, Uuid};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// A type of a schema.
#[derive(Clone, Debug)]
pub(super) enum Type {
    /// A type that is its name.
    Named(&'static str),
    /// A logical type: the type below it and its name.
    Logical(&'static str, &'static str),
    DecimalBytes,
    DecimalFixed(usize),
    Fixed(usize),
    Duration,
    Enum(usize),
    Record(Vec<Type>),
    Array(Box<Type>),
    Map(Box<Type>),
    /// A union; built so that no two branches are of a kind.
    Union(Vec<Type>),
}

const PLAIN: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
const LOGICAL: [(&str, &str); 10] = [
    ("string", "uuid"),
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("long", "local-timestamp-nanos"),
];

/// Any type, a few levels deep; doubles and nullable doubles more often than others, so that they stand next to each other.
pub(super) fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        4 => prop::sample::select(PLAIN.as_slice()).prop_map(Type::Named),
        3 => prop::sample::select(LOGICAL.as_slice()).prop_map(|(below, name)| Type::Logical(below, name)),
        2 => Just(Type::Named("double")),
        2 => any::<bool>().prop_map(|first| union_of(vec![Type::Named("double")], Some(first))),
        1 => Just(Type::DecimalBytes),
        1 => (1_usize..17).prop_map(Type::DecimalFixed),
        1 => (0_usize..20).prop_map(Type::Fixed),
        1 => Just(Type::Duration),
        2 => (1_usize..200).prop_map(Type::Enum),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..6).prop_map(Type::Record),
            2 => inner.clone().prop_map(|item| Type::Array(Box::new(item))),
            2 => inner.clone().prop_map(|item| Type::Map(Box::new(item))),
            4 => (inner.clone(), any::<bool>()).prop_map(|(branch, first)| union_of(vec![branch], Some(first))),
            2 => (prop::collection::vec(inner, 1..5), any::<Option<bool>>()).prop_map(|(branches, null)| union_of(branches, null)),
        ]
    })
}

/// A union of what of `branches` may stand in one, with null in front (or behind) if asked for.
fn union_of(branches: Vec<Type>, null_first: Option<bool>) -> Type {
    let mut kept: Vec<Type> = Vec::new();
    for branch in branches {
        let kind = base(&branch);
        let alone = !["null", "union"].contains(&kind) && kept.iter().all(|other| base(other) != kind);
        if alone {
            kept.push(branch);
        }
    }
    match null_first {
        Some(true) => kept.insert(0, Type::Named("null")),
        Some(false) => kept.push(Type::Named("null")),
        None if kept.is_empty() => kept.push(Type::Named("null")),
        None => {}
    }
    Type::Union(kept)
}

fn base(of: &Type) -> &'static str {
    match of {
        Type::Named(name) => name,
        Type::Logical(below, _) => below,
        Type::DecimalBytes => "bytes",
        Type::DecimalFixed(_) | Type::Fixed(_) | Type::Duration => "fixed",
        Type::Enum(_) => "enum",
        Type::Record(_) => "record",
        Type::Array(_) => "array",
        Type::Map(_) => "map",
        Type::Union(_) => "union",
    }
}

/// The schema's JSON; `named` counts the names given so far.
pub(super) fn schema_of(of: &Type, named: &mut usize) -> Json {
    *named += 1;
    let name = format!("N{named}");
    match of {
        Type::Named(name) => json!(name),
        Type::Logical(below, logical) => json!({"type": below, "logicalType": logical}),
        Type::DecimalBytes => json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}),
        Type::DecimalFixed(size) => {
            json!({"type": "fixed", "name": name, "size": size, "logicalType": "decimal", "precision": 2, "scale": 1})
        }
        Type::Fixed(size) => json!({"type": "fixed", "name": name, "size": size}),
        Type::Duration => json!({"type": "fixed", "name": name, "size": 12, "logicalType": "duration"}),
        Type::Enum(symbols) => {
            let symbols: Vec<String> = (0..*symbols).map(|symbol| format!("S{symbol}")).collect();
            json!({"type": "enum", "name": name, "symbols": symbols})
        }
        Type::Record(fields) => {
            let fields: Vec<Json> = fields
                .iter()
                .enumerate()
                .map(|(index, field)| json!({"name": format!("f{index}"), "type": schema_of(field, named)}))
                .collect();
            json!({"type": "record", "name": name, "fields": fields})
        }
        Type::Array(item) => json!({"type": "array", "items": schema_of(item, named)}),
        Type::Map(item) => json!({"type": "map", "values": schema_of(item, named)}),
        Type::Union(branches) => branches.iter().map(|branch| schema_of(branch, named)).collect(),
    }
}

/// A small generator of numbers; the same seed gives the same ones.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Of any magnitude.
    fn long(&mut self) -> i64 {
        let shift = self.below(64);
        (self.next() as i64) >> shift
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self) -> String {
        let length = [0, 1, 5, 8, 9, 23, 70][self.below(7)];
        let odd = self.below(4) == 0;
        (0..length)
            .map(|_| if odd { ['é', '漢', 'x', '🦀'][self.below(4)] } else { (b'a' + self.below(26) as u8) as char })
            .collect()
    }

    fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => f64::NAN,
            1 => f64::NEG_INFINITY,
            2 => 0.0,
            _ => f64::from_bits(self.next()),
        }
    }
}

/// A random value of a type.
pub(super) fn value_of(of: &Type, numbers: &mut Numbers) -> Value {
    match of {
        Type::Named("null") => Value::Null,
        Type::Named("boolean") => Value::Boolean(numbers.below(2) == 1),
        Type::Named("int") => Value::Int(numbers.long() as i32),
        Type::Named("long") => Value::Long(numbers.long()),
        Type::Named("float") => Value::Float(numbers.float() as f32),
        Type::Named("double") => Value::Double(numbers.float()),
        Type::Named("bytes") => {
            let length = numbers.below(30);
            Value::Bytes(numbers.bytes(length))
        }
        Type::Named(_) => Value::String(numbers.text()),
        Type::Logical(_, logical) => logical_value(logical, numbers),
        Type::DecimalBytes => {
            let length = 1 + numbers.below(16);
            Value::Decimal(Decimal::from(numbers.bytes(length)))
        }
        Type::DecimalFixed(size) => Value::Decimal(Decimal::from(numbers.bytes(*size))),
        Type::Fixed(size) => Value::Fixed(*size, numbers.bytes(*size)),
        Type::Duration => Value::Duration(Duration::from([7; 12])),
        Type::Enum(symbols) => {
            let symbol = numbers.below(*symbols);
            Value::Enum(symbol as u32, format!("S{symbol}"))
        }
        Type::Record(fields) => {
            let values = fields.iter().enumerate();
            Value::Record(values.map(|(index, field)| (format!("f{index}"), value_of(field, numbers))).collect())
        }
        Type::Array(item) => Value::Array((0..numbers.below(4)).map(|_| value_of(item, numbers)).collect()),
        Type::Map(item) => {
            Value::Map((0..numbers.below(4)).map(|_| (numbers.text(), value_of(item, numbers))).collect())
        }
        Type::Union(branches) => {
            let branch = numbers.below(branches.len());
            Value::Union(branch as u32, Box::new(value_of(&branches[branch], numbers)))
        }
    }
}

fn logical_value(logical: &str, numbers: &mut Numbers) -> Value {
    let long = numbers.long();
    match logical {
        "uuid" => Value::Uuid(Uuid::from_u128(u128::from(numbers.next()) << 64 | u128::from(numbers.next()))),
        "date" => Value::Date(long as i32),
        "time-millis" => Value::TimeMillis(long as i32),
        "time-micros" => Value::TimeMicros(long),
        "timestamp-millis" => Value::TimestampMillis(long),
        "timestamp-micros" => Value::TimestampMicros(long),
        "timestamp-nanos" => Value::TimestampNanos(long),
        "local-timestamp-millis" => Value::LocalTimestampMillis(long),
        "local-timestamp-micros" => Value::LocalTimestampMicros(long),
        _ => Value::LocalTimestampNanos(long),
    }
}

/// Appends a long as Avro writes it.
pub(super) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut coded = ((value << 1) ^ (value >> 63)) as u64;
    while coded >= 0x80 {
        out.push(coded as u8 | 0x80);
        coded >>= 7;
    }
    out.push(coded as u8);
}

/// Encodes a value with arrays and maps in several blocks, some of them with their size in bytes, which apache-avro reads but does not
/// write. `simple` encodes what has no blocks.
pub(super) fn encode_in_blocks(
    of: &Type,
    value: &Value,
    numbers: &mut Numbers,
    simple: &dyn Fn(&Type, &Value) -> Vec<u8>,
    out: &mut Vec<u8>,
) {
    match (of, value) {
        (Type::Record(types), Value::Record(fields)) => {
            for (of, (_, field)) in types.iter().zip(fields) {
                encode_in_blocks(of, field, numbers, simple, out);
            }
        }
        (Type::Union(types), Value::Union(branch, inner)) => {
            put_long(i64::from(*branch), out);
            encode_in_blocks(&types[*branch as usize], inner, numbers, simple, out);
        }
        (Type::Array(of), Value::Array(items)) => {
            let items = items.iter().map(|item| {
                let mut bytes = Vec::new();
                encode_in_blocks(of, item, numbers, simple, &mut bytes);
                bytes
            });
            let items: Vec<Vec<u8>> = items.collect();
            put_blocks(&items, numbers, out);
        }
        (Type::Map(of), Value::Map(items)) => {
            let mut encoded = Vec::new();
            for (key, item) in items {
                let mut bytes = simple(&Type::Named("string"), &Value::String(key.clone()));
                encode_in_blocks(of, item, numbers, simple, &mut bytes);
                encoded.push(bytes);
            }
            put_blocks(&encoded, numbers, out);
        }
        _ => out.extend(simple(of, value)),
    }
}

fn put_blocks(items: &[Vec<u8>], numbers: &mut Numbers, out: &mut Vec<u8>) {
    let mut rest = items;
    while !rest.is_empty() {
        let (block, after) = rest.split_at(1 + numbers.below(rest.len()));
        rest = after;
        if numbers.below(2) == 0 {
            put_long(block.len() as i64, out);
        } else {
            put_long(-(block.len() as i64), out);
            put_long(block.concat().len() as i64, out);
        }
        out.extend(block.concat());
    }
    out.push(0);
}
