//! What a dataflow keeps per source and minute, and the columns that come out of it.

use std::collections::BTreeMap;

/// What an input field of a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A finite `f64`.
    Float,
    /// An `i64` (also booleans, enum indexes, dates and times).
    Integer,
    /// An unscaled `i128` in two words, low first.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// UTF-8 bytes in the tail; only `First` and `Last` take it.
    Text,
}

/// What is computed of a field over the events of a source in a minute. Null and non-finite values are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Values that are there.
    Count,
    /// Their exact sum, rounded once.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The exact sum divided by the count, rounded to a double.
    Avg,
    /// The value of the first event by (time, partition, place).
    First,
    /// The value of the last event by (time, partition, place).
    Last,
    /// The share of values that are not zero, 0 to 1.
    Share,
}

/// How a first or last value is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Render {
    /// As it is.
    Plain,
    /// An integer as one of these symbols, by index (enum).
    Symbols(Vec<String>),
    /// An integer by name; one without a name is written in digits.
    Map(BTreeMap<i64, String>),
    /// The value in place of `{}` in this text (after `Map`, where both are given).
    Format(String),
    /// First by name, then into the text.
    MapFormat(BTreeMap<i64, String>, String),
    /// 0 and 1 as false and true.
    Boolean,
}

/// One column after `window_start`, the source and `count`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The column's name.
    pub name: String,
    /// Which input field (index).
    pub field: usize,
    /// What is computed.
    pub statistic: Statistic,
    /// How it is written (first and last only; `Plain` for the others).
    pub render: Render,
}

/// What the source's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// UTF-8 text.
    Text,
    /// An `i64`, stored as eight big-endian bytes with the sign bit flipped, so that bytes sort as numbers do.
    Integer(Render),
}

/// The type of a column, in ClickHouse's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `DateTime('UTC')`.
    DateTime,
    /// `String`.
    String,
    /// `LowCardinality(String)`.
    Label,
    /// `UInt64`.
    UInt64,
    /// `Int64`.
    Int64,
    /// `Float64`.
    Float64,
    /// `Decimal(38, scale)`.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// `Bool`.
    Bool,
}

/// One column of the rows that come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it can be null (a minute in which no value was there, a sum that does not fit).
    pub nullable: bool,
}

/// The layout of partials for one dataflow.
#[derive(Clone, Debug)]
pub struct Layout {
    // helper H2 fills in
}

impl Layout {
    /// A layout for these inputs (in the order of a row's words) and outputs. The checked plan has made sure that each
    /// statistic can be taken of its field.
    pub fn new(_source_name: &str, _source: SourceKind, _inputs: Vec<Kind>, _outputs: Vec<Output>) -> Self {
        todo!()
    }

    /// Words of an event record after its header.
    pub fn input_words(&self) -> usize {
        todo!()
    }

    /// Words of a partial's state.
    pub fn state_words(&self) -> usize {
        todo!()
    }

    /// The input fields.
    pub fn inputs(&self) -> &[Kind] {
        todo!()
    }

    /// All columns of a row: window_start, the source, count, then the outputs.
    pub fn columns(&self) -> &[Column] {
        todo!()
    }
}
