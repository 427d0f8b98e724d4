//! The reader's schema: what a dataflow's schema.avsc says, and its fields by dotted path.

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
    Unknown { nearest: Option<String>, known: Vec<String> },
    /// There is one, but what it holds cannot be aggregated; says what it is.
    Unusable { found: String },
}

/// A parsed schema.avsc.
#[derive(Clone, Debug)]
pub struct ReaderSchema {
    // helper H1 fills in
}

impl ReaderSchema {
    /// Parses the JSON of an Avro schema whose top is a record. The error says what is wrong and where, in words.
    pub fn parse(_json: &str) -> Result<Self, String> {
        todo!()
    }

    /// The field at a dotted path.
    pub fn field(&self, _path: &str) -> Result<Field, FieldError> {
        todo!()
    }

    /// All usable fields by dotted path, in the order of the schema.
    pub fn fields(&self) -> Vec<(String, Field)> {
        todo!()
    }

    /// The schema as apache-avro holds it (for generators and oracles).
    pub fn avro(&self) -> &apache_avro::Schema {
        todo!()
    }

    /// The schema's JSON as it was written.
    pub fn json(&self) -> &str {
        todo!()
    }
}
