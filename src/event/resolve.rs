//! Schema resolution for one value: how what the writer wrote becomes what the reader's schema says.
//!
//! The rules are those of "Schema Resolution" in the Avro 1.12 specification, by the type on the wire: int to long, float or double,
//! long to float or double, float to double, string and bytes to each other. Stricter than it in one thing: two logical types that count
//! time in different units do not match, where the specification would take microseconds for milliseconds without a word.

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, EnumSchema, InnerDecimalSchema, UuidSchema};

use super::names::{describe, listed};
use super::program::{NO_SYMBOL, small};
use super::steps::{Slot, Step, Unit};

/// What a value is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The event's source.
    Source,
    /// The event's time.
    Time,
    /// A selected field.
    Field(Slot),
}

/// A step, or the map of symbols that a step will refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Step(Step),
    Symbols(Vec<u32>),
}

/// How a value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    /// An enum, a record, an array, a map or a union: more than its encoding needs to be known.
    Complex,
}

/// How values of a type are encoded.
pub(super) fn wire(schema: &Schema) -> Wire {
    match schema {
        Schema::Null => Wire::Null,
        Schema::Boolean => Wire::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Wire::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Wire::Long,
        Schema::Float => Wire::Float,
        Schema::Double => Wire::Double,
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Wire::Bytes,
        Schema::String | Schema::Uuid(UuidSchema::String) => Wire::String,
        Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Bytes, .. }) => Wire::Bytes,
        Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. })
        | Schema::Fixed(fixed)
        | Schema::Uuid(UuidSchema::Fixed(fixed))
        | Schema::Duration(fixed) => Wire::Fixed(fixed.size),
        Schema::Enum(_)
        | Schema::Record(_)
        | Schema::Array(_)
        | Schema::Map(_)
        | Schema::Union(_)
        | Schema::Ref { .. } => Wire::Complex,
    }
}

/// How to read a value that is neither a record nor a union for the reader's type (without null), or why that cannot be.
pub(super) fn read(writer: &Schema, reader: &Schema, target: Target) -> Result<Read, String> {
    let (theirs, ours) = (counts(writer), counts(reader));
    if theirs.is_some() && ours.is_some() && theirs != ours {
        return Err(mismatch(writer, reader, "the same unit of time"));
    }
    match target {
        Target::Source => source(writer, reader),
        Target::Time => time(writer, reader).map(Read::Step),
        Target::Field(slot) => field(writer, reader, slot),
    }
}

fn field(writer: &Schema, reader: &Schema, slot: Slot) -> Result<Read, String> {
    let step = match (reader, wire(reader), wire(writer)) {
        (Schema::Decimal(ours), _, _) => decimal(writer, reader, ours, slot)?,
        (Schema::Enum(ours), _, _) => return symbols(writer, reader, ours).map(Read::Symbols),
        (_, Wire::Double, Wire::Double) => Step::Doubles { slot, count: 1 },
        (_, Wire::Float | Wire::Double, Wire::Float) => Step::Float { slot },
        (_, Wire::Float | Wire::Double, number @ (Wire::Int | Wire::Long)) => {
            Step::Number { slot, wide: number == Wire::Long, single: wire(reader) == Wire::Float }
        }
        (_, Wire::Int | Wire::Long, Wire::Int) => Step::Ints { slot, count: 1 },
        (_, Wire::Long, Wire::Long) => Step::Longs { slot, count: 1 },
        (_, Wire::Boolean, Wire::Boolean) => Step::Boolean { slot },
        (_, Wire::String, _) if is_text(writer) => Step::Text { slot },
        (_, ours, _) => return Err(mismatch(writer, reader, allowed(ours))),
    };
    Ok(Read::Step(step))
}

fn allowed(reader: Wire) -> &'static str {
    match reader {
        Wire::Double => "an int, a long, a float or a double",
        Wire::Float => "an int, a long or a float",
        Wire::Long => "an int or a long",
        Wire::Int => "an int",
        Wire::Boolean => "a boolean",
        Wire::String => "a string or bytes",
        _ => "a type that can be aggregated",
    }
}

fn source(writer: &Schema, reader: &Schema) -> Result<Read, String> {
    match (reader, wire(writer)) {
        (Schema::Enum(ours), _) => symbols(writer, reader, ours).map(Read::Symbols),
        (Schema::String | Schema::Uuid(UuidSchema::String), _) if is_text(writer) => Ok(Read::Step(Step::SourceText)),
        (Schema::Int | Schema::Long, Wire::Int) => Ok(Read::Step(Step::SourceInteger { wide: false })),
        (Schema::Long, Wire::Long) => Ok(Read::Step(Step::SourceInteger { wide: true })),
        (Schema::String | Schema::Uuid(UuidSchema::String) | Schema::Int | Schema::Long, _) => {
            Err(mismatch(writer, reader, allowed(wire(reader))))
        }
        _ => Err(format!(
            "a source is a string, an enum, an int or a long, the reader's schema has {}",
            describe(reader)
        )),
    }
}

fn time(writer: &Schema, reader: &Schema) -> Result<Step, String> {
    let unit = time_unit(reader)?;
    if counts(writer).is_some_and(|theirs| theirs != unit.word()) {
        return Err(mismatch(writer, reader, "the same unit of time"));
    }
    match (wire(reader), wire(writer)) {
        (Wire::Int | Wire::Long, Wire::Int) => Ok(Step::Time { unit, wide: false }),
        (Wire::Long, Wire::Long) => Ok(Step::Time { unit, wide: true }),
        (ours, _) => Err(mismatch(writer, reader, allowed(ours))),
    }
}

/// The unit of an event time; a plain long counts milliseconds.
pub(super) fn time_unit(reader: &Schema) -> Result<Unit, String> {
    Ok(match reader {
        Schema::Date => Unit::Days,
        Schema::Long | Schema::TimestampMillis | Schema::LocalTimestampMillis => Unit::Millis,
        Schema::TimestampMicros | Schema::LocalTimestampMicros => Unit::Micros,
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Unit::Nanos,
        other => {
            return Err(format!(
                "an event time is a timestamp, a local timestamp, a date or a long of milliseconds, the reader's schema has {}",
                describe(other)
            ));
        }
    })
}

/// What a logical type of time counts.
fn counts(schema: &Schema) -> Option<&'static str> {
    Some(match schema {
        Schema::Date => Unit::Days.word(),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => Unit::Millis.word(),
        Schema::TimestampMicros | Schema::LocalTimestampMicros => Unit::Micros.word(),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Unit::Nanos.word(),
        Schema::TimeMillis => "milliseconds of a day",
        Schema::TimeMicros => "microseconds of a day",
        _ => return None,
    })
}

fn is_text(writer: &Schema) -> bool {
    matches!(writer, Schema::String | Schema::Uuid(UuidSchema::String) | Schema::Bytes)
}

fn decimal(writer: &Schema, reader: &Schema, ours: &DecimalSchema, slot: Slot) -> Result<Step, String> {
    match writer {
        Schema::Decimal(theirs) if theirs.scale == ours.scale => Ok(match &theirs.inner {
            InnerDecimalSchema::Bytes => Step::DecimalBytes { slot },
            InnerDecimalSchema::Fixed(fixed) => Step::DecimalFixed { slot, size: small(fixed.size) },
        }),
        _ => Err(mismatch(writer, reader, &format!("a decimal of scale {}", ours.scale))),
    }
}

/// The reader's symbol for each of the writer's: by name, else the reader's default.
fn symbols(writer: &Schema, reader: &Schema, ours: &EnumSchema) -> Result<Vec<u32>, String> {
    let Schema::Enum(theirs) = writer else {
        return Err(mismatch(writer, reader, "an enum"));
    };
    let position = |symbol: &String| ours.symbols.iter().position(|known| known == symbol);
    let default = ours.default.as_ref().and_then(position);
    let map: Vec<u32> =
        theirs.symbols.iter().map(|symbol| position(symbol).or(default).map_or(NO_SYMBOL, small)).collect();
    if map.iter().all(|symbol| *symbol == NO_SYMBOL) {
        let known = listed(ours.symbols.iter().cloned());
        return Err(format!(
            "none of the writer's symbols ({}) is one of the reader's ({known})",
            listed(theirs.symbols.iter().cloned())
        ));
    }
    Ok(map)
}

/// The sentence for two types that do not match.
pub(super) fn mismatch(writer: &Schema, reader: &Schema, allowed: &str) -> String {
    format!(
        "the writer's schema has {}, the reader's has {}; the writer's may be {allowed}",
        describe(writer),
        describe(reader)
    )
}
