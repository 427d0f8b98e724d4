//! A plan in words, for `minuet check`: what comes out, how it is read, what it costs.

use std::fmt;

use serde::Serialize;

use super::{Plan, duration};
use crate::aggregate::{Column, ColumnType};
use crate::error::{Error, Result};
use crate::event::ReadPlan;
use crate::time::Millis;

/// Bytes of a word of state.
const WORD_BYTES: usize = 8;

/// What [`Plan::describe`] tells. Prints as aligned text, serialises as it stands; times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The dataflow's and the pipeline's name.
    pub name: String,
    /// The field that is the source.
    pub source: String,
    /// The field that is the event time; none where it is the publish time.
    pub time: Option<String>,
    /// How much an event may come after a later one of its partition without being late.
    pub out_of_order_ms: Millis,
    /// How far an event's time may lie past its publish time.
    pub max_ahead_ms: Millis,
    /// How long a partition must be quiet to be idle.
    pub idle_after_ms: Millis,
    /// The columns of a row, in their order.
    pub columns: Vec<ColumnOut>,
    /// The steps that read an event of the dataflow's own schema.
    pub read_steps: Vec<String>,
    /// Bytes of state per source and open minute, texts aside.
    pub state_bytes_per_source: usize,
    /// Minutes that are open at the same time while events come in order of time, at most: the one that runs and those within `out_of_order`.
    pub open_minutes: i64,
    /// Key groups of the pipeline.
    pub key_groups: u32,
    /// Lanes of the pipeline.
    pub lanes: u32,
    /// Rows of one insert, at most.
    pub rows_per_insert: u32,
    /// See [`Plan::fingerprint`].
    pub fingerprint: String,
}

/// A column that comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnOut {
    /// Its name.
    pub name: String,
    /// Its whole type in ClickHouse's words.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it can be null.
    pub nullable: bool,
}

impl Plan {
    /// The plan in words. An error is a defect: a plan that was checked can be compiled.
    pub fn describe(&self) -> Result<Description> {
        let read = ReadPlan::compile(self.schema.json(), &self.schema, &self.selection)
            .map_err(|error| Error::bug(format!("a checked schema does not compile: {}", error.0)))?;
        Ok(Description {
            name: self.name.clone(),
            source: self.selection.source.clone(),
            time: self.selection.time.clone(),
            out_of_order_ms: self.out_of_order,
            max_ahead_ms: self.max_ahead,
            idle_after_ms: self.idle_after,
            columns: self.layout.columns().iter().map(ColumnOut::of).collect(),
            read_steps: read.steps(),
            state_bytes_per_source: self.layout.state_words() * WORD_BYTES,
            open_minutes: open_minutes(self.out_of_order),
            key_groups: self.key_groups,
            lanes: self.lanes,
            rows_per_insert: self.rows_per_insert,
            fingerprint: self.fingerprint.clone(),
        })
    }
}

/// A window that is as long as `out_of_order` and ends at the newest event touches one minute more than it is long, rounded up.
fn open_minutes(out_of_order: Millis) -> i64 {
    1 + (out_of_order + crate::limits::MINUTE_MS - 1) / crate::limits::MINUTE_MS
}

impl ColumnOut {
    fn of(column: &Column) -> Self {
        ColumnOut { name: column.name.clone(), type_name: clickhouse_type(column), nullable: column.nullable }
    }
}

/// A column's type as it stands in a CREATE TABLE.
pub fn clickhouse_type(column: &Column) -> String {
    let plain = match &column.kind {
        ColumnType::DateTime => "DateTime('UTC')".to_owned(),
        // Only what is inside of LowCardinality can be Nullable.
        ColumnType::Label if column.nullable => return "LowCardinality(Nullable(String))".to_owned(),
        ColumnType::Label => "LowCardinality(String)".to_owned(),
        ColumnType::String => "String".to_owned(),
        ColumnType::UInt64 => "UInt64".to_owned(),
        ColumnType::Int64 => "Int64".to_owned(),
        ColumnType::Float64 => "Float64".to_owned(),
        ColumnType::Decimal { scale } => format!("Decimal(38, {scale})"),
        ColumnType::Bool => "Bool".to_owned(),
    };
    if column.nullable { format!("Nullable({plain})") } else { plain }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.as_deref().unwrap_or("the publish time");
        writeln!(f, "dataflow {}: a row per {} and minute of {time}\n", self.name, self.source)?;
        writeln!(f, "window")?;
        let window = [
            ("out_of_order", self.out_of_order_ms, "an event may come this much after a later one of its partition"),
            ("max_ahead", self.max_ahead_ms, "an event's time may lie this far past its publish time"),
            ("idle_after", self.idle_after_ms, "a partition that is quiet this long holds no window open"),
        ];
        for (key, millis, words) in window {
            writeln!(f, "  {key:<14}{:<8}{words}", duration::written(millis))?;
        }
        writeln!(f, "\ncolumns")?;
        let width = self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0);
        for column in &self.columns {
            writeln!(f, "  {:<width$}  {}", column.name, column.type_name)?;
        }
        writeln!(f, "\nread steps, for events of the dataflow's own schema")?;
        let width = self.read_steps.len().to_string().len();
        for (at, step) in self.read_steps.iter().enumerate() {
            writeln!(f, "  {:>width$}  {step}", at + 1)?;
        }
        writeln!(f, "\nstate")?;
        writeln!(f, "  {} bytes per source and open minute, and its texts", self.state_bytes_per_source)?;
        writeln!(f, "  {} open minutes, at most, while every partition goes forward", self.open_minutes)?;
        writeln!(f, "  {} key groups", self.key_groups)?;
        writeln!(f, "\noutput")?;
        writeln!(f, "  {} lanes, inserts of at most {} rows", self.lanes, self.rows_per_insert)?;
        write!(f, "\nfingerprint {}", self.fingerprint)
    }
}

#[cfg(test)]
mod tests;
