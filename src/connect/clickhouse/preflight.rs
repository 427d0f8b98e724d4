//! Compares the tables that are there with those that are needed, and says how to mend what differs.

use std::collections::BTreeMap;

use super::server::{Server, number, text};
use super::tables::{Form, Table, Tables, quoted, settings};
use crate::error::{Error, Result};
use crate::limits::{CLICKHOUSE_DEDUPLICATION_SECONDS, CLICKHOUSE_DEDUPLICATION_WINDOW_MIN};

/// A table as a server describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// `ReplacingMergeTree` and the like.
    pub engine: String,
    /// The engine with its parameters, keys and settings.
    pub full: String,
    /// What it is sorted by, as text.
    pub sorting_key: String,
    /// Its columns' types.
    pub columns: BTreeMap<String, String>,
}

/// Something that must be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong.
    pub what: String,
    /// The statement, or the words, that mend it.
    pub mend: String,
}

/// What a look at the tables came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Names of the tables that are missing.
    pub missing: Vec<String>,
    /// What is wrong with those that are there.
    pub problems: Vec<Problem>,
}

/// Asks a server for its tables and compares them.
pub(super) async fn look(server: &Server, tables: &Tables) -> Result<Look> {
    Ok(look_at(tables, &found(server, tables).await?))
}

/// Compares the tables that were found.
pub(super) fn look_at(tables: &Tables, found: &BTreeMap<String, Found>) -> Look {
    let mut look = Look::default();
    for table in tables.all() {
        match found.get(&table.name) {
            None => look.missing.push(table.name.clone()),
            Some(found) => look.problems.extend(compare(tables, table, found)),
        }
    }
    look
}

impl Look {
    /// What mends that tables are missing.
    pub(super) fn absent<'a>(&'a self, tables: &'a Tables) -> impl Iterator<Item = Problem> + 'a {
        let (database, table) = (tables.database.as_deref().unwrap_or_default(), &tables.rows.name);
        self.missing.iter().map(move |name| Problem {
            what: format!("the table {} is missing", tables.full(name)),
            mend: format!(
                "start with --create-tables, or run the statements of: minuet ddl DATAFLOW_DIR --database {database} --table {table}"
            ),
        })
    }

    /// The error that shows all of it, if there is anything but tables that are about to be made.
    pub(super) fn verdict(&self, server: &Server, tables: &Tables, creates: bool) -> Result<()> {
        let mut problems = self.problems.clone();
        if !creates {
            problems.extend(self.absent(tables));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = problems.iter().map(|one| format!("  {}\n    {}", one.what, one.mend)).collect();
        let many = if problems.len() == 1 { "" } else { "s" };
        let (count, server) = (problems.len(), server.name());
        Err(Error::configuration(format!(
            "comparing the tables at {server} with the plan: {count} problem{many}, each with what mends it\n{}",
            lines.join("\n")
        )))
    }
}

/// The tables that are there.
pub(super) async fn found(server: &Server, tables: &Tables) -> Result<BTreeMap<String, Found>> {
    let named: Vec<String> = tables.all().iter().map(|table| format!("'{}'", table.name)).collect();
    let database = tables.database.as_deref().unwrap_or_default();
    let these = format!("database = '{database}' AND {} IN ({})", "{}", named.join(", "));
    let of = |column: &str| these.replace("{}", column);
    let sql = format!("SELECT name, engine, engine_full, sorting_key FROM system.tables WHERE {}", of("name"));
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for line in server.ask("looking at the tables", &sql).await? {
        let [name, engine, full, sorting_key] = [0, 1, 2, 3].map(|at| text(&line, at).map(str::to_owned));
        all.insert(name?, Found { engine: engine?, full: full?, sorting_key: sorting_key?, columns: BTreeMap::new() });
    }
    let sql = format!("SELECT table, name, type FROM system.columns WHERE {}", of("table"));
    for line in server.ask("looking at the columns", &sql).await? {
        if let Some(table) = all.get_mut(text(&line, 0)?) {
            table.columns.insert(text(&line, 1)?.to_owned(), text(&line, 2)?.to_owned());
        }
    }
    Ok(all)
}

/// Everything that is wrong with one table.
fn compare(tables: &Tables, table: &Table, found: &Found) -> Vec<Problem> {
    let full = tables.full(&table.name);
    let mut problems = Vec::new();
    let mut add = |what: String, mend: String| problems.push(Problem { what, mend });
    let mut before: Option<&str> = None;
    for (name, type_name) in &table.columns {
        match found.columns.get(name) {
            None => {
                let after = before.map_or("FIRST".to_owned(), |before| format!("AFTER {}", quoted(before)));
                add(
                    format!("{full} has no column {}", quoted(name)),
                    format!("ALTER TABLE {full} ADD COLUMN {} {type_name} {after};", quoted(name)),
                );
            }
            Some(other) if other != type_name => {
                let what = format!("the column {} of {full} is {other}, needed is {type_name}", quoted(name));
                // What a table is sorted by cannot change.
                let mend = match table.key.contains(name) {
                    true => anew(tables, table),
                    false => format!("ALTER TABLE {full} MODIFY COLUMN {} {type_name};", quoted(name)),
                };
                add(what, mend);
            }
            Some(_) => {}
        }
        before = Some(name);
    }
    let replacing = found.engine.ends_with("ReplacingMergeTree");
    let by = format!("{})", table.version);
    if !replacing || !found.full.split(" ORDER BY").next().unwrap_or_default().contains(&by) {
        let what = format!(
            "{full} is {}, needed is ReplacingMergeTree({}), or its Replicated or Shared form",
            found
                .full
                .split(" PARTITION BY")
                .next()
                .and_then(|text| text.split(" ORDER BY").next())
                .unwrap_or_default(),
            table.version
        );
        add(what, anew(tables, table));
    }
    if names(&found.sorting_key) != table.key {
        let key = table.key.join(", ");
        add(format!("{full} is ordered by ({}), needed is ({key})", found.sorting_key), anew(tables, table));
    }
    if replacing {
        problems.extend(windows(&full, found));
    }
    problems
}

/// What cannot be altered is made again beside it.
fn anew(tables: &Tables, table: &Table) -> String {
    let full = tables.full(&table.name);
    let old = tables.full(&format!("{}_before", table.name));
    format!("RENAME TABLE {full} TO {old}; -- then start with --create-tables, and copy over what is to be kept")
}

/// A list of columns as a server writes it.
fn names(list: &str) -> Vec<String> {
    list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

/// Whether a table remembers enough tokens for long enough.
fn windows(full: &str, found: &Found) -> Vec<Problem> {
    // A shared table remembers as a replicated one does.
    let replicated = found.engine != "ReplacingMergeTree";
    let mut problems = Vec::new();
    for (name, made_with) in settings(replicated) {
        let seconds = name.ends_with("_seconds");
        let least = if seconds { CLICKHOUSE_DEDUPLICATION_SECONDS } else { CLICKHOUSE_DEDUPLICATION_WINDOW_MIN };
        let stated = setting(&found.full, name);
        // A replicated table has a window unless it says otherwise, and since 25.10 one of an hour.
        let enough = stated.map_or(replicated && !seconds, |stated| stated >= least);
        if !enough {
            let found = stated.map_or("not set".to_owned(), |stated| stated.to_string());
            let why = if seconds { "an outage may last that long" } else { "a block that is sent twice must be known" };
            problems.push(Problem {
                what: format!("{name} of {full} is {found}, needed is at least {least}: {why}"),
                mend: format!("ALTER TABLE {full} MODIFY SETTING {name} = {made_with};"),
            });
        }
    }
    problems
}

/// A setting in the description of an engine.
fn setting(full: &str, name: &str) -> Option<u64> {
    let settings = full.split_once(" SETTINGS ")?.1;
    settings.split(", ").find_map(|one| one.strip_prefix(name)?.strip_prefix(" = ")?.parse().ok())
}

/// Makes what is missing.
pub(super) async fn create(server: &Server, tables: &Tables) -> Result<()> {
    if let Some(database) = &tables.database {
        let sql = format!("SELECT count() FROM system.databases WHERE name = '{database}'");
        let there = server.ask("looking for the database", &sql).await?;
        if there.first().map_or(Ok(0), |line| number(line, 0))? == 0 {
            server.act("making the database", &format!("CREATE DATABASE IF NOT EXISTS {}", quoted(database))).await?;
        }
    }
    for statement in tables.statements(Form::default()) {
        server.act("making the tables", &statement).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
