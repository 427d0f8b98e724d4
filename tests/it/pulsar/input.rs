//! Events for topics: generated or real, as payloads by partition, and the rows that must come of them.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::reader::Reader;
use apache_avro::writer::datum::GenericDatumWriter;
use tempfile::TempDir;

use super::sender::{Manner, Sender};
use super::topic::Topic;
use crate::harness::{dataflow, files, generate, project, scratch};
use crate::oracle::{self, Expected};

/// Events and the files that the oracle reads them from.
pub(crate) struct Input {
    /// Removed with this.
    _place: TempDir,
    dataflow: PathBuf,
    files: Vec<PathBuf>,
    /// The payloads of each partition.
    pub(crate) logs: Vec<Vec<Vec<u8>>>,
}

impl Input {
    /// What `minuet gen` makes.
    pub(crate) fn generate(name: &str, settings: &[(&str, &str)]) -> Self {
        let place = scratch();
        let folder = place.path().join("in");
        generate(&dataflow(name), &folder, settings);
        let files = files(&folder, &[".events"]);
        let logs = files.iter().map(|file| captured(file)).collect();
        Input { dataflow: hasty(name, place.path()), _place: place, files, logs }
    }

    /// 200,000 events of sensors in seven partitions, or in as many as one wants: a backlog that takes seconds.
    pub(crate) fn backlog(partitions: &str) -> Self {
        let settings =
            [("seed", "16"), ("events", "200000"), ("sources", "400"), ("rate", "100"), ("partitions", partitions)];
        Input::generate("sensors", &settings)
    }

    /// The folder of the dataflow: the shipped one, but for how long a silence takes to count.
    pub(crate) fn dataflow(&self) -> &Path {
        &self.dataflow
    }

    /// What must come of it in entries of so many messages.
    pub(crate) fn expected(&self, entry: usize) -> Expected {
        oracle::expected_in(&self.dataflow, &self.files, entry)
    }

    /// Sends all in entries of so many messages, each partition in a manner of its own as far as there are different ones.
    pub(crate) fn send(&self, topic: &Topic<'_>, entry: usize, manners: &[Manner]) {
        for (number, (log, payloads)) in topic.logs().iter().zip(&self.logs).enumerate() {
            let mut sender = Sender::open(topic.broker, log);
            payloads.chunks(entry).for_each(|entry| sender.send(entry, &manners[number % manners.len()]));
            sender.finish();
        }
    }
}

/// The payloads of a capture file: each after its length in four bytes, the low one first.
fn captured(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let (mut bytes, mut payloads) = (&bytes[..], Vec::new());
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at(4);
        let (payload, rest) = rest.split_at(u32::from_le_bytes(length.try_into().unwrap()) as usize);
        payloads.push(payload.to_vec());
        bytes = rest;
    }
    payloads
}

/// A copy of a shipped dataflow in which a partition is quiet after a second.
pub(crate) fn hasty(name: &str, place: &Path) -> PathBuf {
    copied(name, place, "1s")
}

/// The same after another time.
pub(crate) fn copied(name: &str, place: &Path, idle_after: &str) -> PathBuf {
    copied_from(&dataflow(name), place, idle_after)
}

/// A copy of any dataflow in which a partition is quiet after so long.
pub(crate) fn copied_from(from: &Path, place: &Path, idle_after: &str) -> PathBuf {
    let to = place.join(from.file_name().expect("a dataflow's folder has a name"));
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("schema.avsc"), to.join("schema.avsc")).unwrap();
    let text = fs::read_to_string(from.join("dataflow.toml")).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("idle_after"));
    let text = kept.collect::<Vec<_>>().join("\n");
    let text = text.replace("[window]", &format!("[window]\nidle_after = \"{idle_after}\""));
    fs::write(to.join("dataflow.toml"), text).unwrap();
    to
}

/// The real departures: an entry for each block of each file, so that the rows are those that the oracle reads from the files.
pub(crate) fn send_departures(topic: &Topic<'_>) -> Expected {
    let dataflow = dataflow("departures");
    let parts = files(&project().join("tests/data/flights"), &[".avro"]);
    for (log, file) in topic.logs().iter().zip(&parts) {
        let mut sender = Sender::open(topic.broker, log);
        let bytes = fs::read(file).unwrap();
        let reader = Reader::new(&bytes[..]).unwrap();
        let schema = reader.writer_schema().clone();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let mut events = reader.map(|event| writer.write_value_to_vec(event.unwrap()).unwrap());
        for size in oracle::block_sizes(&dataflow, file) {
            let entry: Vec<Vec<u8>> = events.by_ref().take(size).collect();
            sender.send(&entry, &Manner::default());
        }
        sender.finish();
    }
    oracle::expected(&dataflow, &parts)
}
