//! The ledger in a sink's folder: its lines as they are written, and the folder read back to be checked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::durable::failed;
use super::rows::RowReader;
use super::sink::{COLUMNS, LEDGER, REJECTS, ROWS, written};
use crate::aggregate::{Column, row_binary};
use crate::dataflow::edges::{LedgerLine, MinuteLine};
use crate::error::{Error, Result};
use crate::ledger::{Content, Found, Kept, LedgerSource, Lines, PartitionLine, Place, Range, Repeated, Told};
use crate::limits::{MINUTE_MS, SINK_LINE_BYTES_MAX};
use crate::snapshot::{Counters, Position};
use crate::time::{Epoch, from_utc, minute_of, utc};

/// A line of a ledger file: of a partition where it names one, else of a minute and lane.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Record {
    /// Of a partition.
    Partition(PartitionRecord),
    /// Of a minute and lane.
    Minute(MinuteRecord),
}

/// The counters are those between `from` and `to`; `idle_decisions` counts from the beginning.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionRecord {
    commit: Epoch,
    attempt: u64,
    partition: String,
    from: Option<Position>,
    to: Option<Position>,
    read: u64,
    folded: u64,
    malformed: u64,
    late: u64,
    too_far_ahead: u64,
    nulls: u64,
    non_finite: u64,
    idle_decisions: u64,
    /// Gaps accepted so far; the line at which it rises is the one that has the gap between `from` and `to`.
    #[serde(default, skip_serializing_if = "is_zero")]
    gaps: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl PartitionRecord {
    pub(super) fn of(commit: Epoch, attempt: u64, line: &LedgerLine) -> Self {
        let counters = &line.counters;
        PartitionRecord {
            commit,
            attempt,
            partition: line.cut.name.clone(),
            from: line.from,
            to: line.cut.position,
            read: counters.read,
            folded: counters.folded,
            malformed: counters.malformed,
            late: counters.late,
            too_far_ahead: counters.too_far_ahead,
            nulls: counters.nulls,
            non_finite: counters.non_finite,
            idle_decisions: line.cut.idle_decisions,
            gaps: line.cut.gaps,
        }
    }

    fn into_line(self) -> PartitionLine {
        let PartitionRecord { read, folded, malformed, late, too_far_ahead, nulls, non_finite, .. } = self;
        let counters = Counters { read, folded, malformed, late, too_far_ahead, nulls, non_finite };
        let PartitionRecord { commit, attempt, partition, from, to, gaps, .. } = self;
        PartitionLine { commit, attempt, partition, from, to, counters, gaps }
    }
}

/// The hash is in hex: JSON's numbers do not hold it everywhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MinuteRecord {
    commit: Epoch,
    attempt: u64,
    window_start: String,
    lane: u32,
    events: u64,
    rows: u64,
    counted: u64,
    hash: String,
}

impl MinuteRecord {
    pub(super) fn of(commit: Epoch, attempt: u64, line: &MinuteLine) -> Self {
        let MinuteLine { minute, lane, events, rows, counted, hash } = *line;
        let window_start = utc(minute.cast_signed() * MINUTE_MS);
        MinuteRecord { commit, attempt, window_start, lane, events, rows, counted, hash: format!("{hash:016x}") }
    }

    fn told(&self) -> Option<Told> {
        let minute = from_utc(&self.window_start).filter(|time| time % MINUTE_MS == 0).and_then(minute_of)?;
        let hash = u64::from_str_radix(&self.hash, 16).ok().filter(|_| self.hash.len() == 16)?;
        let content = Content { rows: self.rows, counted: self.counted, hash };
        Some(Told { place: Place { commit: self.commit, minute, lane: self.lane }, events: self.events, content })
    }
}

/// What the check reads of a rejects file's line.
#[derive(Deserialize)]
struct RejectRecord {
    reason: String,
    partition: String,
    position: Position,
    index: u32,
}

/// A sink's folder, to be checked.
pub struct FolderLedger {
    dir: PathBuf,
    columns: Vec<Column>,
}

impl FolderLedger {
    /// Opens the folder; changes nothing in it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let path = dir.join(COLUMNS);
        let bytes = fs::read(&path).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => Error::configuration(format!(
                "{} has no {COLUMNS}: name the folder of a sink; one of an older minuet gets it at its next run",
                dir.display()
            )),
            _ => failed("reading", &path, cause),
        })?;
        let columns = serde_json::from_slice(&bytes)
            .map_err(|cause| Error::data(format!("{}: it does not name columns: {cause}", path.display())))?;
        Ok(FolderLedger { dir, columns })
    }

    /// The files of a kind, as folder and name, with their commits, ascending.
    fn files(&self, folder: &str) -> Result<Vec<(Epoch, PathBuf)>> {
        let folder = self.dir.join(folder);
        Ok(written(&folder)?.into_iter().map(|(commit, name)| (commit, folder.join(name))).collect())
    }

    /// The lines of all ledger files, in order.
    fn records(&self) -> Result<impl Iterator<Item = Result<Record>>> {
        let files = self.files(LEDGER.folder)?;
        Ok(files.into_iter().flat_map(|(commit, path)| each(&path, |line| record(commit, line))))
    }
}

/// The lines of a file, each made into something; all of one commit, so they fit into memory.
fn each<T>(path: &Path, mut make: impl FnMut(&str) -> std::result::Result<T, String>) -> Vec<Result<T>> {
    let mut made = Vec::new();
    let walked = lines(path, |line| {
        made.push(Ok(make(line)?));
        Ok(())
    });
    made.extend(walked.err().map(Err));
    made
}

/// Goes through the lines of a file; an error names the line.
fn lines(path: &Path, mut take: impl FnMut(&str) -> std::result::Result<(), String>) -> Result<()> {
    let mut reader = BufReader::new(File::open(path).map_err(|cause| failed("opening", path, cause))?);
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let limited = reader.by_ref().take(SINK_LINE_BYTES_MAX).read_line(&mut line);
        let place = || format!("{}, line {number}", path.display());
        match limited {
            Ok(0) => break,
            Ok(_) => {}
            Err(cause) if cause.kind() == ErrorKind::InvalidData => {
                return Err(Error::data(format!("{}: it is not UTF-8", place())));
            }
            Err(cause) => return Err(failed("reading", path, cause)),
        }
        let whole = line.strip_suffix('\n').ok_or_else(|| "it ends in the middle".to_owned());
        whole.and_then(&mut take).map_err(|what| Error::data(format!("{}: {what}", place())))?;
    }
    Ok(())
}

fn record(commit: Epoch, line: &str) -> std::result::Result<Record, String> {
    let record: Record = serde_json::from_str(line).map_err(|_| "it is no line of a ledger".to_owned())?;
    let said = match &record {
        Record::Partition(record) => record.commit,
        Record::Minute(record) => record.commit,
    };
    if said == commit { Ok(record) } else { Err(format!("it is of commit {said}, its file is of commit {commit}")) }
}

impl LedgerSource for FolderLedger {
    fn partitions(&self, range: Range) -> Result<Lines<'_, PartitionLine>> {
        Ok(Box::new(self.records()?.filter_map(move |record| match record {
            Ok(Record::Partition(record)) => range.contains(record.commit).then(|| Ok(record.into_line())),
            Ok(Record::Minute(_)) => None,
            Err(error) => Some(Err(error)),
        })))
    }

    fn minutes(&self, range: Range) -> Result<Lines<'_, Told>> {
        Ok(Box::new(self.records()?.filter_map(move |record| match record {
            Ok(Record::Minute(record)) => {
                let told = record.told().ok_or_else(|| {
                    let MinuteRecord { commit, window_start, hash, .. } = record;
                    Error::data(format!("commit {commit}: {window_start:?} is no minute, or {hash:?} no hash"))
                });
                told.map(|told| range.contains(told.place.minute).then_some(told)).transpose()
            }
            Ok(Record::Partition(_)) => None,
            Err(error) => Some(Err(error)),
        })))
    }

    fn rows(&self, range: Range) -> Result<Lines<'_, Found>> {
        let mut commits: BTreeMap<Epoch, Vec<PathBuf>> = BTreeMap::new();
        for (commit, path) in self.files(ROWS.folder)? {
            commits.entry(commit).or_default().push(path);
        }
        // No commit has a row of a minute past it.
        let commits = commits.into_iter().filter(move |(commit, _)| *commit >= range.from);
        Ok(Box::new(commits.flat_map(move |(commit, paths)| match self.rows_of(commit, &paths, range) {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })))
    }

    fn rejects(&self, range: Range) -> Result<Lines<'_, Kept>> {
        let files = self.files(REJECTS.folder)?.into_iter().filter(move |(commit, _)| range.contains(*commit));
        Ok(Box::new(files.flat_map(|(commit, path)| match rejects_of(commit, &path) {
            Ok(kept) => kept.into_values().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })))
    }

    /// Of rejects: whatever else is there twice is read twice, and does not add up.
    fn repeated(&self, range: Range) -> Result<Lines<'_, Repeated>> {
        let files = self.files(REJECTS.folder)?.into_iter().filter(move |(commit, _)| range.contains(*commit));
        Ok(Box::new(files.flat_map(|(commit, path)| match repeated_rejects(commit, &path) {
            Ok(repeated) => repeated.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })))
    }
}

impl FolderLedger {
    /// What the rows of one commit come to.
    fn rows_of(&self, commit: Epoch, paths: &[PathBuf], range: Range) -> Result<Vec<Found>> {
        let reader = RowReader::new(&self.columns);
        let (mut found, mut room) = (BTreeMap::<Place, Content>::new(), Vec::new());
        for path in paths {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let lane = stem.split_once('-').and_then(|(_, lane)| lane.parse().ok());
            let lane = lane.ok_or_else(|| Error::data(format!("{}: its name has no lane", path.display())))?;
            lines(path, |line| {
                let row = reader.read(line)?;
                let hash = row_binary::hash(&self.columns, &row, &mut room).map_err(|error| error.to_string())?;
                if range.contains(row.minute) {
                    found.entry(Place { commit, minute: row.minute, lane }).or_default().add(row.count(), hash);
                }
                Ok(())
            })?;
        }
        Ok(found.into_iter().map(|(place, content)| Found { place, content }).collect())
    }
}

fn rejects_of(commit: Epoch, path: &Path) -> Result<BTreeMap<String, Kept>> {
    let mut all: BTreeMap<String, Kept> = BTreeMap::new();
    lines(path, |line| {
        let record: RejectRecord = serde_json::from_str(line).map_err(|cause| format!("it is no reject: {cause}"))?;
        let kept = all.entry(record.partition.clone()).or_insert_with(|| Kept {
            commit,
            partition: record.partition,
            ..Kept::default()
        });
        match record.reason.as_str() {
            "malformed" => kept.malformed += 1,
            "late" => kept.late += 1,
            "too_far_ahead" => kept.too_far_ahead += 1,
            reason => return Err(format!("{reason:?} is no reason")),
        }
        Ok(())
    })?;
    Ok(all)
}

/// Rejects that a file has more often than once.
fn repeated_rejects(commit: Epoch, path: &Path) -> Result<Vec<Repeated>> {
    let mut times: BTreeMap<(String, Position, u32), u64> = BTreeMap::new();
    lines(path, |line| {
        let record: RejectRecord = serde_json::from_str(line).map_err(|cause| format!("it is no reject: {cause}"))?;
        *times.entry((record.partition, record.position, record.index)).or_default() += 1;
        Ok(())
    })?;
    let repeated =
        times.into_iter().filter(|(_, times)| *times > 1).map(|((partition, Position(a, b), index), times)| {
            let what = format!("commit {commit}, {partition}, the reject of event {index} at {a}:{b}");
            Repeated { what, times, by: None }
        });
    Ok(repeated.collect())
}

#[cfg(test)]
mod tests;
