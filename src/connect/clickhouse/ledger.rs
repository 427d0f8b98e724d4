//! The tables of a sink read back to be checked.
//!
//! Lines and rows are read as readers see them, the newest of each key (`FINAL`); rows that are stored beside them are named. The
//! hash of a row is made by the server, of the values that it has: `formatRow` writes the very bytes of
//! [`crate::aggregate::row_binary`], `xxh3` is the same function. So only sums travel, one line per minute and lane, and memory is
//! bounded on either side: the server puts what it cannot group in memory onto its disk, and looks for what is repeated in the order
//! in which it stores.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::address::Address;
use super::answers::Answers;
use super::kept;
use super::server::{Server, User, number, text, unexpected};
use super::tables::{BOOKKEEPING, ColumnDefinition, Table, Tables, quoted};
use crate::connect::runtime::Tasks;
use crate::error::{Error, Result};
use crate::ledger::{
    Content, Found, Horizon, Kept, LedgerSource, Lines, PartitionLine, Place, Range, Repeated, Runs, Told,
};
use crate::limits::{CLICKHOUSE_OPEN_MS, CLICKHOUSE_SORTED_BYTES, CLICKHOUSE_THREADS, MINUTE_MS};
use crate::snapshot::{Counters, Position};
use crate::time::{Minute, minute_of};

/// Seconds of a minute.
const MINUTE_S: u64 = MINUTE_MS.cast_unsigned() / 1_000;

/// Runs that are named of what is repeated.
const REVISIONS_NAMED: usize = 5;

/// The tables of a sink, to be checked.
pub struct TablesLedger {
    tasks: Tasks,
    servers: Vec<Arc<Server>>,
    tables: Tables,
}

impl TablesLedger {
    /// Looks what columns the rows have; changes nothing.
    pub fn open(address: &Address, user: &User) -> Result<Self> {
        let tasks = Tasks::start("clickhouse", CLICKHOUSE_THREADS)?;
        let servers: Vec<Arc<Server>> = Server::all(address, user)?.into_iter().map(Arc::new).collect();
        let Address { database, table, .. } = address.clone();
        let (asked, named) = (servers.clone(), address.to_string());
        let find = async move {
            let mut first: Option<Vec<ColumnDefinition>> = None;
            for server in &asked {
                let columns = columns(server, &database, &table).await?;
                if first.as_ref().is_some_and(|first| *first != columns) {
                    return Err(Error::configuration(format!(
                        "the table {database}.{table} at {} has other columns than that at {}: name the servers of one sink",
                        server.name(),
                        asked[0].name()
                    )));
                }
                first.get_or_insert(columns);
            }
            let columns = first.ok_or_else(|| Error::bug(format!("{named} names no server")))?;
            Ok(Tables::of(Some(&database), &table, columns))
        };
        let tables = tasks.wait(Duration::from_millis(CLICKHOUSE_OPEN_MS), "looking at the tables", find)??;
        Ok(TablesLedger { tasks, servers, tables })
    }

    /// Asks one server; bounded as the module says.
    fn ask(&self, server: &Arc<Server>, doing: &str, sql: &str) -> Answers {
        let bounds = format!(
            "{sql} SETTINGS max_bytes_before_external_group_by = {CLICKHOUSE_SORTED_BYTES}, max_bytes_before_external_sort = \
             {CLICKHOUSE_SORTED_BYTES}, optimize_aggregation_in_order = {}",
            u8::from(doing == REPEATED)
        );
        Answers::of(server, self.tasks.handle(), doing, bounds)
    }

    /// Asks the server that has the ledger.
    fn ask_first(&self, doing: &str, sql: &str) -> Answers {
        self.ask(&self.servers[0], doing, sql)
    }

    /// Asks all servers, and merges what each answers in ascending order.
    fn ask_all<T: Ord + Copy + 'static, L: 'static>(
        &self,
        doing: &str,
        sql: &str,
        made: fn(&[Value]) -> Result<L>,
        key: fn(&L) -> T,
    ) -> Merged<L, T> {
        let each = self.servers.iter().map(|server| {
            let lines = self.ask(server, doing, sql).map(move |line| made(&line?));
            (Box::new(lines) as Box<dyn Iterator<Item = Result<L>>>).peekable()
        });
        Merged { each: each.collect(), key }
    }

    fn full(&self, table: &Table) -> String {
        self.tables.full(&table.name)
    }

    /// The columns of rows that the plan has, in its order.
    fn plans(&self) -> impl Iterator<Item = &str> {
        let names = self.tables.rows.columns.iter().map(|(name, _)| name.as_str());
        names.filter(|name| BOOKKEEPING.iter().all(|(own, _)| own != name))
    }
}

const REPEATED: &str = "looking for what is stored more than once";

impl LedgerSource for TablesLedger {
    fn horizon(&self) -> Result<Horizon> {
        let (servers, tables) = (self.servers.clone(), self.tables.clone());
        let find = async move { kept::horizon(&servers, &tables).await };
        self.tasks.wait(Duration::from_millis(CLICKHOUSE_OPEN_MS), "looking how long lines are kept", find)?
    }

    fn partitions(&self, range: Range) -> Result<Lines<'_, PartitionLine>> {
        let sql = format!(
            "SELECT _commit, _revision, partition, position_from, position_to, read, folded, malformed, late, too_far_ahead, nulls, \
             non_finite, gaps FROM {} FINAL WHERE {} ORDER BY _commit, partition",
            self.full(&self.tables.ledger),
            of_commit(range)
        );
        Ok(Box::new(self.ask_first("reading the ledger", &sql).map(|line| partition_line(&line?))))
    }

    fn minutes(&self, range: Range) -> Result<Lines<'_, Told>> {
        let sql = format!(
            "SELECT _commit, toUnixTimestamp(window_start), _lane, events, rows, counted, hash FROM {} FINAL WHERE {} ORDER BY \
             _commit, window_start, _lane",
            self.full(&self.tables.minutes),
            of_minute(range)
        );
        Ok(Box::new(self.ask_first("reading the ledger's minutes", &sql).map(|line| {
            let line = line?;
            let content = Content { rows: number(&line, 4)?, counted: number(&line, 5)?, hash: number(&line, 6)? };
            Ok(Told { place: place(&line)?, events: number(&line, 3)?, content })
        })))
    }

    fn rows(&self, range: Range) -> Result<Lines<'_, Found>> {
        let plans: Vec<String> = self.plans().map(quoted).collect();
        let sql = format!(
            "SELECT _commit, toUnixTimestamp(window_start), _lane, count(), sum({}), sum(xxh3(formatRow('RowBinary', {}))) FROM {} \
             FINAL WHERE {} GROUP BY _commit, window_start, _lane ORDER BY _commit, window_start, _lane",
            // The count of events comes third in every layout.
            plans[2],
            plans.join(", "),
            self.full(&self.tables.rows),
            of_minute(range)
        );
        let found = |line: &[Value]| {
            let content = Content { rows: number(line, 3)?, counted: number(line, 4)?, hash: number(line, 5)? };
            Ok(Found { place: place(line)?, content })
        };
        Ok(Box::new(self.ask_all("reading the rows", &sql, found, |found: &Found| found.place)))
    }

    fn rejects(&self, range: Range) -> Result<Lines<'_, Kept>> {
        let sql = format!(
            "SELECT _commit, partition, countIf(reason = 'malformed'), countIf(reason = 'late'), countIf(reason = 'too_far_ahead'), \
             count() FROM {} FINAL WHERE {} GROUP BY _commit, partition ORDER BY _commit, partition",
            self.full(&self.tables.rejects),
            of_commit(range)
        );
        Ok(Box::new(self.ask_all("reading the rejects", &sql, kept, |kept: &Kept| kept.commit)))
    }

    fn repeated(&self, range: Range) -> Result<Lines<'_, Repeated>> {
        let Tables { rows, rejects, ledger, minutes, .. } = &self.tables;
        let (by_minute, by_commit) = (of_minute(range), of_commit(range));
        let tables =
            [(rows, by_minute.clone()), (rejects, by_commit.clone()), (ledger, by_commit), (minutes, by_minute)];
        Ok(Box::new(tables.into_iter().flat_map(move |(table, within)| self.repeated_in(table, &within))))
    }
}

impl TablesLedger {
    /// What a table has more often than once, by its key, at each server. Beside a line may be that of an older run that was killed,
    /// or slept, while its insert was under way.
    fn repeated_in<'a>(&'a self, table: &'a Table, within: &str) -> impl Iterator<Item = Result<Repeated>> + use<'a> {
        let key: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
        let key_texts: Vec<String> = key.iter().map(|name| format!("toString({name})")).collect();
        let sql = format!(
            "SELECT count(), countEqual(groupArray(_revision), max(_revision)), \
             toString(arraySort(groupUniqArray({REVISIONS_NAMED})(_revision))), {} FROM {} WHERE {within} GROUP BY {} \
             HAVING count() > 1",
            key_texts.join(", "),
            self.full(table),
            key.join(", ")
        );
        self.servers.iter().flat_map(move |server| {
            let (full, name) = (self.full(table), server.name().to_owned());
            self.ask(server, REPEATED, &sql).map(move |line| repeated(&full, &name, table, &line?))
        })
    }
}

/// What several servers answer, each in ascending order, in one.
struct Merged<L, T> {
    each: Vec<Peekable<Box<dyn Iterator<Item = Result<L>>>>>,
    key: fn(&L) -> T,
}

impl<L, T: Ord> Iterator for Merged<L, T> {
    type Item = Result<L>;

    fn next(&mut self) -> Option<Result<L>> {
        let key = self.key;
        let mut least: Option<(usize, Option<T>)> = None;
        for (at, lines) in self.each.iter_mut().enumerate() {
            let Some(line) = lines.peek() else { continue };
            // An error goes first.
            let this = line.as_ref().ok().map(key);
            if least.as_ref().is_none_or(|(_, least)| this < *least) {
                least = Some((at, this));
            }
        }
        self.each[least?.0].next()
    }
}

/// The columns that inserts give. One that somebody has added beside has a default, or is made of others.
async fn columns(server: &Server, database: &str, table: &str) -> Result<Vec<ColumnDefinition>> {
    let sql = format!(
        "SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{table}' AND default_kind = '' ORDER BY \
         position"
    );
    let doing = format!("looking at the columns at {}", server.name());
    let lines = server.ask_once(&sql).await.map_err(|failed| failed.into_error(doing))?;
    let columns = lines.iter().map(|line| Ok((text(line, 0)?.to_owned(), text(line, 1)?.to_owned())));
    let columns = columns.collect::<Result<Vec<ColumnDefinition>>>()?;
    let has = |name: &str| columns.iter().any(|(column, _)| column == name);
    let ours = columns.len() >= BOOKKEEPING.len() + 3 && BOOKKEEPING.iter().all(|(name, _)| has(name));
    if ours && columns[0].0 == "window_start" {
        return Ok(columns);
    }
    let found =
        if columns.is_empty() { "there is no such table, or it may not be seen" } else { "it has other columns" };
    Err(Error::configuration(format!(
        "{database}.{table} at {} is no table of rows of minuet: {found}; name the one that --sink of the run names",
        server.name()
    )))
}

/// Lines whose commit is in a range.
fn of_commit(range: Range) -> String {
    format!("_commit >= {} AND _commit < {}", range.from, range.to)
}

/// Lines whose minute is in a range.
fn of_minute(range: Range) -> String {
    let seconds = |minute: Minute| minute.checked_mul(MINUTE_S).filter(|seconds| *seconds <= u64::from(u32::MAX));
    let side = |sign: &str, seconds: u64| format!("window_start {sign} toDateTime({seconds}, 'UTC')");
    match (seconds(range.from), seconds(range.to)) {
        (None, _) => "0".to_owned(),
        (Some(0), None) => "1".to_owned(),
        (Some(from), None) => side(">=", from),
        (Some(from), Some(to)) => format!("{} AND {}", side(">=", from), side("<", to)),
    }
}

/// Commit, start, lane: the first columns.
fn place(line: &[Value]) -> Result<Place> {
    let millis = number(line, 1)?.checked_mul(1_000).and_then(|millis| i64::try_from(millis).ok());
    let minute = millis.filter(|millis| millis % MINUTE_MS == 0).and_then(minute_of);
    let minute = minute.ok_or_else(|| Error::data(format!("{} is the start of no minute", line[1])))?;
    let lane = u32::try_from(number(line, 2)?).map_err(|_| unexpected(line))?;
    Ok(Place { commit: number(line, 0)?, minute, lane })
}

fn partition_line(line: &[Value]) -> Result<PartitionLine> {
    Ok(PartitionLine {
        commit: number(line, 0)?,
        attempt: number(line, 1)?,
        partition: text(line, 2)?.to_owned(),
        from: position(line, 3)?,
        to: position(line, 4)?,
        counters: Counters {
            read: number(line, 5)?,
            folded: number(line, 6)?,
            malformed: number(line, 7)?,
            late: number(line, 8)?,
            too_far_ahead: number(line, 9)?,
            nulls: number(line, 10)?,
            non_finite: number(line, 11)?,
        },
        gaps: number(line, 12)?,
    })
}

/// Two numbers in an array, or an empty one.
fn position(line: &[Value], at: usize) -> Result<Option<Position>> {
    match line.get(at).and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => Ok(None),
        Some(both @ [_, _]) => Ok(Some(Position(number(both, 0)?, number(both, 1)?))),
        _ => Err(unexpected(line)),
    }
}

fn kept(line: &[Value]) -> Result<Kept> {
    let [malformed, late, too_far_ahead, all] = [2, 3, 4, 5].map(|at| number(line, at));
    let kept = Kept {
        commit: number(line, 0)?,
        partition: text(line, 1)?.to_owned(),
        malformed: malformed?,
        late: late?,
        too_far_ahead: too_far_ahead?,
    };
    if kept.malformed + kept.late + kept.too_far_ahead != all? {
        let Kept { commit, partition, .. } = kept;
        return Err(Error::data(format!("commit {commit}, {partition}: rejects have a reason that is none")));
    }
    Ok(kept)
}

/// A key that is there more than once.
fn repeated(full: &str, server: &str, table: &Table, line: &[Value]) -> Result<Repeated> {
    let values = line.iter().skip(3).map(|value| value.as_str().unwrap_or_default());
    let key: Vec<String> = table.key.iter().zip(values).map(|(name, value)| format!("{name} {value}")).collect();
    Ok(Repeated {
        what: format!("{full} at {server}, {}", key.join(", ")),
        times: number(line, 0)?,
        by: Some(Runs {
            newest: number(line, 1)?,
            revisions: text(line, 2)?.trim_matches(['[', ']']).to_owned(),
            mend: format!("OPTIMIZE TABLE {full} FINAL; -- at {server}"),
        }),
    })
}
