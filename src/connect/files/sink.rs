//! A folder of rows, rejects and ledger lines.
//!
//! ```text
//!  rows/<commit, 10 digits>-<lane, 3 digits>.jsonl              see [`super::rows`]
//!  rejects/<commit, 10 digits>-<partition, 5 digits>.jsonl      one object per reject, its payload in base64
//!  ledger/<commit, 10 digits>.jsonl                             one object per partition, then one per minute and lane
//!  columns.json                                                 the columns of the rows, so that rows can be read back
//! ```
//! No attempt in a name: a replay overwrites the same file. Where there is nothing to say there is no file. Who may write is a
//! matter of [`super::fence`].

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::durable::{Draft, create_folders, failed, remove_temporaries, sync_folder};
use super::fence::{Fence, Owner};
use super::ledger::{MinuteRecord, PartitionRecord, Record};
use super::rows::RowLines;
use crate::aggregate::{Column, Layout};
use crate::connect::failpoint;
use crate::connect::outlet::ThreadOutlet;
use crate::dataflow::edges::{Outlet, Reject, Sink, Wake, Write};
use crate::error::{Error, Result};
use crate::limits::FILE_BUFFER_BYTES;
use crate::snapshot::{Manifest, Position};
use crate::time::Epoch;

/// The kinds of file, each in a folder of its own.
pub(super) struct Kind {
    pub(super) folder: &'static str,
    /// Failpoints: all written, synced, renamed.
    steps: [&'static str; 3],
}

pub(super) const ROWS: Kind = Kind { folder: "rows", steps: ["rows-tmp-written", "rows-synced", "rows-renamed"] };
pub(super) const REJECTS: Kind =
    Kind { folder: "rejects", steps: ["rejects-tmp-written", "rejects-synced", "rejects-renamed"] };
pub(super) const LEDGER: Kind =
    Kind { folder: "ledger", steps: ["ledger-tmp-written", "ledger-synced", "ledger-renamed"] };

/// The file that names the columns.
pub(super) const COLUMNS: &str = "columns.json";

/// Digits of a commit epoch in a name, so that names sort as commits do.
const COMMIT_DIGITS: usize = 10;

/// A sink on a folder.
pub struct FileSink {
    files: SinkFiles,
    columns: Vec<Column>,
}

impl FileSink {
    /// A sink in `dir` for rows of this layout; nothing is created before `prepare`.
    pub fn new(dir: impl Into<PathBuf>, layout: Arc<Layout>) -> Self {
        Self::with_columns(dir, layout.columns())
    }

    /// The same for these columns, `window_start` being the first.
    pub fn with_columns(dir: impl Into<PathBuf>, columns: &[Column]) -> Self {
        let dir = dir.into();
        let lines = RowLines::new(columns);
        FileSink { files: SinkFiles { fence: Fence::new(&dir), dir, lines }, columns: columns.to_vec() }
    }
}

impl Sink for FileSink {
    fn check(&self, found: Option<&Manifest>) -> Result<()> {
        let dir = &self.files.dir;
        let rows = written(&dir.join(ROWS.folder))?;
        let commit = found.and_then(|found| found.commit);
        let owner = self.files.fence.owner()?;
        match (found, &owner, rows.first()) {
            (_, _, Some((_, name))) if commit.is_none() => Err(Error::configuration(format!(
                "the sink folder {} holds rows already ({name}), but the state knows of none: name another folder, or the \
                 --state these rows belong to, or start empty and remove them with --fresh",
                dir.display()
            ))),
            (Some(found), Some(owner), _) if !owner.is_kin(&Owner::of(found)) => Err(self.files.fence.foreign(owner)),
            (Some(found), None, None) if found.totals.rows > 0 => Err(Error::configuration(format!(
                "the sink folder {} is empty, but {} rows were written before: name the folder they are in, or start empty with \
                 --fresh",
                dir.display(),
                found.totals.rows
            ))),
            _ => Ok(()),
        }
    }

    fn prepare(&self, claim: &Manifest, fresh: bool) -> Result<()> {
        self.files.fence.take(Owner::of(claim), fresh, || {
            self.clear_after(claim.commit)?;
            self.name_columns()
        })
    }

    fn join(&self, claim: &Manifest) -> Result<()> {
        self.files.fence.join(Owner::of(claim))
    }

    fn open(&self, slot: usize, wake: Wake) -> Result<Box<dyn Outlet<Write>>> {
        let files = self.files.clone();
        Ok(Box::new(ThreadOutlet::start(&format!("sink-{slot}"), wake, move |job| files.write(&job))?))
    }
}

impl FileSink {
    /// Removes what was written for later commits, and what a dead run left half written.
    fn clear_after(&self, commit: Option<Epoch>) -> Result<()> {
        let dir = &self.files.dir;
        for kind in [ROWS, REJECTS, LEDGER] {
            let folder = dir.join(kind.folder);
            create_folders(dir, &folder)?;
            remove_temporaries(&folder, Duration::ZERO)?;
            for (_, name) in written(&folder)?.into_iter().filter(|(written, _)| Some(*written) > commit) {
                let path = folder.join(name);
                fs::remove_file(&path).map_err(|cause| failed("removing", &path, cause))?;
            }
            sync_folder(&folder)?;
        }
        Ok(())
    }

    /// Says what the columns of the rows are. The plan of a pipeline stays, so it is said once.
    fn name_columns(&self) -> Result<()> {
        let (dir, path) = (&self.files.dir, self.files.dir.join(COLUMNS));
        let bytes = serde_json::to_vec(&self.columns).map_err(|cause| failed("writing", &path, cause))?;
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        remove_temporaries(dir, Duration::ZERO)?;
        let mut draft = Draft::create(dir)?;
        draft.file().write_all(&bytes).map_err(|cause| failed("writing", &path, cause))?;
        draft.sync()?;
        draft.rename(COLUMNS, || {})
    }
}

/// Commit epochs and names of the files that a sink has written in `folder`, ascending; none where it is absent. Files of
/// other names are not ours.
pub(super) fn written(folder: &Path) -> Result<Vec<(Epoch, String)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed("listing", folder, cause)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(|cause| failed("listing", folder, cause))?.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".jsonl")) else { continue };
        let digits = name.split(['-', '.']).next().unwrap_or_default();
        if let Some(commit) = digits.parse().ok().filter(|_| digits.len() >= COMMIT_DIGITS) {
            files.push((commit, name.to_owned()));
        }
    }
    files.sort();
    Ok(files)
}

/// What a slot's thread holds.
#[derive(Clone)]
struct SinkFiles {
    dir: PathBuf,
    fence: Fence,
    lines: RowLines,
}

impl SinkFiles {
    fn write(&self, job: &Write) -> Result<()> {
        match job {
            Write::Rows { commit, lane, blocks } => {
                let rows = || blocks.iter().flatten();
                if rows().next().is_none() {
                    return Ok(());
                }
                if let Some(odd) = rows().find(|row| row.values.len() != self.lines.values()) {
                    let (found, wanted) = (odd.values.len(), self.lines.values());
                    return Err(Error::bug(format!("a row has {found} values where its layout has {wanted}")));
                }
                self.replace(&ROWS, &format!("{commit:0COMMIT_DIGITS$}-{lane:03}.jsonl"), |out| {
                    rows().try_for_each(|row| self.lines.write(row, out))
                })
            }
            Write::Rejects { commit, partition, rejects } => {
                let lines = rejects.iter().map(RejectLine::of);
                self.replace_lines(&REJECTS, &format!("{commit:0COMMIT_DIGITS$}-{partition:05}.jsonl"), lines)
            }
            Write::Ledger { commit, attempt, lines, minutes } => {
                let mut records = Vec::with_capacity(lines.len() + minutes.len());
                records
                    .extend(lines.iter().map(|line| Record::Partition(PartitionRecord::of(*commit, *attempt, line))));
                records.extend(minutes.iter().map(|line| Record::Minute(MinuteRecord::of(*commit, *attempt, line))));
                self.replace_lines(&LEDGER, &format!("{commit:0COMMIT_DIGITS$}.jsonl"), records.iter())
            }
        }
    }

    fn replace_lines(
        &self,
        kind: &Kind,
        name: &str,
        lines: impl ExactSizeIterator<Item = impl Serialize>,
    ) -> Result<()> {
        if lines.len() == 0 {
            return Ok(());
        }
        self.replace(kind, name, |out| {
            for line in lines {
                serde_json::to_writer(&mut *out, &line)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    /// Writes a file whole, durably, in place of one of that name.
    fn replace(
        &self,
        kind: &Kind,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<&mut fs::File>) -> io::Result<()>,
    ) -> Result<()> {
        let folder = self.dir.join(kind.folder);
        let [written, synced, renamed] = kind.steps;
        let replace = || {
            let mut draft = Draft::create(&folder)?;
            fill_file(draft.file(), fill).map_err(|cause| failed("writing", &folder.join(name), cause))?;
            failpoint(written);
            draft.sync()?;
            failpoint(synced);
            self.fence.hold(|| draft.rename(name, || failpoint(renamed)))
        };
        replace().map_err(|error| self.fence.explain(error))
    }
}

/// Writes all that `fill` gives to the file.
fn fill_file(
    file: &mut fs::File,
    fill: impl FnOnce(&mut BufWriter<&mut fs::File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(FILE_BUFFER_BYTES, file);
    let filled = fill(&mut out).and_then(|()| out.flush());
    // After an error the buffer would try again when it is dropped: throw its rest away instead.
    let _ = out.into_parts();
    filled
}

/// A line of a rejects file.
#[derive(Serialize)]
struct RejectLine<'a> {
    reason: &'a str,
    detail: &'a str,
    partition: &'a str,
    position: Position,
    index: u32,
    payload: String,
}

impl<'a> RejectLine<'a> {
    fn of(reject: &'a Reject) -> Self {
        RejectLine {
            reason: reject.reason,
            detail: &reject.detail,
            partition: &reject.partition,
            position: reject.position,
            index: reject.index,
            payload: STANDARD.encode(&reject.payload),
        }
    }
}

#[cfg(test)]
mod tests;
