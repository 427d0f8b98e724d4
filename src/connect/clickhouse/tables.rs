//! The tables of one sink, and the statements that make them.
//!
//! ```text
//!  <table>                 a row per source and minute: the plan's columns, then bookkeeping
//!  <table>_rejects         a line per event kept aside
//!  <table>_ledger          a line per commit and partition: what became of its events
//!  <table>_ledger_minutes  a line per minute and lane: what its rows come to
//!  <table>_runs            a line per run that was made ready to write here
//!  <table>_newest          a view of the rows, one per source and minute whatever happened
//! ```
//! Bookkeeping: `_commit` is the commit epoch, `_lane` the lane, `_block` the hash of all row bytes of the block that a line came
//! with, `_revision` the number of the run that wrote it. They have names of their own kind because a plan can have any other.
//!
//! Each table replaces lines of one key by the one of the highest revision: what a replay wrote twice, in spite of tokens, is
//! one line again, for readers at once (`FINAL`) and on disk after a merge. A key never changes its day, so a table that is
//! partitioned by day is merged day by day: the view says so (`do_not_merge_across_partitions_select_final`), and then a day that has
//! been merged into one part is read as it is, without the cost of `FINAL`; only the days that are being written pay it.

use std::fmt::Write as _;

use crate::aggregate::Layout;
use crate::limits::{CLICKHOUSE_DEDUPLICATION_SECONDS, CLICKHOUSE_DEDUPLICATION_WINDOW};
use crate::plan::clickhouse_type;

/// A column's name and type.
pub type ColumnDefinition = (String, String);

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<ColumnDefinition>,
    /// The columns that tell lines apart: what it is sorted by.
    pub key: Vec<String>,
    /// The column whose highest value replaces the others of a key.
    pub version: &'static str,
    /// The time by which it is partitioned and kept, if it is.
    time: Option<Time>,
    what: &'static str,
}

/// What a table knows of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    column: &'static str,
    /// Whether a line of one key always has the same, so that days can be kept apart.
    partitions: bool,
}

const WINDOW: Time = Time { column: "window_start", partitions: true };
const WRITTEN: Time = Time { column: "written_at", partitions: false };

/// How the tables are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Replicated by Keeper.
    pub replicated: bool,
    /// Days after which lines go away.
    pub ttl_days: Option<u32>,
}

impl Table {
    /// The columns that an insert gives; the others have defaults.
    pub(super) fn given(&self) -> impl Iterator<Item = &ColumnDefinition> {
        self.columns.iter().filter(|(name, _)| name != WRITTEN.column)
    }

    /// The column by whose time lines go away, where they do.
    pub(super) fn kept_by(&self) -> Option<&'static str> {
        self.time.map(|time| time.column)
    }
}

/// All tables of one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The database, where it is to be named.
    pub database: Option<String>,
    /// Rows.
    pub rows: Table,
    /// Rejects.
    pub rejects: Table,
    /// Ledger lines by partition.
    pub ledger: Table,
    /// Ledger lines by minute.
    pub minutes: Table,
    /// Runs.
    pub runs: Table,
}

fn columns(of: &[(&str, &str)]) -> Vec<ColumnDefinition> {
    of.iter().map(|(name, type_name)| ((*name).to_owned(), (*type_name).to_owned())).collect()
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

const COMMIT: (&str, &str) = ("_commit", "UInt64");
const LANE: (&str, &str) = ("_lane", "UInt32");
const BLOCK: (&str, &str) = ("_block", "UInt64");
const REVISION: (&str, &str) = ("_revision", "UInt64");

/// The columns of rows that are not the plan's.
pub(super) const BOOKKEEPING: [(&str, &str); 4] = [COMMIT, LANE, BLOCK, REVISION];

impl Tables {
    /// The tables for rows of this layout.
    pub fn new(database: Option<&str>, table: &str, layout: &Layout) -> Self {
        let mut of_rows: Vec<ColumnDefinition> =
            layout.columns().iter().map(|column| (column.name.clone(), clickhouse_type(column))).collect();
        of_rows.extend(columns(&BOOKKEEPING));
        Tables::of(database, table, of_rows)
    }

    /// The tables whose rows have these columns, of which there are two at least: the minute's start, and the source.
    pub(super) fn of(database: Option<&str>, table: &str, of_rows: Vec<ColumnDefinition>) -> Self {
        let key = vec![of_rows[1].0.clone(), of_rows[0].0.clone()];
        Tables {
            database: database.map(str::to_owned),
            rows: Table {
                name: table.to_owned(),
                columns: of_rows,
                key,
                version: REVISION.0,
                time: Some(WINDOW),
                what: "the rows: one per source and minute",
            },
            rejects: rejects(table),
            ledger: ledger(table),
            minutes: minutes(table),
            runs: runs(table),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Table; 5] {
        [&self.rows, &self.rejects, &self.ledger, &self.minutes, &self.runs]
    }

    /// The name of a table as a statement needs it.
    pub fn full(&self, table: &str) -> String {
        self.database
            .as_ref()
            .map_or_else(|| quoted(table), |database| format!("{}.{}", quoted(database), quoted(table)))
    }

    /// The statements that make what is missing, each with a comment before it.
    pub fn statements(&self, form: Form) -> Vec<String> {
        let tables = self.all().into_iter().map(|table| self.create(table, form));
        tables.chain([self.view()]).collect()
    }

    /// The statement that makes one table where it is missing.
    pub fn create(&self, table: &Table, form: Form) -> String {
        let width = table.columns.iter().map(|(name, _)| quoted(name).chars().count()).max().unwrap_or(0);
        let lines: Vec<String> = table
            .columns
            .iter()
            .map(|(name, type_name)| {
                let otherwise = if *name == WRITTEN.column { " DEFAULT now()" } else { "" };
                format!("    {:<width$} {type_name}{otherwise}", quoted(name))
            })
            .collect();
        let mut text = format!("-- {}\n", table.what);
        // Writing into a string cannot fail.
        let _ = write!(text, "CREATE TABLE IF NOT EXISTS {}\n(\n{}\n)\n", self.full(&table.name), lines.join(",\n"));
        let _ = writeln!(text, "ENGINE = {}", engine(table, form));
        if let Some(time) = table.time.filter(|time| time.partitions) {
            let _ = writeln!(text, "PARTITION BY toDate({})", time.column);
        }
        let key: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(text, "ORDER BY ({})", key.join(", "));
        if let Some((time, days)) = table.time.zip(form.ttl_days) {
            let _ = writeln!(text, "TTL {} + toIntervalDay({days})", time.column);
        }
        let settings: Vec<String> =
            settings(form.replicated).iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let _ = write!(text, "SETTINGS {}", settings.join(", "));
        text
    }

    fn view(&self) -> String {
        let plans = self.rows.columns.iter().filter(|(name, _)| !BOOKKEEPING.iter().any(|(own, _)| own == name));
        let columns: Vec<String> = plans.map(|(name, _)| format!("    {}", quoted(name))).collect();
        format!(
            "-- the rows as readers want them: the newest revision of each; a day that is merged into one part costs nothing more\n\
             CREATE VIEW IF NOT EXISTS {} AS\nSELECT\n{}\nFROM {} FINAL\nSETTINGS do_not_merge_across_partitions_select_final = 1",
            self.full(&format!("{}_newest", self.rows.name)),
            columns.join(",\n"),
            self.full(&self.rows.name)
        )
    }
}

/// The settings by which a table remembers tokens, and the values that they are made with.
pub(super) fn settings(replicated: bool) -> Vec<(&'static str, u64)> {
    match replicated {
        true => vec![
            ("replicated_deduplication_window", CLICKHOUSE_DEDUPLICATION_WINDOW),
            ("replicated_deduplication_window_seconds", CLICKHOUSE_DEDUPLICATION_SECONDS),
        ],
        false => vec![("non_replicated_deduplication_window", CLICKHOUSE_DEDUPLICATION_WINDOW)],
    }
}

fn engine(table: &Table, form: Form) -> String {
    match form.replicated {
        // The path is written out: what servers put in its place names each table by chance, and replicas would not find each other.
        true => format!(
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{{shard}}/{{database}}/{{table}}', '{{replica}}', {})",
            table.version
        ),
        false => format!("ReplacingMergeTree({})", table.version),
    }
}

/// A name as a statement takes it whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

fn rejects(table: &str) -> Table {
    Table {
        name: format!("{table}_rejects"),
        columns: columns(&[
            ("partition", "LowCardinality(String)"),
            ("position", "Tuple(UInt64, UInt64)"),
            ("index", "UInt32"),
            ("reason", "LowCardinality(String)"),
            ("detail", "String"),
            ("payload", "String"),
            ("written_at", "DateTime('UTC')"),
            COMMIT,
            BLOCK,
            REVISION,
        ]),
        key: names(&["partition", "position", "index"]),
        version: REVISION.0,
        time: Some(WRITTEN),
        what: "events kept aside, by partition, position of the entry, and index in it",
    }
}

fn ledger(table: &str) -> Table {
    Table {
        name: format!("{table}_ledger"),
        columns: columns(&[
            ("partition", "LowCardinality(String)"),
            ("position_from", "Array(UInt64)"),
            ("position_to", "Array(UInt64)"),
            ("read", "UInt64"),
            ("folded", "UInt64"),
            ("malformed", "UInt64"),
            ("late", "UInt64"),
            ("too_far_ahead", "UInt64"),
            ("nulls", "UInt64"),
            ("non_finite", "UInt64"),
            ("idle_decisions", "UInt64"),
            ("gaps", "UInt64"),
            ("written_at", "DateTime('UTC')"),
            COMMIT,
            BLOCK,
            REVISION,
        ]),
        key: names(&["_commit", "partition"]),
        version: REVISION.0,
        time: Some(WRITTEN),
        what: "what became of the events of each partition between two commits; positions are empty before the first entry",
    }
}

fn minutes(table: &str) -> Table {
    Table {
        name: format!("{table}_ledger_minutes"),
        columns: columns(&[
            ("window_start", "DateTime('UTC')"),
            ("events", "UInt64"),
            ("rows", "UInt64"),
            ("counted", "UInt64"),
            ("hash", "UInt64"),
            COMMIT,
            LANE,
            BLOCK,
            REVISION,
        ]),
        key: names(&["window_start", "_lane"]),
        version: REVISION.0,
        time: Some(WINDOW),
        what: "what the rows of each minute and lane come to",
    }
}

fn runs(table: &str) -> Table {
    Table {
        name: format!("{table}_runs"),
        columns: columns(&[
            ("pipeline", "String"),
            ("life", "String"),
            ("attempt", "UInt64"),
            ("owner", "String"),
            ("went_back", "Bool"),
            ("shard", "UInt64"),
            ("shards", "UInt64"),
            ("written_at", "DateTime('UTC')"),
        ]),
        key: names(&["pipeline", "life", "attempt"]),
        version: "attempt",
        time: None,
        what: "runs that were made ready to write here; went_back: one that began before rows that were there, and removed them",
    }
}

#[cfg(test)]
mod tests;
