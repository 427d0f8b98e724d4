//! Writes what a slot hands over, so that it is there once whatever happened before.
//!
//! A block of rows is inserted under a token of (pipeline, life, branch, commit, lane, number, hash of its bytes). The server
//! swallows a block whose token it knows, so a second try is harmless whether the first one came through or not. Tokens alone are not
//! enough in three cases, and there the table itself is asked:
//!
//! - **A commit in doubt** (one of those that the claim's manifest names: an earlier run may have written some of it). What is stored
//!   under this commit and lane is compared with what is to be stored. Missing blocks are inserted. Blocks that are not ours, of
//!   earlier attempts, are removed; so are, when the commit's ledger comes and all lanes have spoken, lanes that have no rows now.
//! - **An insert whose answer was lost.** The block is counted after the try that worked.
//! - **A block that is still missing after that**: its token is known and its rows are not. A server that is killed between the two
//!   can be left so, and one whose rows were removed is. Then what is left of it is removed and it goes in under a token that has
//!   `:r1`, `:r2` ... after it.
//!
//! Rows are removed by a lightweight `DELETE`: it marks them in the parts that have them, where `ALTER TABLE ... DELETE` would write all
//! columns of a whole day anew. Only rows of lower revisions are removed as stale, so an older run that still heals what was its own
//! does no harm to ours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block::{self, Block, header};
use super::server::{Insert, Server, number};
use super::tables::{Table, Tables};
use super::{kept, lines};
use crate::aggregate::{Column, FinishedRow, row_binary};
use crate::dataflow::edges::{LedgerLine, MinuteLine, Reject, Write};
use crate::error::{Error, Result};
use crate::limits::{CLICKHOUSE_TOKENS_MAX, MINUTE_MS};
use crate::snapshot::Manifest;
use crate::time::{Epoch, Minute};

/// The run that writes.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub pipeline: String,
    pub life: String,
    pub attempt: u64,
    /// The newest run of this life that went back before rows that were there, and removed them: 0 where none did. Their tokens are
    /// known for ever, so those of the same rows, when they come again, have to be others.
    pub branch: u64,
    /// The newest commit that is a truth.
    pub commit: Option<Epoch>,
    /// The commits in doubt.
    pub doubt: BTreeSet<Epoch>,
}

impl Run {
    /// The run that has claimed the pipeline with this manifest.
    pub(super) fn of(claim: &Manifest, branch: u64) -> Self {
        Run {
            pipeline: claim.pipeline.clone(),
            life: claim.life.clone(),
            attempt: claim.attempt,
            branch,
            commit: claim.commit,
            doubt: claim.next.iter().copied().collect(),
        }
    }

    /// Rows after the commit that the run began with.
    fn after_commit(&self) -> String {
        after_commit(self.commit)
    }
}

/// Rows after a commit: all others are out of doubt, and a table that is partitioned by day need not look at them.
pub(super) fn after_commit(commit: Option<Epoch>) -> String {
    commit.map_or("1".to_owned(), |commit| format!("window_start > {}", start_of(commit)))
}

/// When a minute starts, as a condition has it; a table knows none after 2106.
fn start_of(minute: Minute) -> String {
    let seconds = minute.saturating_mul(MINUTE_MS.cast_unsigned() / 1_000).min(u64::from(u32::MAX));
    format!("toDateTime({seconds}, 'UTC')")
}

/// What a sink has met; counted for the whole process.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) ambiguous: AtomicU64,
    pub(super) healed: AtomicU64,
    pub(super) removed: AtomicU64,
}

/// One table as it is written to.
pub(super) struct Target {
    pub full: String,
    pub columns: Vec<String>,
    pub header: Vec<u8>,
}

impl Target {
    fn of(tables: &Tables, table: &Table) -> Self {
        Target {
            full: tables.full(&table.name),
            columns: table.given().map(|(name, _)| name.clone()).collect(),
            header: header(table),
        }
    }
}

/// The servers and tables of a sink.
pub(super) struct Place {
    pub servers: Vec<Server>,
    pub tables: Tables,
    pub columns: Vec<Column>,
    pub rows: Target,
    pub rejects: Target,
    pub ledger: Target,
    pub minutes: Target,
    pub runs: Target,
    pub met: Met,
}

impl Place {
    pub(super) fn new(servers: Vec<Server>, tables: Tables, columns: Vec<Column>) -> Self {
        let [rows, rejects, ledger, minutes, runs] = tables.all().map(|table| Target::of(&tables, table));
        Place { servers, columns, rows, rejects, ledger, minutes, runs, met: Met::default(), tables }
    }

    /// The server of a lane: always the same one.
    fn of_lane(&self, lane: u32) -> &Server {
        &self.servers[lane as usize % self.servers.len()]
    }

    /// The server that has the ledger.
    pub(super) fn first(&self) -> &Server {
        &self.servers[0]
    }
}

/// Where a block of rows belongs.
#[derive(Clone, Copy)]
struct Spot {
    commit: Epoch,
    lane: u32,
}

/// A block, and how many of its lines are of each minute: a run that has gone on for weeks looks for a block in the block's own hours.
struct Dated {
    block: Block,
    /// None where the table does not know minutes.
    minutes: Option<BTreeMap<Minute, u64>>,
}

impl Dated {
    /// A block whose lines are of these minutes.
    fn of(block: Block, minutes: impl Iterator<Item = Minute>) -> Self {
        let mut by_minute = BTreeMap::new();
        minutes.for_each(|minute| *by_minute.entry(minute).or_default() += 1);
        Dated { block, minutes: Some(by_minute) }
    }

    /// A block of a table that does not know minutes.
    fn timeless(block: Block) -> Self {
        Dated { block, minutes: None }
    }

    /// The condition that its lines meet which are surely kept, and how many these are; `since` are the seconds since 1970 from which
    /// on the table keeps all. None where it may have let all of them go.
    fn kept(&self, since: Option<u64>) -> Option<(String, u64)> {
        let Some(minutes) = &self.minutes else { return Some(("1".to_owned(), self.block.lines())) };
        let oldest = since.map_or(0, |since| since.div_ceil(MINUTE_MS.cast_unsigned() / 1_000));
        let mut kept = minutes.range(oldest..);
        let lines = kept.clone().map(|(_, lines)| lines).sum();
        let first = *kept.next()?.0;
        let last = kept.next_back().map_or(first, |(last, _)| *last);
        Some((format!("window_start >= {} AND window_start <= {}", start_of(first), start_of(last)), lines))
    }
}

/// A run's writer.
#[derive(Clone)]
pub(super) struct Writer {
    pub place: Arc<Place>,
    pub run: Arc<Run>,
}

impl Writer {
    /// Writes it; when this is done it is there, once.
    pub(super) async fn write(&self, job: Write) -> Result<()> {
        match job {
            Write::Rows { commit, lane, blocks } => self.rows(Spot { commit, lane }, blocks).await,
            Write::Rejects { commit, partition, rejects } => self.rejects(commit, partition, rejects).await,
            Write::Ledger { commit, lines, minutes, .. } => self.ledger(commit, lines, minutes).await,
        }
    }

    async fn rows(&self, spot: Spot, rows: Vec<Vec<FinishedRow>>) -> Result<()> {
        let mut blocks = Vec::with_capacity(rows.len());
        for rows in rows {
            if rows.is_empty() {
                continue;
            }
            let minutes: Vec<Minute> = rows.iter().map(|row| row.minute).collect();
            let block = Block::of(rows, |row, out| row_binary::append(&self.place.columns, &row, out))?;
            blocks.push(Dated::of(block, minutes.into_iter()));
            // A block takes milliseconds to encode: others may go first.
            tokio::task::yield_now().await;
        }
        let doubt = self.run.doubt.contains(&spot.commit);
        // What earlier attempts left may be of other minutes than ours.
        let stored = if doubt { self.stored(spot, &self.run.after_commit()).await? } else { BTreeMap::new() };
        if stored.keys().any(|hash| blocks.iter().all(|dated| dated.block.hash != *hash)) {
            let ours: Vec<String> = blocks.iter().map(|dated| dated.block.hash.to_string()).collect();
            let of = format!("_lane = {} AND _block NOT IN ({})", spot.lane, ours.join(", "));
            let server = self.place.of_lane(spot.lane);
            self.remove_stale(server, &self.place.rows.full, &self.run.after_commit(), spot.commit, &of).await?;
        }
        for (at, dated) in blocks.iter().enumerate() {
            if stored.get(&dated.block.hash).is_none_or(|lines| *lines < dated.block.lines()) {
                self.row_block(spot, at, dated, doubt).await?;
            }
        }
        Ok(())
    }

    /// Inserts a block, again under another token if it is not there afterwards.
    async fn row_block(&self, spot: Spot, at: usize, dated: &Dated, doubt: bool) -> Result<()> {
        let block = &dated.block;
        let Spot { commit, lane } = spot;
        let Run { pipeline, life, branch, attempt, .. } = &*self.run;
        let server = self.place.of_lane(lane);
        let doing = format!("inserting block {at} of commit {commit}, lane {lane}");
        let token = format!("{pipeline}/{life}/{branch}/rows/{commit}/{lane}/{at}/{:016x}", block.hash);
        let bookkeeping = bookkeeping(commit, Some(lane), block.hash, *attempt);
        for renewed in 0..CLICKHOUSE_TOKENS_MAX {
            let token = if renewed == 0 { token.clone() } else { format!("{token}:r{renewed}") };
            let ambiguous = self.insert(&doing, server, &self.place.rows, block, &bookkeeping, &token).await?;
            if !ambiguous && !doubt && renewed == 0 {
                return Ok(());
            }
            let Some((within, lines)) = self.kept(server, &self.place.tables.rows, dated).await? else { return Ok(()) };
            let stored = self.stored(spot, &within).await?.get(&block.hash).copied().unwrap_or(0);
            if stored >= lines {
                return Ok(());
            }
            self.place.met.healed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                server = server.name(),
                epoch = commit,
                lane,
                stored,
                rows = lines,
                "a block was acknowledged and is not there: storing it under another token"
            );
            if let Some((within, _)) = dated.kept(None).filter(|(_, all)| stored > 0 || lines < *all) {
                let of = format!("_lane = {lane} AND _block = {}", block.hash);
                self.remove(server, &self.place.rows.full, &within, commit, &of).await?;
            }
        }
        Err(Error::data(format!(
            "{doing} at {}: {CLICKHOUSE_TOKENS_MAX} times it was acknowledged and is not there: is something else removing rows of \
             {}, or is this address several servers that know nothing of each other?",
            server.name(),
            self.place.rows.full
        )))
    }

    async fn insert(
        &self,
        doing: &str,
        server: &Server,
        target: &Target,
        block: &Block,
        bookkeeping: &[u8],
        token: &str,
    ) -> Result<bool> {
        let Target { full, columns, header } = target;
        let insert = Insert { table: full, columns, header, block, bookkeeping, token };
        let ambiguous = server.insert(doing, &insert).await?;
        self.place.met.ambiguous.fetch_add(u64::from(ambiguous), Ordering::Relaxed);
        Ok(ambiguous)
    }

    /// What of a block can be counted: lines that are older than the table keeps them may be gone as soon as they are stored, and are
    /// not missed.
    async fn kept(&self, server: &Server, table: &Table, dated: &Dated) -> Result<Option<(String, u64)>> {
        let since = match dated.minutes {
            Some(_) => kept::oldest(server, &self.place.tables, &[table]).await?,
            None => None,
        };
        let kept = dated.kept(since);
        if kept.is_none() {
            let table = &table.name;
            tracing::warn!(
                server = server.name(),
                table,
                "a block is older than the table keeps lines: it is not counted"
            );
        }
        Ok(kept)
    }

    /// Rows that are stored, by block; `within` says where they can be.
    async fn stored(&self, spot: Spot, within: &str) -> Result<BTreeMap<u64, u64>> {
        let Spot { commit, lane } = spot;
        let table = &self.place.rows.full;
        let sql = format!(
            "SELECT _block, count() FROM {table} WHERE {within} AND _commit = {commit} AND _lane = {lane} GROUP BY _block"
        );
        let doing = format!("looking what is stored of commit {commit}, lane {lane}");
        let lines = self.place.of_lane(lane).ask(&doing, &sql).await?;
        lines.iter().map(|line| Ok((number(line, 0)?, number(line, 1)?))).collect()
    }

    /// Removes lines of a commit that earlier attempts wrote and this one does not; `within` says where they can be.
    async fn remove_stale(&self, server: &Server, table: &str, within: &str, commit: Epoch, of: &str) -> Result<()> {
        let of = format!("{of} AND _revision < {}", self.run.attempt);
        let sql = format!("SELECT count() FROM {table} WHERE {within} AND _commit = {commit} AND {of}");
        let lines = server.ask(&format!("looking for stale rows of commit {commit}"), &sql).await?;
        let stale = lines.first().map_or(Ok(0), |line| number(line, 0))?;
        if stale > 0 {
            tracing::warn!(
                server = server.name(),
                epoch = commit,
                stale,
                "removing rows of an earlier attempt that came out otherwise now"
            );
            self.place.met.removed.fetch_add(stale, Ordering::Relaxed);
            self.remove(server, table, within, commit, &of).await?;
        }
        Ok(())
    }

    async fn remove(&self, server: &Server, table: &str, within: &str, commit: Epoch, of: &str) -> Result<()> {
        let sql = format!("DELETE FROM {table} WHERE {within} AND _commit = {commit} AND {of}");
        server.act(&format!("removing rows of commit {commit}"), &sql).await
    }

    async fn rejects(&self, commit: Epoch, partition: u32, rejects: Vec<Reject>) -> Result<()> {
        let block = Block::of(rejects, |reject, out| {
            lines::reject(&reject, out);
            Ok(())
        })?;
        let server = &self.place.servers[partition as usize % self.place.servers.len()];
        let place = format!("rejects/{commit}/{partition}");
        self.small(server, &self.place.rejects, &place, commit, None, &Dated::timeless(block)).await
    }

    async fn ledger(&self, commit: Epoch, of_partitions: Vec<LedgerLine>, minutes: Vec<MinuteLine>) -> Result<()> {
        if self.run.doubt.contains(&commit) {
            // All lanes have spoken: the others had rows in an earlier attempt only.
            let spoken: BTreeSet<u32> = minutes.iter().filter(|line| line.rows > 0).map(|line| line.lane).collect();
            let spoken: Vec<String> = spoken.iter().map(u32::to_string).collect();
            let of = if spoken.is_empty() { "1".to_owned() } else { format!("_lane NOT IN ({})", spoken.join(", ")) };
            for server in &self.place.servers {
                self.remove_stale(server, &self.place.rows.full, &self.run.after_commit(), commit, &of).await?;
            }
        }
        let block = Block::of(of_partitions, |line, out| {
            lines::ledger(&line, out);
            Ok(())
        })?;
        let first = self.place.first();
        self.small(first, &self.place.ledger, &format!("ledger/{commit}"), commit, None, &Dated::timeless(block))
            .await?;
        let mut lanes: BTreeMap<u32, Vec<MinuteLine>> = BTreeMap::new();
        minutes.into_iter().for_each(|line| lanes.entry(line.lane).or_default().push(line));
        for (lane, of_lane) in lanes {
            let minutes: Vec<Minute> = of_lane.iter().map(|line| line.minute).collect();
            let block = Block::of(of_lane, |line, out| {
                lines::minute(&line, out);
                Ok(())
            })?;
            let place = format!("minutes/{commit}/{lane}");
            let dated = Dated::of(block, minutes.into_iter());
            self.small(first, &self.place.minutes, &place, commit, Some(lane), &dated).await?;
        }
        self.clear(commit).await
    }

    /// Removes what earlier attempts left in the smaller tables: an insert that was under way when a run was killed may have come
    /// through after this run has cleared them at its start. By now those attempts are long over.
    async fn clear(&self, commit: Epoch) -> Result<()> {
        if !self.run.doubt.contains(&commit) {
            return Ok(());
        }
        for server in &self.place.servers {
            for target in [&self.place.rejects, &self.place.ledger, &self.place.minutes] {
                self.remove_stale(server, &target.full, "1", commit, "1").await?;
            }
        }
        Ok(())
    }

    /// Inserts lines whose commit had none before: what earlier attempts wrote of it was removed when this run began. So their token
    /// has the attempt, and only a lost answer leaves doubt; the table then replaces lines of one key.
    async fn small(
        &self,
        server: &Server,
        target: &Target,
        place: &str,
        commit: Epoch,
        lane: Option<u32>,
        dated: &Dated,
    ) -> Result<()> {
        let block = &dated.block;
        if block.lines() == 0 {
            return Ok(());
        }
        let Run { pipeline, life, attempt, .. } = &*self.run;
        let bookkeeping = bookkeeping(commit, lane, block.hash, *attempt);
        let doing = format!("inserting {place}");
        let token = format!("{pipeline}/{life}/{attempt}/{place}/{:016x}", block.hash);
        for renewed in 0..CLICKHOUSE_TOKENS_MAX {
            let token = if renewed == 0 { token.clone() } else { format!("{token}:r{renewed}") };
            if !self.insert(&doing, server, target, block, &bookkeeping, &token).await? && renewed == 0 {
                return Ok(());
            }
            let Some((within, lines)) = self.kept(server, &self.place.tables.minutes, dated).await? else {
                return Ok(());
            };
            let (full, hash) = (&target.full, block.hash);
            let sql = format!("SELECT count() FROM {full} WHERE {within} AND _commit = {commit} AND _block = {hash}");
            let found = server.ask(&format!("looking whether {place} is stored"), &sql).await?;
            if found.first().map_or(Ok(0), |line| number(line, 0))? >= lines {
                return Ok(());
            }
            self.place.met.healed.fetch_add(1, Ordering::Relaxed);
        }
        Err(Error::data(format!("{doing} at {}: it was acknowledged and is not there", server.name())))
    }
}

/// What comes after each line.
fn bookkeeping(commit: Epoch, lane: Option<u32>, hash: u64, attempt: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(28);
    block::number(commit, &mut out);
    out.extend(lane.into_iter().flat_map(u32::to_le_bytes));
    block::number(hash, &mut out);
    block::number(attempt, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_looked_for_in_its_own_minutes() {
        let block = || Block::of(0..5, |_: u8, _| Ok(())).unwrap();
        let dated = Dated::of(block(), [7, 3, 5, 5, 7].into_iter());
        let within = |first, last, lines| {
            let minutes =
                format!("window_start >= toDateTime({first}, 'UTC') AND window_start <= toDateTime({last}, 'UTC')");
            Some((minutes, lines))
        };
        assert_eq!(dated.kept(None), within(180, 420, 5));
        assert_eq!(dated.kept(Some(180)), within(180, 420, 5));
        assert_eq!(dated.kept(Some(181)), within(300, 420, 4), "minute 3 may be gone");
        assert_eq!(dated.kept(Some(301)), within(420, 420, 2));
        assert_eq!(dated.kept(Some(421)), None, "all of it may be gone");
        assert_eq!(Dated::timeless(block()).kept(Some(421)), Some(("1".to_owned(), 5)));
        let ended = after_commit(Some(crate::time::LAST_EPOCH));
        assert_eq!(ended, "window_start > toDateTime(4294967295, 'UTC')", "no row is after the last commit");
    }
}
