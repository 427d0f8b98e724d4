//! A source whose partitions are files, in order of name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::capture::CaptureReader;
use super::container::{ContainerReader, MAGIC};
use super::identity;
use super::input::Input;
use super::reader::FilesReader;
use crate::dataflow::edges::{Entry, Partition, Reader, Source, Start, Wake};
use crate::error::{Error, Result};
use crate::limits::{PARTITIONS_MAX, PROBLEMS_NAMED_MAX};
use crate::snapshot::{PartitionCut, Position};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Container,
    Capture,
}

/// One file as it was when the source was made.
#[derive(Clone, Debug)]
struct SourceFile {
    name: String,
    path: PathBuf,
    kind: Kind,
    len: u64,
    identity: String,
}

/// The files that a glob matches. They are looked at once: what comes or grows later belongs to another run.
#[derive(Clone, Debug)]
pub struct Files {
    files: Vec<SourceFile>,
}

impl Files {
    /// Expands `pattern`: `*` and `?` stay within one name, `**` crosses folders, hidden files must be named. A partition's
    /// name is its path below the folder at which the pattern begins to vary. Avro object container files and `.events`
    /// files are taken; no match, or a match of any other kind, is an error.
    pub fn open(pattern: &str) -> Result<Self> {
        let mut files = Vec::new();
        let fixed = fixed_folder(pattern);
        for path in matches(pattern)? {
            let plain_path = plain(&path);
            let below = plain_path.strip_prefix(&fixed).unwrap_or(&plain_path);
            let Some(name) = below.to_str().map(str::to_owned) else {
                return Err(Error::configuration(format!("the file name {} is not UTF-8: rename it", path.display())));
            };
            files.push(look_at(name, path)?);
        }
        if files.is_empty() {
            return Err(Error::configuration(format!(
                "no file matches {pattern}: name Avro files or .events files, with the pattern in quotes"
            )));
        }
        if files.len() > PARTITIONS_MAX {
            let found = files.len();
            return Err(Error::configuration(format!("{pattern} matches {found} files, {PARTITIONS_MAX} can be")));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Files { files })
    }
}

/// All problems in one error.
fn refuse(mut problems: Vec<String>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(PROBLEMS_NAMED_MAX);
    problems.truncate(PROBLEMS_NAMED_MAX);
    if more > 0 {
        problems.push(format!("{more} more"));
    }
    Err(Error::data(format!(
        "the source files are not those this pipeline has begun to read: {}. restore them as they were, or begin anew with \
         --fresh and an empty sink folder; read additional files in a pipeline of their own",
        problems.join("; ")
    )))
}

fn difference(now: &SourceFile, then: &PartitionCut) -> Option<String> {
    let name = &now.name;
    if now.identity == then.identity {
        return None;
    }
    Some(match identity::length(&then.identity) {
        Some(len) if len < now.len => format!("{name} grew from {len} to {} bytes", now.len),
        Some(len) if len > now.len => format!("{name} shrank from {len} to {} bytes", now.len),
        _ => format!("{name} changed: it was `{}` and is `{}`", then.identity, now.identity),
    })
}

/// The folder above the first part of a pattern that varies; the file's own folder where none does.
fn fixed_folder(pattern: &str) -> PathBuf {
    let whole = plain(Path::new(pattern));
    let varies = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let mut fixed: PathBuf = whole.components().take_while(|part| !varies(part)).collect();
    if fixed == whole {
        fixed.pop();
    }
    fixed
}

/// Without the `.` that some ways to spell a path hold: a partition's name must not depend on them.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let found = glob::glob_with(pattern, options)
        .map_err(|cause| Error::configuration(format!("{pattern} is not a file pattern: {cause}")))?;
    let mut paths = Vec::new();
    for path in found {
        let path = path.map_err(|cause| Error::outside(format!("looking for {pattern}"), cause))?;
        if !path.is_dir() {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn look_at(name: String, path: PathBuf) -> Result<SourceFile> {
    let failed = |cause| Error::outside(format!("looking at {}", path.display()), cause);
    // Looked at before it is opened: opening a pipe waits for somebody to write.
    let meta = std::fs::metadata(&path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::configuration(format!("{} is not a plain file", path.display())));
    }
    let mut file = File::open(&path).map_err(failed)?;
    let mut first = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut first).map_err(failed)?;
    let kind = if first == MAGIC {
        // No capture file begins so: it would announce a payload past the bound.
        Kind::Container
    } else if path.extension().is_some_and(|extension| extension == "events") {
        Kind::Capture
    } else if first.is_empty() {
        return Err(Error::data(format!("{} is empty: an Avro file has a header at least", path.display())));
    } else {
        return Err(Error::configuration(format!(
            "{} is neither an Avro object container file (it would begin with \"Obj\" and a byte of 1) nor named .events: \
             move it away or narrow the pattern",
            path.display()
        )));
    };
    let identity = identity::identity(&mut file, meta.len()).map_err(failed)?;
    Ok(SourceFile { name, kind, len: meta.len(), identity, path })
}

/// An open file.
pub(super) enum OpenFile {
    /// Of blocks.
    Container(ContainerReader<File>),
    /// Of payloads.
    Capture(CaptureReader<File>),
}

impl OpenFile {
    /// The next entry, in `room` where it can be; `None` at the end.
    pub(super) fn next_entry(&mut self, room: Vec<u8>) -> Result<Option<Entry>> {
        match self {
            OpenFile::Container(reader) => reader.next_entry(room),
            OpenFile::Capture(reader) => reader.next_entry(room),
        }
    }
}

impl SourceFile {
    fn open(&self, from: Option<Position>) -> Result<OpenFile> {
        let name = self.path.display().to_string();
        let file = File::open(&self.path).map_err(|cause| match cause.raw_os_error() {
            Some(libc::EMFILE) => {
                Error::outside(format!("opening {name}"), "raise the limit of open files (ulimit -n)")
            }
            _ => Error::outside(format!("opening {name}"), cause),
        })?;
        let input = Input::new(file, name, self.len);
        Ok(match self.kind {
            Kind::Container => OpenFile::Container(ContainerReader::open(input, from)?),
            Kind::Capture => OpenFile::Capture(CaptureReader::open(input, from)?),
        })
    }
}

impl Source for Files {
    fn partitions(&self) -> Result<Vec<Partition>> {
        let partition = |file: &SourceFile| Partition { name: file.name.clone(), identity: file.identity.clone() };
        Ok(self.files.iter().map(partition).collect())
    }

    /// Files are finite: one that differs, is missing or is new would make rows that no undisturbed run gives, so each is
    /// named. An empty cut has nothing to say.
    fn resume(&self, cut: &[PartitionCut]) -> Result<()> {
        if cut.is_empty() {
            return Ok(());
        }
        let known: BTreeMap<&str, &PartitionCut> = cut.iter().map(|then| (then.name.as_str(), then)).collect();
        let found: BTreeMap<&str, &SourceFile> = self.files.iter().map(|now| (now.name.as_str(), now)).collect();
        let mut problems = Vec::new();
        for (name, then) in &known {
            match found.get(name) {
                None => problems.push(format!("{name} is no longer there")),
                Some(now) => problems.extend(difference(now, then)),
            }
        }
        let new = found.keys().filter(|name| !known.contains_key(*name));
        problems.extend(new.map(|name| format!("{name} is new")));
        for (number, now) in self.files.iter().enumerate().filter(|_| problems.is_empty()) {
            if known.get(now.name.as_str()).is_some_and(|then| then.partition as usize != number) {
                problems.push(format!("{} is partition {number} now and was another", now.name));
                break;
            }
        }
        refuse(problems)
    }

    fn open(&self, starts: Vec<Start>, wake: Wake) -> Result<Box<dyn Reader>> {
        let mut opened = Vec::new();
        for start in starts {
            let Some(file) = self.files.get(start.partition as usize) else {
                let count = self.files.len();
                return Err(Error::bug(format!("partition {} is asked for, there are {count} files", start.partition)));
            };
            opened.push((start.partition, file.open(start.from)?));
        }
        Ok(Box::new(FilesReader::start(opened, wake)?))
    }
}

#[cfg(test)]
mod tests;
