//! Tries everything that a run will need of its tables, server by server, and says what to do about what fails.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Config;
use super::block::{self, Block, header};
use super::failed::{Failed, Reached};
use super::preflight::{Look, found, look_at};
use super::server::{Insert, Server, number, text};
use super::tables::{BOOKKEEPING, Form, Table, Tables, quoted};
use crate::aggregate::Layout;
use crate::connect::probe::{Found, Standing, Step, bad, doubtful, good, step};
use crate::connect::random_number;
use crate::connect::runtime::Tasks;
use crate::error::Result;
use crate::limits::{CLICKHOUSE_PROBE_MS, CLICKHOUSE_VERSION_MIN};
use crate::time::Millis;

/// Seconds of a day, and of a minute.
const DAY_S: u32 = 86_400;
const MINUTE_S: u32 = 60;

const SEE_NETWORK: &str = "see that the server runs, and that name, port (of HTTP: 8123, with TLS 8443) and network let this machine reach it";

/// Tries all servers of a sink; `now` is the time of day.
pub fn probe(config: &Config, layout: &Layout, now: Millis) -> Result<Vec<Step>> {
    let tables = Tables::new(Some(&config.address.database), &config.address.table, layout);
    let servers = Server::all(&config.address, &config.user)?;
    let creates = config.create_tables;
    let limit =
        Duration::from_millis(CLICKHOUSE_PROBE_MS).saturating_mul(6 * u32::try_from(servers.len()).unwrap_or(1));
    Tasks::start("clickhouse", 1)?.wait(limit, "trying ClickHouse", async move {
        let mut steps = Vec::new();
        for server in &servers {
            Probe { server, tables: &tables, creates, now }.steps(&mut steps).await;
        }
        steps
    })
}

/// What is tried at one server.
struct Probe<'a> {
    server: &'a Server,
    tables: &'a Tables,
    /// Whether a run would make what is missing.
    creates: bool,
    now: Millis,
}

/// Does not wait for ever.
async fn soon<T>(work: impl Future<Output = std::result::Result<T, Failed>>) -> std::result::Result<T, Failed> {
    let limit = Duration::from_millis(CLICKHOUSE_PROBE_MS);
    timeout(limit, work).await.unwrap_or_else(|_| Err(Failed::late(CLICKHOUSE_PROBE_MS)))
}

impl Probe<'_> {
    /// Ends at the first step without which the others mean nothing.
    async fn steps(&self, steps: &mut Vec<Step>) {
        let began = Instant::now();
        let version = soon(self.server.ask_once("SELECT version()")).await;
        if let Err(failed) = &version
            && failed.reached() == Reached::No
        {
            steps.push(step("reach ClickHouse", began, self.refused(failed)));
            return;
        }
        steps.push(step("reach ClickHouse", began, good(self.server.name())));
        let lines = match version {
            Ok(lines) => lines,
            Err(failed) => {
                steps.push(step("log in to ClickHouse", began, self.refused(&failed)));
                return;
            }
        };
        steps.push(step("log in to ClickHouse", began, good("it lets us in")));
        let version = lines.first().and_then(|line| text(line, 0).ok()).unwrap_or_default();
        steps.push(step("look at its version", began, new_enough(version)));
        let began = Instant::now();
        let (engine, compared) = self.compared().await;
        let ended = compared.0 == Standing::Bad && engine.is_none();
        steps.push(step("compare its tables with the plan", began, compared));
        if ended {
            return;
        }
        let began = Instant::now();
        let once = self.once(engine.unwrap_or_default()).await;
        steps.push(step("insert twice under one token", began, once));
    }

    /// The engine of the table of rows, where it is there; and what is wrong with all tables.
    async fn compared(&self) -> (Option<String>, Found) {
        let limit = Duration::from_millis(CLICKHOUSE_PROBE_MS);
        let there = match timeout(limit, found(self.server, self.tables)).await {
            Ok(Ok(there)) => there,
            Ok(Err(error)) => return (None, bad(error.to_string(), "see the server's own log")),
            Err(_) => return (None, self.refused(&Failed::late(CLICKHOUSE_PROBE_MS))),
        };
        let engine = there.get(&self.tables.rows.name).map(|found| found.engine.clone()).unwrap_or_default();
        (Some(engine), self.judged(&look_at(self.tables, &there)))
    }

    fn judged(&self, look: &Look) -> Found {
        match look.verdict(self.server, self.tables, self.creates) {
            Err(_) => {
                let mut all = look.problems.clone();
                if !self.creates {
                    all.extend(look.absent(self.tables));
                }
                let (what, mend): (Vec<String>, Vec<String>) = all.into_iter().map(|one| (one.what, one.mend)).unzip();
                let mut mends: Vec<String> = mend;
                mends.dedup();
                bad(what.join("; "), mends.join("\n        "))
            }
            Ok(()) if look.missing.is_empty() => good("they are what the plan writes"),
            Ok(()) => good(format!("{} are missing: the run makes them", look.missing.len())),
        }
    }

    /// Whether a second insert under the token of a first is swallowed, in a table of the same engine and settings.
    async fn once(&self, engine: String) -> Found {
        let scratch = self.scratch();
        let full = self.tables.full(&scratch.name);
        let replicated = engine.starts_with("Replicated");
        let made = if engine.is_empty() || replicated {
            // A copy of a replicated table would have its path, too.
            self.tables.create(&scratch, Form { replicated, ttl_days: None })
        } else {
            format!("CREATE TABLE {full} AS {}", self.tables.full(&self.tables.rows.name))
        };
        if let Err(failed) = soon(self.server.act_once(&made)).await {
            return self.unseen(&failed);
        }
        let counted = soon(self.inserted_twice(&scratch, &full)).await;
        let dropped = soon(self.server.act_once(&format!("DROP TABLE {full}"))).await;
        match (counted, dropped) {
            (Err(failed), _) => self.refused(&failed),
            (Ok(1), Err(failed)) => doubtful(
                format!("the second is swallowed; but removing {full}: {failed}"),
                format!("DROP TABLE {full}"),
            ),
            (Ok(1), Ok(())) => good("the second is swallowed"),
            (Ok(lines), _) => bad(
                format!("{lines} lines are there, one was to be: rows that are sent twice would be there twice"),
                "see that this address is one server, or replicas of one table, and that nothing before it changes requests; \
                 set the deduplication window of the tables",
            ),
        }
    }

    /// Without the right to make a table it cannot be seen; a run needs that right only where tables are missing.
    fn unseen(&self, failed: &Failed) -> Found {
        let database = self.tables.database.as_deref().map(quoted).unwrap_or_default();
        match failed.code() {
            Some(497) => doubtful(
                format!("a table to try it in cannot be made: {failed}"),
                format!("to have it tried: GRANT CREATE TABLE, DROP TABLE, SELECT, INSERT ON {database}.* to our user"),
            ),
            Some(81) if self.creates => {
                doubtful("there is no database to try it in yet", "the run makes it; check again then")
            }
            _ => self.refused(failed),
        }
    }

    /// A table that is not there: the columns of all kinds of rows.
    fn scratch(&self) -> Table {
        let mut scratch = self.tables.rows.clone();
        scratch.name = format!("{}_probe_{:016x}", scratch.name, random_number());
        scratch
    }

    /// Inserts two lines of other keys under one token: how many are there. Two of one key would be one after a merge.
    async fn inserted_twice(&self, scratch: &Table, full: &str) -> std::result::Result<u64, Failed> {
        let now = u32::try_from(self.now / 1_000).unwrap_or(0);
        let day = now - now % DAY_S;
        let ours = |name: &String| *name == scratch.columns[0].0 || BOOKKEEPING.iter().any(|(own, _)| own == name);
        let mut some = scratch.clone();
        some.columns.retain(|(name, _)| ours(name));
        let columns: Vec<String> = some.given().map(|(name, _)| name.clone()).collect();
        let (header, token) = (header(&some), scratch.name.as_str());
        for start in [day, day + MINUTE_S] {
            let block = Block::of([start], |start, out| {
                out.extend_from_slice(&start.to_le_bytes());
                Ok(())
            });
            let block = block.map_err(|error| Failed::odd(error.to_string()))?;
            let mut bookkeeping = Vec::new();
            block::number(0, &mut bookkeeping);
            bookkeeping.extend_from_slice(&0_u32.to_le_bytes());
            block::number(block.hash, &mut bookkeeping);
            block::number(0, &mut bookkeeping);
            let insert = Insert {
                table: full,
                columns: &columns,
                header: &header,
                block: &block,
                bookkeeping: &bookkeeping,
                token,
            };
            self.server.insert_once(&insert).await?;
        }
        let lines = self.server.ask_once(&format!("SELECT count() FROM {full}")).await?;
        let count = lines.first().map(|line| number(line, 0)).transpose();
        count.map_err(|error| Failed::odd(error.to_string())).map(Option::unwrap_or_default)
    }

    fn refused(&self, failed: &Failed) -> Found {
        let found = |failed: &dyn Display| format!("{}: {failed}", self.server.name());
        let advice = failed.advice().unwrap_or(match failed.reached() {
            Reached::No => SEE_NETWORK,
            Reached::Yes => "see the server's own log",
        });
        bad(found(failed), advice)
    }
}

fn new_enough(version: &str) -> Found {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    match found >= CLICKHOUSE_VERSION_MIN {
        true => good(version),
        false => {
            let (year, month) = CLICKHOUSE_VERSION_MIN;
            bad(format!("it is {version:?}"), format!("use ClickHouse {year}.{month} or newer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::User;
    use super::*;
    use crate::connect::Secret;
    use crate::connect::probe::Standing;

    #[test]
    fn versions_are_compared_as_numbers() {
        let standing = |version: &str| new_enough(version).0;
        assert_eq!(["23.8.1", "23.10", "100.1"].map(standing), [Standing::Good; 3]);
        assert_eq!(["23.7.9", "9.9", ""].map(standing), [Standing::Bad; 3]);
    }

    #[test]
    fn without_the_right_to_make_a_table_it_is_in_doubt_and_the_grant_is_named() {
        let address = "clickhouse://a/d.t".parse().expect("it is one");
        let user = User { name: "u".to_owned(), password: Secret::new(""), reread: None, roots: None };
        let server = Server::all(&address, &user).expect("nothing is read").remove(0);
        let of_rows = ["window_start", "source"].map(|name| (name.to_owned(), "String".to_owned()));
        let tables = Tables::of(Some("d"), "t", of_rows.to_vec());
        let probe = Probe { server: &server, tables: &tables, creates: false, now: 0 };
        let said = |text: &str| probe.unseen(&Failed::of(&clickhouse::error::Error::BadResponse(text.to_owned())));
        let (standing, found, advice) = said("Code: 497. DB::Exception: u: Not enough privileges");
        assert_eq!(standing, Standing::Doubtful);
        assert!(found.contains("Not enough privileges") && advice.unwrap().contains("GRANT CREATE TABLE"), "{found}");
        assert_eq!(said("Code: 81. DB::Exception: no database").0, Standing::Bad);
    }
}
