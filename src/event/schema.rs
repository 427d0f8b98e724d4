//! The reader's schema: what a dataflow's schema.avsc says, and its fields by dotted path.

use apache_avro::Schema;
use apache_avro::schema::{RecordSchema, UuidSchema};

use super::names::{Names, describe, listed};
use crate::limits::{SCHEMA_DEPTH_MAX, SCHEMA_TYPES_MAX};

#[cfg(test)]
mod tests;

/// What a field holds, as far as aggregation cares.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// `float` or `double`.
    Float,
    /// `int` or `long` (with or without a logical type that is not a time).
    Integer,
    /// `date`, `timestamp-*` or `local-timestamp-*`: an integer, in its own unit.
    Time,
    /// `boolean`.
    Boolean,
    /// `decimal` over `bytes` or `fixed`, with its scale.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// `string` (or `uuid` over string).
    Text,
    /// `enum`, with the reader's symbols.
    Enum {
        /// Symbols in the order of the reader's schema.
        symbols: Vec<String>,
    },
}

/// A field that a dataflow may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What it holds (a union with null counts as what is beside null).
    pub kind: FieldKind,
    /// Whether it, or a record around it, may be null.
    pub nullable: bool,
}

/// Why a dotted path names no usable field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// No such field; the nearest name, where one is near, and all that is there.
    Unknown {
        /// The dotted path that was probably meant.
        nearest: Option<String>,
        /// Dotted paths of all fields of the record in which the search ended.
        known: Vec<String>,
    },
    /// There is one, but what it holds cannot be aggregated; says what it is.
    Unusable {
        /// What stands there, as a phrase: `an array`, `a record; name one of its fields: a.b, a.c`.
        found: String,
    },
}

/// A parsed schema.avsc.
#[derive(Clone, Debug)]
pub struct ReaderSchema {
    json: String,
    avro: Schema,
}

impl ReaderSchema {
    /// Parses the JSON of an Avro schema whose top is a record. The error says what is wrong and where, in words.
    pub fn parse(json: &str) -> Result<Self, String> {
        let avro = parse_record(json)?;
        Ok(Self { json: json.to_owned(), avro })
    }

    /// The field at a dotted path.
    pub fn field(&self, path: &str) -> Result<Field, FieldError> {
        let names = Names::of(&self.avro);
        let mut at = &self.avro;
        let mut nullable = false;
        let mut passed = String::new();
        for (depth, part) in path.split('.').enumerate() {
            if depth >= SCHEMA_DEPTH_MAX {
                return Err(unusable(format!("more than {SCHEMA_DEPTH_MAX} records around it")));
            }
            let Schema::Record(record) = at else {
                return Err(unusable(format!("{} at \"{passed}\", which has no fields", describe(at))));
            };
            let Some(field) = record.fields.iter().find(|field| field.name == part) else {
                return Err(self.unknown(path, &passed, part, record));
            };
            let (bare, with_null) = names.bare(&field.schema);
            at = bare;
            nullable |= with_null;
            passed = joined(&passed, part);
        }
        match kind_of(at) {
            Ok(kind) => Ok(Field { kind, nullable }),
            Err(found) => Err(unusable(match at {
                Schema::Record(record) => {
                    let inside = record.fields.iter().map(|field| joined(path, &field.name));
                    format!("{found}; name one of its fields: {}", listed(inside))
                }
                _ => found,
            })),
        }
    }

    /// All usable fields by dotted path, in the order of the schema. A record inside itself is not entered again, and the list ends
    /// where [`SCHEMA_TYPES_MAX`] types were looked at.
    pub fn fields(&self) -> Vec<(String, Field)> {
        let mut listing = Listing { names: Names::of(&self.avro), around: Vec::new(), visited: 0, found: Vec::new() };
        if let Schema::Record(record) = &self.avro {
            listing.enter(record, "", false);
        }
        listing.found
    }

    /// The schema as apache-avro holds it (for generators and oracles).
    pub fn avro(&self) -> &Schema {
        &self.avro
    }

    /// The schema's JSON as it was written.
    pub fn json(&self) -> &str {
        &self.json
    }

    fn unknown(&self, path: &str, inside: &str, part: &str, record: &RecordSchema) -> FieldError {
        let known: Vec<String> = record.fields.iter().map(|field| joined(inside, &field.name)).collect();
        let usable = self.fields();
        let candidates = known.iter().chain(usable.iter().map(|(usable, _)| usable));
        let nearest = candidates
            .map(|candidate| (distance(candidate, path, part), candidate))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= part.chars().count().div_ceil(3))
            .map(|(_, candidate)| candidate.clone());
        FieldError::Unknown { nearest, known }
    }
}

/// Edits between what was asked for and a field: of the whole path, or of the last name where only the records around it are missing.
fn distance(candidate: &str, path: &str, part: &str) -> usize {
    let last = candidate.rsplit('.').next().unwrap_or(candidate);
    let asked = path.rsplit('.').next().unwrap_or(path);
    let whole = strsim::damerau_levenshtein(candidate, path);
    let name = strsim::damerau_levenshtein(last, asked).min(strsim::damerau_levenshtein(last, part));
    // Of two equally near names, the one on the path that was asked for wins.
    whole.min(name + usize::from(candidate != path && whole > name))
}

struct Listing<'s> {
    names: Names<'s>,
    around: Vec<&'s RecordSchema>,
    visited: usize,
    found: Vec<(String, Field)>,
}

impl<'s> Listing<'s> {
    fn enter(&mut self, record: &'s RecordSchema, path: &str, nullable: bool) {
        let again = self.around.iter().any(|outer| outer.name == record.name);
        if again || self.around.len() >= SCHEMA_DEPTH_MAX {
            return;
        }
        self.around.push(record);
        for field in &record.fields {
            self.visited += 1;
            if self.visited > SCHEMA_TYPES_MAX {
                break;
            }
            let (bare, with_null) = self.names.bare(&field.schema);
            let (path, nullable) = (joined(path, &field.name), nullable || with_null);
            match (kind_of(bare), bare) {
                (Ok(kind), _) => self.found.push((path, Field { kind, nullable })),
                (Err(_), Schema::Record(inner)) => self.enter(inner, &path, nullable),
                (Err(_), _) => {}
            }
        }
        self.around.pop();
    }
}

/// Parses a schema whose top must be a record.
pub(super) fn parse_record(json: &str) -> Result<Schema, String> {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(json) {
        return Err(format!("the schema is not JSON: {error}"));
    }
    let schema = Schema::parse_str(json).map_err(|error| format!("the schema is not an Avro schema: {error}"))?;
    match &schema {
        Schema::Record(_) => Ok(schema),
        other => Err(format!("the top of the schema is {}, it must be a record", describe(other))),
    }
}

/// The kind of a field whose type (without null) is `bare`, or what it is instead.
fn kind_of(bare: &Schema) -> Result<FieldKind, String> {
    Ok(match bare {
        Schema::Float | Schema::Double => FieldKind::Float,
        Schema::Int | Schema::Long | Schema::TimeMillis | Schema::TimeMicros => FieldKind::Integer,
        Schema::Date
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => FieldKind::Time,
        Schema::Boolean => FieldKind::Boolean,
        Schema::Decimal(decimal) => match u32::try_from(decimal.scale) {
            Ok(scale) => FieldKind::Decimal { scale },
            Err(_) => return Err(describe(bare)),
        },
        Schema::String | Schema::Uuid(UuidSchema::String) => FieldKind::Text,
        Schema::Enum(symbols) => FieldKind::Enum { symbols: symbols.symbols.clone() },
        other => return Err(describe(other)),
    })
}

fn unusable(found: String) -> FieldError {
    FieldError::Unusable { found }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
