//! Generated events to files and streams.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::batch::{Batch, Generator, Tally};
use super::container::Container;
use super::json;
use crate::connect::files::capture;
use crate::error::{Error, Result};
use crate::limits::GENERATED_THREADS_MAX;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Payloads, each after its length in four little-endian bytes.
    Capture,
    /// Avro object container files, a block per entry.
    Avro,
    /// A JSON object per line, for a person to read.
    Json,
}

impl Format {
    /// The ending of a file's name.
    fn ending(self) -> &'static str {
        match self {
            Format::Capture => "events",
            Format::Avro => "avro",
            Format::Json => "jsonl",
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What was generated.
    #[serde(flatten)]
    pub tally: Tally,
    /// Bytes written, with frames and headers.
    pub bytes_written: u64,
    /// The files, in the order of the partitions; none for a stream or a topic.
    pub files: Vec<PathBuf>,
    /// Seconds it took.
    pub seconds: f64,
    /// Events per second it took.
    pub events_per_second: f64,
}

impl Summary {
    pub(super) fn new(tally: Tally, bytes_written: u64, files: Vec<PathBuf>, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let events_per_second = if seconds > 0.0 { (tally.events as f64 / seconds).round() } else { 0.0 };
        Summary { tally, bytes_written, files, seconds, events_per_second }
    }
}

/// Writes a file per partition, `part-00000.events` and so on, on up to `threads` threads.
///
/// Files are written under temporary names, synced, and renamed when all are complete. Files of an earlier generation are refused;
/// with `force` those of the same format are replaced.
pub fn to_folder(generator: &Generator, folder: &Path, format: Format, force: bool, threads: usize) -> Result<Summary> {
    let began = Instant::now();
    check_format(generator, format)?;
    fs::create_dir_all(folder)
        .map_err(|error| Error::outside(format!("making the folder {}", folder.display()), error))?;
    let earlier = generated_files(folder)?;
    if let (false, Some(first)) = (force, earlier.first()) {
        return Err(Error::configuration(format!(
            "writing to {}: found {} generated files, the first is {}; give another folder, or --force to replace them",
            folder.display(),
            earlier.len(),
            first.display()
        )));
    }
    let parts = write_parts(generator, folder, format, threads);
    let made = parts.and_then(|made| put_in_place(generator, folder, format, &earlier).map(|files| (made, files)));
    if made.is_err() {
        for partition in 0..generator.spec().partitions {
            // What is left of a failed attempt; that it failed is the error that counts.
            let _ = fs::remove_file(temporary(folder, partition, format));
        }
    }
    let ((tally, bytes), files) = made?;
    Ok(Summary::new(tally, bytes, files, began.elapsed()))
}

/// Writes all events to a stream, one entry of each partition in turn. A reader that goes away ends it without an error.
pub fn to_stream(generator: &Generator, out: &mut dyn Write, format: Format) -> Result<Summary> {
    let began = Instant::now();
    check_format(generator, format)?;
    if format == Format::Avro {
        return Err(Error::configuration(
            "avro containers are files, one per partition: give --to files:DIR, or --format capture or json",
        ));
    }
    let partitions = generator.spec().partitions;
    let entries = (0..partitions).map(|partition| generator.entries(partition)).max().unwrap_or(0);
    let (mut batch, mut framed) = (Batch::default(), Vec::new());
    let (mut tally, mut bytes) = (Tally::default(), 0);
    'all: for entry in 0..entries {
        for partition in 0..partitions {
            let filled = generator.fill(partition, entry, &mut batch);
            framed.clear();
            frame(generator, format, None, &batch, &mut framed)?;
            match out.write_all(&framed) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break 'all,
                Err(error) => return Err(Error::outside("writing generated events", error)),
            }
            tally.add(&filled);
            bytes += framed.len() as u64;
        }
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::outside("writing generated events", error)),
        _ => Ok(Summary::new(tally, bytes, Vec::new(), began.elapsed())),
    }
}

fn check_format(generator: &Generator, format: Format) -> Result<()> {
    if format != Format::Capture && generator.spec().malformed > 0.0 {
        return Err(Error::configuration(
            "malformed is above 0, but only capture files can hold payloads that cannot be decoded: give --format capture, or \
             --malformed 0",
        ));
    }
    Ok(())
}

/// Appends a batch in its format.
fn frame(
    generator: &Generator,
    format: Format,
    container: Option<&Container>,
    batch: &Batch,
    out: &mut Vec<u8>,
) -> Result<()> {
    match (format, container) {
        (Format::Json, _) => return json::lines(generator.schema(), batch, out),
        (_, Some(container)) => container.block(batch, out),
        (_, None) => {
            for span in &batch.spans {
                capture::frame(&batch.bytes[span.start as usize..(span.start + span.len) as usize], out)?;
            }
        }
    }
    Ok(())
}

/// Writes every partition under its temporary name. Each thread takes the next partition until none is left.
fn write_parts(generator: &Generator, folder: &Path, format: Format, threads: usize) -> Result<(Tally, u64)> {
    let partitions = generator.spec().partitions;
    let next = AtomicU32::new(0);
    let work = || -> Result<(Tally, u64)> {
        let mut all = (Tally::default(), 0);
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            if partition >= partitions {
                return Ok(all);
            }
            let path = temporary(folder, partition, format);
            let (tally, bytes) = write_part(generator, &path, partition, format)
                // The other threads need not go on.
                .inspect_err(|_| next.store(partitions, Ordering::Relaxed))?;
            all.0.add(&tally);
            all.1 += bytes;
        }
    };
    thread::scope(|scope| {
        let count = threads.clamp(1, GENERATED_THREADS_MAX).min(partitions as usize);
        let handles: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        handles.into_iter().try_fold((Tally::default(), 0), |mut all, handle| {
            let (tally, bytes) = handle.join().map_err(|_| Error::bug("a generating thread panicked"))??;
            all.0.add(&tally);
            all.1 += bytes;
            Ok(all)
        })
    })
}

fn write_part(generator: &Generator, path: &Path, partition: u32, format: Format) -> Result<(Tally, u64)> {
    let outside = |error| Error::outside(format!("writing {}", path.display()), error);
    let mut file = File::create(path).map_err(outside)?;
    let container = (format == Format::Avro).then(|| Container::new(generator.spec().seed, partition));
    let (mut batch, mut framed) = (Batch::default(), Vec::new());
    let (mut tally, mut bytes) = (Tally::default(), 0);
    if let Some(container) = &container {
        container.header(generator.schema(), &mut framed)?;
    }
    for entry in 0..generator.entries(partition) {
        tally.add(&generator.fill(partition, entry, &mut batch));
        frame(generator, format, container.as_ref(), &batch, &mut framed)?;
        file.write_all(&framed).map_err(outside)?;
        bytes += framed.len() as u64;
        framed.clear();
    }
    // What is left is the header of a container without blocks.
    file.write_all(&framed).map_err(outside)?;
    bytes += framed.len() as u64;
    file.sync_all().map_err(outside)?;
    Ok((tally, bytes))
}

/// Renames the complete files, after removing what an earlier generation left; then syncs the folder.
fn put_in_place(generator: &Generator, folder: &Path, format: Format, earlier: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let outside = |path: &Path, error| Error::outside(format!("putting {} in place", path.display()), error);
    for path in earlier.iter().filter(|path| path.extension().is_some_and(|found| found == format.ending())) {
        fs::remove_file(path).map_err(|error| Error::outside(format!("removing {}", path.display()), error))?;
    }
    let mut files = Vec::with_capacity(generator.spec().partitions as usize);
    for partition in 0..generator.spec().partitions {
        let path = folder.join(format!("part-{partition:05}.{}", format.ending()));
        fs::rename(temporary(folder, partition, format), &path).map_err(|error| outside(&path, error))?;
        files.push(path);
    }
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(|error| outside(folder, error))?;
    Ok(files)
}

fn temporary(folder: &Path, partition: u32, format: Format) -> PathBuf {
    folder.join(format!(".part-{partition:05}.{}.tmp", format.ending()))
}

/// Complete files of an earlier generation, sorted.
fn generated_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let outside = |error| Error::outside(format!("listing {}", folder.display()), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(outside)? {
        let path = entry.map_err(outside)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let digits = name.strip_prefix("part-").and_then(|rest| rest.split_once('.'));
        let ours = digits.is_some_and(|(digits, ending)| {
            digits.len() == 5
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && [Format::Capture, Format::Avro, Format::Json].iter().any(|format| format.ending() == ending)
        });
        if ours {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
