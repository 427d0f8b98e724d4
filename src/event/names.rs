//! A schema's named types, and what a type is called in a message to an operator.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, UuidSchema};

/// The named types (records, enums, fixed) that a schema defines, by full name and by alias.
pub(super) struct Names<'s>(BTreeMap<String, &'s Schema>);

impl<'s> Names<'s> {
    /// Gathers the definitions. They nest no deeper than the JSON they were parsed from, which the parser bounds.
    pub(super) fn of(top: &'s Schema) -> Self {
        let mut names = Self(BTreeMap::new());
        names.gather(top);
        names
    }

    fn gather(&mut self, schema: &'s Schema) {
        if let Some(name) = schema.name() {
            if matches!(schema, Schema::Ref { .. }) {
                return;
            }
            self.0.insert(name.fullname(None), schema);
            for alias in schema.aliases().into_iter().flatten() {
                self.0.entry(alias.fullname(name.namespace())).or_insert(schema);
            }
        }
        match schema {
            Schema::Record(record) => record.fields.iter().for_each(|field| self.gather(&field.schema)),
            Schema::Array(array) => self.gather(&array.items),
            Schema::Map(map) => self.gather(&map.types),
            Schema::Union(union) => union.variants().iter().for_each(|variant| self.gather(variant)),
            _ => {}
        }
    }

    /// What a type refers to; a type that is no reference is itself. A reference without a definition stays one: the parser lets none
    /// through, and whoever meets one reports it as a type that does not fit.
    pub(super) fn follow(&self, schema: &'s Schema) -> &'s Schema {
        match schema {
            Schema::Ref { name } => self.0.get(&name.fullname(None)).copied().unwrap_or(schema),
            other => other,
        }
    }

    /// A type without the null beside it, and whether there was one. A union of anything else stays a union.
    pub(super) fn bare(&self, schema: &'s Schema) -> (&'s Schema, bool) {
        let schema = self.follow(schema);
        let Schema::Union(union) = schema else {
            return (schema, false);
        };
        match union.variants() {
            [Schema::Null, other] | [other, Schema::Null] => (self.follow(other), true),
            _ => (schema, false),
        }
    }
}

/// What a type is called: `a double`, `a decimal over bytes`, `a union of null, int and string`.
pub(super) fn describe(schema: &Schema) -> String {
    let word = match schema {
        Schema::Array(_) | Schema::Enum(_) | Schema::Int => "an",
        _ => "a",
    };
    match schema {
        Schema::Null | Schema::Bytes => name_of(schema),
        Schema::Union(union) => format!("a union of {}", listed(union.variants().iter().map(name_of))),
        other => format!("{word} {}", name_of(other)),
    }
}

/// `a, b and c`.
pub(super) fn listed(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    match words.pop() {
        None => "nothing".to_owned(),
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
    }
}

/// The type's word in the Avro specification.
pub(super) fn name_of(schema: &Schema) -> String {
    let word = match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Long => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes => "bytes",
        Schema::String => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "union",
        Schema::Record(record) => return format!("record {}", record.name.name()),
        Schema::Enum(symbols) => return format!("enum {}", symbols.name.name()),
        Schema::Fixed(fixed) => return format!("fixed of {} bytes", fixed.size),
        Schema::Decimal(decimal) => {
            let over = if matches!(decimal.inner, InnerDecimalSchema::Bytes) { "bytes" } else { "fixed" };
            return format!("decimal over {over} of scale {}", decimal.scale);
        }
        Schema::BigDecimal => "big-decimal",
        Schema::Uuid(UuidSchema::String) => "uuid",
        Schema::Uuid(UuidSchema::Fixed(_)) => "uuid over fixed",
        Schema::Uuid(UuidSchema::Bytes) => "uuid over bytes",
        Schema::Date => "date",
        Schema::TimeMillis => "time-millis",
        Schema::TimeMicros => "time-micros",
        Schema::TimestampMillis => "timestamp-millis",
        Schema::TimestampMicros => "timestamp-micros",
        Schema::TimestampNanos => "timestamp-nanos",
        Schema::LocalTimestampMillis => "local-timestamp-millis",
        Schema::LocalTimestampMicros => "local-timestamp-micros",
        Schema::LocalTimestampNanos => "local-timestamp-nanos",
        Schema::Duration(_) => "duration",
        Schema::Ref { name } => return name.name().to_owned(),
    };
    word.to_owned()
}
