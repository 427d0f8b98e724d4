//! The tables of a dataflow as a sink.
//!
//! **Who may write.** A table belongs to one life of one pipeline: its runs are in `<table>_runs`, and a run of another is refused at its
//! start. ClickHouse cannot make an insert depend on that, so an older run that lives on may still insert until its next manifest, which
//! finds its name taken. What holds then: for a commit that both write, equal blocks have equal tokens, and one of the two is
//! swallowed; a block that came out otherwise has a lower revision, and of two rows of one source and minute the table keeps the one
//! of the newer run. It removes rows of lower revisions than its own only.
//!
//! **Several servers** are shards: lane `l` goes to server `l mod n`, always, so their number and order are part of what a run must find
//! as it was. The ledger and the runs that count are on the first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::block::Block;
use super::outlet::SlotOutlet;
use super::server::{Insert, Server, User, number, text};
use super::tables::Tables;
use super::writer::{Place, Run, Writer, after_commit};
use super::{lines, preflight};
use crate::aggregate::Layout;
use crate::connect::runtime::Tasks;
use crate::dataflow::edges::{Outlet, Sink, Wake, Write};
use crate::error::{Error, Fault, Result};
use crate::limits::{CLICKHOUSE_OPEN_MS, CLICKHOUSE_THREADS};
use crate::snapshot::Manifest;
use crate::time::Epoch;

/// Whether the run is to end: then nothing is waited for any more.
pub type Over = Arc<dyn Fn() -> bool + Send + Sync>;

/// How a sink is opened.
pub struct Config {
    /// Where it is.
    pub address: Address,
    /// Who we are there.
    pub user: User,
    /// Whether tables that are missing are made.
    pub create_tables: bool,
    /// Whether the process is to end.
    pub over: Over,
}

/// What a sink has met since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encounters {
    /// Tries that followed one that failed.
    pub retries: u64,
    /// Inserts whose answer was lost.
    pub ambiguous: u64,
    /// Blocks that were stored again because the server only said that it had them.
    pub healed: u64,
    /// Rows of earlier attempts that were removed.
    pub removed: u64,
}

/// A sink in ClickHouse.
pub struct ClickHouseSink {
    tasks: Tasks,
    place: Arc<Place>,
    create_tables: bool,
    over: Over,
    run: Mutex<Option<Arc<Run>>>,
}

impl ClickHouseSink {
    /// A sink for rows of this layout; nothing is asked of a server yet.
    pub fn new(config: Config, layout: &Layout) -> Result<Self> {
        let Config { address, user, create_tables, over } = config;
        let servers = Server::all(&address, &user)?;
        let tables = Tables::new(Some(&address.database), &address.table, layout);
        let place = Arc::new(Place::new(servers, tables, layout.columns().to_vec()));
        Ok(ClickHouseSink {
            tasks: Tasks::start("clickhouse", CLICKHOUSE_THREADS)?,
            place,
            create_tables,
            over,
            run: Mutex::default(),
        })
    }

    /// What it has met.
    pub fn encounters(&self) -> Encounters {
        let met = &self.place.met;
        let [ambiguous, healed, removed] =
            [&met.ambiguous, &met.healed, &met.removed].map(|count| count.load(std::sync::atomic::Ordering::Relaxed));
        Encounters { retries: self.place.servers.iter().map(Server::retries).sum(), ambiguous, healed, removed }
    }

    /// Why one of its servers fails, while one does.
    pub fn trouble(&self) -> Option<String> {
        self.place.servers.iter().find_map(|server| Some(format!("{}: {}", server.name(), server.trouble()?)))
    }

    /// Waits for what is asked of servers, but not for ever, and not when the process is to end.
    fn wait<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let end = Instant::now() + Duration::from_millis(CLICKHOUSE_OPEN_MS);
        let (over, first) = (Arc::clone(&self.over), self.place.first().name().to_owned());
        let reason = move || match over() {
            true => Some("this run was asked to end".to_owned()),
            false => (Instant::now() >= end).then(|| {
                format!(
                    "no luck at {first} for {} s; the log says why; starting again is safe",
                    CLICKHOUSE_OPEN_MS / 1_000
                )
            }),
        };
        self.tasks.wait_until(doing, reason, work)?
    }

    fn set(&self, run: Run) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(run));
    }
}

impl Sink for ClickHouseSink {
    fn check(&self, found: Option<&Manifest>) -> Result<()> {
        let (place, creates, found) = (Arc::clone(&self.place), self.create_tables, found.cloned());
        self.wait("looking at the sink", async move {
            for shard in 0..place.servers.len() {
                check(&place, shard, creates, found.as_ref()).await?;
            }
            Ok(())
        })
    }

    fn prepare(&self, claim: &Manifest, fresh: bool) -> Result<()> {
        let (place, creates, claim) = (Arc::clone(&self.place), self.create_tables, claim.clone());
        let run = self.wait("making the sink ready", async move {
            for server in &place.servers {
                if creates {
                    preflight::create(server, &place.tables).await?;
                }
                preflight::look(server, &place.tables).await?.verdict(server, &place.tables, false)?;
            }
            prepare(&place, &claim, fresh).await
        })?;
        self.set(run);
        Ok(())
    }

    fn join(&self, claim: &Manifest) -> Result<()> {
        let (place, claim) = (Arc::clone(&self.place), claim.clone());
        let run = self.wait("joining the sink", async move {
            let known = newest(&place, 0).await?;
            match known {
                Some(run) if run.is(&claim) => {}
                Some(run) if run.is_kin(&claim) && run.attempt > claim.attempt => return Err(superseded(&place, &run)),
                _ => {
                    return Err(Error::configuration(format!(
                        "the table {} at {} is not the one that process 0 has made ready: --sink must name the same place for all \
                         processes",
                        place.tables.full(&place.tables.rows.name),
                        place.first().name()
                    )));
                }
            }
            Ok(Run::of(&claim, branch(&place, &claim).await?))
        })?;
        self.set(run);
        Ok(())
    }

    fn open(&self, _slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let run = run.ok_or_else(|| Error::bug("the sink is opened before it is made ready"))?;
        let writer = Writer { place: Arc::clone(&self.place), run };
        Ok(Box::new(SlotOutlet::new(writer, self.tasks.handle().clone(), wake)))
    }
}

/// A run as its line in `_runs` has it.
struct Known {
    pipeline: String,
    life: String,
    attempt: u64,
    owner: String,
    shard: u64,
    shards: u64,
}

impl Known {
    fn is_kin(&self, manifest: &Manifest) -> bool {
        self.pipeline == manifest.pipeline && self.life == manifest.life
    }

    fn is(&self, manifest: &Manifest) -> bool {
        self.is_kin(manifest) && self.attempt == manifest.attempt && self.owner == manifest.owner
    }
}

/// The newest run that was made ready at a server.
async fn newest(place: &Place, shard: usize) -> Result<Option<Known>> {
    let runs = place.tables.full(&place.tables.runs.name);
    // A table has one life; a run that begins another removes what was there before.
    let sql = format!(
        "SELECT pipeline, life, attempt, owner, shard, shards FROM {runs} ORDER BY attempt DESC, written_at DESC, \
         owner DESC LIMIT 1"
    );
    let lines = place.servers[shard].ask("looking who has written", &sql).await?;
    let known = |line: &Vec<serde_json::Value>| {
        Ok(Known {
            pipeline: text(line, 0)?.to_owned(),
            life: text(line, 1)?.to_owned(),
            attempt: number(line, 2)?,
            owner: text(line, 3)?.to_owned(),
            shard: number(line, 4)?,
            shards: number(line, 5)?,
        })
    };
    lines.first().map(known).transpose()
}

async fn has_rows(place: &Place, shard: usize) -> Result<bool> {
    let sql = format!("SELECT 1 FROM {} LIMIT 1", place.tables.full(&place.tables.rows.name));
    Ok(!place.servers[shard].ask("looking for rows", &sql).await?.is_empty())
}

/// The newest run of this life that went back; 0 where none did.
async fn branch(place: &Place, claim: &Manifest) -> Result<u64> {
    let runs = place.tables.full(&place.tables.runs.name);
    let [pipeline, life] = [&claim.pipeline, &claim.life].map(|text| text.replace('\\', "\\\\").replace('\'', "\\'"));
    let sql =
        format!("SELECT max(attempt) FROM {runs} WHERE went_back AND pipeline = '{pipeline}' AND life = '{life}'");
    let lines = place.first().ask("looking for runs that went back", &sql).await?;
    lines.first().map_or(Ok(0), |line| number(line, 0))
}

async fn check(place: &Place, shard: usize, creates: bool, found: Option<&Manifest>) -> Result<()> {
    let server = &place.servers[shard];
    let look = preflight::look(server, &place.tables).await?;
    look.verdict(server, &place.tables, creates)?;
    let missing = |name: &str| look.missing.iter().any(|missing| missing == name);
    let known = if missing(&place.tables.runs.name) { None } else { newest(place, shard).await? };
    let rows = !missing(&place.tables.rows.name) && has_rows(place, shard).await?;
    let table = format!("the table {} at {}", place.tables.full(&place.tables.rows.name), server.name());
    match (found, known) {
        (Some(found), Some(known)) if !known.is_kin(found) => Err(foreign(&table, &known)),
        (_, Some(known)) if (known.shard, known.shards) != (shard as u64, place.servers.len() as u64) => {
            Err(Error::configuration(format!(
                "{table} was written as server {} of {}, and is now {shard} of {} (counted from 0): lanes would go elsewhere; name \
                 the servers of --sink in the order in which they were",
                known.shard,
                known.shards,
                place.servers.len()
            )))
        }
        (None, Some(known)) => Err(Error::configuration(format!(
            "{table} belongs to pipeline '{}', but the state knows of no run: name another table, or the --state these rows \
             belong to, or start empty and remove them with --fresh",
            known.pipeline
        ))),
        (_, None) if rows => Err(Error::configuration(format!(
            "{table} holds rows already that no run of minuet has written: name another table, or empty it"
        ))),
        (Some(found), None) if found.totals.rows > 0 => Err(Error::configuration(format!(
            "{table} has never been written to, but {} rows were written before: name the table they are in, or start empty with --fresh",
            found.totals.rows
        ))),
        _ => Ok(()),
    }
}

fn foreign(table: &str, known: &Known) -> Error {
    Error::configuration(format!(
        "{table} holds rows of pipeline '{}' that belong to another state (its life {}): name another table, or the --state these \
         rows belong to",
        known.pipeline, known.life
    ))
}

/// Numbers of runs are given out by the state, one to each: two of one number come of two states.
fn twin(table: &str, known: &Known, claim: &Manifest) -> Error {
    Error::configuration(format!(
        "{table} was made ready by another run {} of pipeline '{}' (its owner {}, this one {}): the state was copied or put back, and two \
         runs would remove each other's rows; go on with the state that the other has, or start empty with --fresh",
        known.attempt, known.pipeline, known.owner, claim.owner
    ))
}

fn superseded(place: &Place, known: &Known) -> Error {
    Error::new(
        Fault::Superseded,
        format!(
            "run {} of pipeline '{}' writes to {} now; this run stops, nothing is lost: the other goes on from the newest manifest",
            known.attempt,
            known.pipeline,
            place.tables.full(&place.tables.rows.name)
        ),
    )
}

/// Removes what is in doubt, and records the run.
async fn prepare(place: &Place, claim: &Manifest, fresh: bool) -> Result<Run> {
    let tables = &place.tables;
    for (shard, server) in place.servers.iter().enumerate() {
        let table = format!("the table {} at {}", tables.full(&tables.rows.name), server.name());
        match newest(place, shard).await? {
            Some(known) if known.is_kin(claim) && known.attempt > claim.attempt => {
                return Err(superseded(place, &known));
            }
            Some(known) if known.is_kin(claim) && known.attempt == claim.attempt && known.owner != claim.owner => {
                return Err(twin(&table, &known, claim));
            }
            Some(known) if !(known.is_kin(claim) || fresh && known.pipeline == claim.pipeline) => {
                return Err(foreign(&table, &known));
            }
            None if has_rows(place, shard).await? => {
                return Err(Error::configuration(format!(
                    "{table} holds rows that no run of minuet has written, and they are not removed: name another table, or empty it"
                )));
            }
            Some(_) if fresh => {
                // The runs go last: as long as they are there the next --fresh finds out that all of it is this pipeline's.
                for table in tables.all() {
                    server.act("emptying the tables", &format!("TRUNCATE TABLE {}", tables.full(&table.name))).await?;
                }
            }
            _ => {}
        }
    }
    let went_back = beyond(place, claim).await?;
    // Recorded before anything is removed: tokens of what is removed must never be used again.
    for shard in 0..place.servers.len() {
        record(place, claim, went_back, shard).await?;
    }
    let (of_rows, of_others) = (rows_in_doubt(claim), after(claim));
    for server in &place.servers {
        for table in [&tables.rejects, &tables.ledger, &tables.minutes] {
            remove(server, &tables.full(&table.name), &of_others).await?;
        }
        remove(server, &tables.full(&tables.rows.name), &of_rows).await?;
    }
    Ok(Run::of(claim, branch(place, claim).await?))
}

/// What was written after the newest commit.
fn after(claim: &Manifest) -> String {
    claim.commit.map_or("1".to_owned(), |commit| format!("_commit > {commit}"))
}

/// Those rows of it that are removed at once: rows of the commits that the claim names are compared with what comes. The minute comes
/// first: by it the table is sorted and kept in days, and months of rows need not be looked at for a start.
fn rows_in_doubt(claim: &Manifest) -> String {
    let (within, after) = (after_commit(claim.commit), after(claim));
    let named: Vec<String> = claim.next.iter().map(Epoch::to_string).collect();
    match named.is_empty() {
        true => format!("{within} AND {after}"),
        false => format!("{within} AND {after} AND _commit NOT IN ({})", named.join(", ")),
    }
}

/// Rows of commits after those that the claim names.
fn rows_beyond(claim: &Manifest) -> String {
    let last = claim.next.last().copied().or(claim.commit).unwrap_or_default();
    format!("{} AND _commit > {last}", after_commit(claim.commit))
}

/// Whether there are rows of commits after those that the claim names: it began before a newer manifest.
async fn beyond(place: &Place, claim: &Manifest) -> Result<bool> {
    let rows = place.tables.full(&place.tables.rows.name);
    let sql = format!("SELECT 1 FROM {rows} WHERE {} LIMIT 1", rows_beyond(claim));
    for server in &place.servers {
        if !server.ask("looking for rows of later commits", &sql).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn remove(server: &Server, table: &str, of: &str) -> Result<()> {
    let lines = server.ask("looking for what is in doubt", &format!("SELECT count() FROM {table} WHERE {of}")).await?;
    let count = lines.first().map_or(Ok(0), |line| number(line, 0))?;
    if count == 0 {
        return Ok(());
    }
    tracing::info!(server = server.name(), table, count, "removing what was written after the newest manifest");
    server.act("removing what is in doubt", &format!("DELETE FROM {table} WHERE {of}")).await
}

async fn record(place: &Place, claim: &Manifest, went_back: bool, shard: usize) -> Result<()> {
    let block = Block::of([claim], |claim, out| {
        lines::run(claim, went_back, (shard, place.servers.len()), out);
        Ok(())
    })?;
    let token = format!("{}/{}/{}/{}/run", claim.pipeline, claim.life, claim.attempt, claim.owner);
    let target = &place.runs;
    let insert = Insert {
        table: &target.full,
        columns: &target.columns,
        header: &target.header,
        block: &block,
        bookkeeping: &[],
        token: &token,
    };
    place.servers[shard].insert("recording the run", &insert).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_looks_at_rows_after_the_newest_commit_only() {
        let within = "window_start > toDateTime(1767268800, 'UTC') AND _commit > ";
        let commit = 29_454_480;
        let claim = Manifest { commit: Some(commit), next: vec![commit + 1, commit + 3], ..Manifest::default() };
        assert_eq!(rows_in_doubt(&claim), format!("{within}29454480 AND _commit NOT IN (29454481, 29454483)"));
        assert_eq!(rows_beyond(&claim), format!("{within}29454483"));
        let ended = Manifest { next: Vec::new(), ..claim };
        assert_eq!(
            (rows_in_doubt(&ended), rows_beyond(&ended)),
            (format!("{within}29454480"), format!("{within}29454480"))
        );
        let new = Manifest { commit: None, next: vec![0], ..Manifest::default() };
        assert_eq!(
            (&*rows_in_doubt(&new), &*rows_beyond(&new)),
            ("1 AND 1 AND _commit NOT IN (0)", "1 AND _commit > 0")
        );
    }
}
