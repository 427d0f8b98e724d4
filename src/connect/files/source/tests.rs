use std::fs;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Weak};

use super::*;
use crate::connect::files::capture::frame;
use crate::dataflow::edges::{Framing, Next, Writer};
use crate::error::Fault;
use crate::limits::{CAPTURE_ENTRY_EVENTS, QUEUED_ENTRIES_MAX};
use crate::snapshot::{Counters, RejectsKept, Unreadable};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A capture file of `payloads` numbered payloads.
fn capture(path: &Path, payloads: u64) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a folder can be made");
    }
    let mut bytes = Vec::new();
    for number in 0..payloads {
        frame(&number.to_le_bytes(), &mut bytes).expect("it is short enough");
    }
    fs::write(path, bytes).expect("it can be written");
}

fn files(dir: &Path, pattern: &str) -> Result<Files> {
    Files::open(dir.join(pattern).to_str().expect("temporary folders have plain names"))
}

fn names(files: &Files) -> Vec<String> {
    files.partitions().expect("they are known").into_iter().map(|partition| partition.name).collect()
}

fn wake() -> (Wake, Receiver<()>) {
    let (sender, woken) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    (wake, woken)
}

fn starts(partitions: u32) -> Vec<Start> {
    (0..partitions).map(|partition| Start { partition, from: None, begun: false }).collect()
}

/// All entries of one partition; waits to be woken as a worker does.
fn drain(reader: &mut dyn Reader, woken: &Receiver<()>, partition: u32) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    loop {
        match reader.next(partition)? {
            Next::Entry(entry) => entries.push(entry),
            Next::Ended => return Ok(entries),
            Next::Waiting => woken.recv().expect("the reader holds the wake"),
            other => panic!("a file never gives {other:?}"),
        }
    }
}

fn cut(files: &Files) -> Vec<PartitionCut> {
    let partitions = files.partitions().expect("they are known");
    let cut = |(number, partition): (usize, Partition)| PartitionCut {
        partition: number as u32,
        name: partition.name,
        identity: partition.identity,
        position: None,
        max_time: None,
        ended: false,
        counters: Counters::default(),
        rejects_kept: RejectsKept::default(),
        idle_decisions: 0,
        gaps: 0,
        unreadable: Unreadable::default(),
    };
    partitions.into_iter().enumerate().map(cut).collect()
}

#[test]
fn partitions_are_named_below_the_pattern_and_sorted() {
    let dir = folder();
    for name in ["in/b.events", "in/a.events", "in/deep/c.events", "in/.hidden.events", "in/skip.txt"] {
        capture(&dir.path().join(name), 1);
    }
    assert_eq!(names(&files(dir.path(), "in/*.events").expect("there are two")), ["a.events", "b.events"]);
    assert_eq!(
        names(&files(dir.path(), "in/**/*.events").expect("there are three")),
        ["a.events", "b.events", "deep/c.events"]
    );
    assert_eq!(names(&files(dir.path(), "*/a.events").expect("there is one")), ["in/a.events"]);
    let here = format!("{}/./in//*.events", dir.path().display());
    assert_eq!(names(&Files::open(&here).expect("there are two")), ["a.events", "b.events"]);
    assert_eq!(names(&files(dir.path(), "in/a.events").expect("there is one")), ["a.events"]);
    assert_eq!(names(&files(dir.path(), "in/[ab].events").expect("there are two")), ["a.events", "b.events"]);
}

#[test]
fn what_is_no_source_is_refused_by_name() {
    let dir = folder();
    let refused = |pattern: &str, fault: Fault, words: &str| {
        let error = files(dir.path(), pattern).expect_err(pattern);
        assert_eq!(error.fault, fault, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused("*.avro", Fault::Configuration, "no file matches");
    refused("a[", Fault::Configuration, "is not a file pattern");
    fs::write(dir.path().join("a.json"), "{}").expect("it can be written");
    refused("*.json", Fault::Configuration, "a.json is neither");
    fs::write(dir.path().join("empty.avro"), "").expect("it can be written");
    refused("*.avro", Fault::Data, "empty.avro is empty");
    fs::write(dir.path().join("short.avro"), "Ob").expect("it can be written");
    refused("short.avro", Fault::Configuration, "short.avro is neither");
}

#[test]
fn a_container_is_known_by_its_first_bytes() {
    let dir = folder();
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flights/part-0.avro");
    fs::copy(flights, dir.path().join("flights.data")).expect("it can be copied");
    let files = files(dir.path(), "*.data").expect("it is an Avro file");
    let (wake, woken) = wake();
    let mut reader = files.open(starts(1), wake).expect("it can be opened");
    let entries = drain(reader.as_mut(), &woken, 0).expect("the file is whole");
    assert!(
        entries
            .iter()
            .all(|entry| matches!(entry.framing, Framing::Run(_)) && matches!(entry.writer, Writer::Schema(_)))
    );
}

#[test]
fn files_that_changed_under_a_resumed_run_are_refused_by_name() {
    let dir = folder();
    for name in ["a", "b", "c", "d", "e"] {
        capture(&dir.path().join(format!("{name}.events")), 10);
    }
    let before = files(dir.path(), "*.events").expect("there are five");
    let cut = cut(&before);
    before.resume(&cut).expect("nothing has changed");
    before.resume(&[]).expect("a new pipeline knows no files");
    files(dir.path(), "*.events").expect("there are five").resume(&cut).expect("nothing has changed");
    capture(&dir.path().join("a.events"), 11);
    capture(&dir.path().join("b.events"), 9);
    let mut changed = fs::read(dir.path().join("c.events")).expect("it is there");
    changed[5] ^= 1;
    fs::write(dir.path().join("c.events"), changed).expect("it can be written");
    fs::remove_file(dir.path().join("d.events")).expect("it can be removed");
    capture(&dir.path().join("f.events"), 1);
    let error = files(dir.path(), "*.events").expect("there are five").resume(&cut).expect_err("all but one differ");
    assert_eq!(error.fault, Fault::Data);
    let message = error.to_string();
    for words in [
        "a.events grew from 120 to 132 bytes",
        "b.events shrank from 120 to 108 bytes",
        "c.events changed: it was `120 bytes, xxh3 ",
        "d.events is no longer there",
        "f.events is new",
        "--fresh",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert!(!message.contains("e.events"), "{message}");
}

#[test]
fn a_long_list_of_changes_is_cut_short() {
    let dir = folder();
    for number in 0..25 {
        capture(&dir.path().join(format!("{number:02}.events")), 1);
    }
    let cut = cut(&files(dir.path(), "*.events").expect("there are many"));
    let message =
        files(dir.path(), "00.events").expect("there is one").resume(&cut).expect_err("24 are gone").to_string();
    assert!(message.contains("10.events is no longer there; 14 more"), "{message}");
}

#[test]
fn identities_of_long_files_take_both_ends() {
    let dir = folder();
    let path = dir.path().join("long.events");
    let len = crate::limits::IDENTITY_WHOLE_BYTES_MAX + 1;
    File::create(&path).and_then(|file| file.set_len(len)).expect("a sparse file can be made");
    let identity = || {
        let mut file = File::open(&path).expect("it is there");
        identity::identity(&mut file, len).expect("it can be read")
    };
    let first = identity();
    assert!(first.starts_with(&format!("{len} bytes, xxh3 of both ends ")), "{first}");
    assert_eq!(identity::length(&first), Some(len));
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(&path).expect("it is there");
    file.write_at(b"x", len - 1).expect("it can be written");
    assert_ne!(identity(), first);
    assert_eq!(identity::length("something else"), None);
}

#[test]
fn all_partitions_are_read_and_each_position_goes_on() {
    let dir = folder();
    for (name, payloads) in [("a", 9_500), ("b", 0), ("c", 1_000)] {
        capture(&dir.path().join(format!("{name}.events")), payloads);
    }
    let files = files(dir.path(), "*.events").expect("there are three");
    let (wake, woken) = wake();
    let mut reader = files.open(starts(3), Arc::clone(&wake)).expect("they can be opened");
    let a = drain(reader.as_mut(), &woken, 0).expect("the file is whole");
    assert_eq!(a.len(), 10);
    assert!(drain(reader.as_mut(), &woken, 1).expect("an empty capture file has ended").is_empty());
    assert_eq!(drain(reader.as_mut(), &woken, 2).expect("the file is whole").len(), 1);
    assert!(matches!(reader.next(2), Ok(Next::Ended)), "an end stays one");
    for (index, entry) in a.iter().enumerate() {
        let start = Start { partition: 0, from: Some(entry.position), begun: true };
        let mut reader = files.open(vec![start], Arc::clone(&wake)).expect("it can be opened there");
        let rest = drain(reader.as_mut(), &woken, 0).expect("the file is whole");
        assert_eq!(rest.len(), a.len() - index);
        assert!(rest.iter().zip(&a[index..]).all(|(one, other)| one.bytes == other.bytes && one.next == other.next));
    }
    let end = Start { partition: 0, from: Some(a[9].next), begun: true };
    let mut reader = files.open(vec![end], wake).expect("its end is a position");
    assert!(drain(reader.as_mut(), &woken, 0).expect("there is nothing more").is_empty());
}

#[test]
fn reading_ahead_is_bounded_and_a_paused_partition_holds_up_none() {
    let dir = folder();
    let entries = 20;
    for name in ["a", "b"] {
        capture(&dir.path().join(format!("{name}.events")), (entries * CAPTURE_ENTRY_EVENTS) as u64);
    }
    let files = files(dir.path(), "*.events").expect("there are two");
    let (wake, woken) = wake();
    let mut reader = files.open(starts(2), wake).expect("they can be opened");
    // Each wake is an entry or an end that was read; of the partition that is not polled there can be few.
    let (mut polled, mut read) = (0, 0);
    loop {
        read += woken.try_iter().count();
        assert!(read <= polled + 2 * QUEUED_ENTRIES_MAX + 1, "{read} read ahead of {polled} polled");
        match reader.next(1).expect("the file is whole") {
            Next::Entry(_) => polled += 1,
            Next::Ended => break,
            _ => {
                woken.recv().expect("the reader holds the wake");
                read += 1;
            }
        }
    }
    read += woken.try_iter().count();
    assert_eq!(polled, entries);
    assert!(read <= entries + 1 + QUEUED_ENTRIES_MAX, "{read} read, {entries} of them polled");
    assert_eq!(drain(reader.as_mut(), &woken, 0).expect("a paused partition goes on").len(), entries);
}

#[test]
fn dropping_the_reader_ends_its_thread() {
    let dir = folder();
    capture(&dir.path().join("a.events"), 20 * CAPTURE_ENTRY_EVENTS as u64);
    let files = files(dir.path(), "*.events").expect("there is one");
    let (wake, woken) = wake();
    let held: Weak<_> = Arc::downgrade(&wake);
    let reader = files.open(starts(1), wake).expect("it can be opened");
    drop(reader);
    while woken.recv().is_ok() {}
    assert!(held.upgrade().is_none(), "the thread has let go of its wake");
}

#[test]
fn damage_comes_after_the_entries_before_it_and_stays() {
    let dir = folder();
    let path = dir.path().join("a.events");
    capture(&path, 1_500);
    let len = fs::metadata(&path).expect("it is there").len();
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(len - 1)).expect("it can be cut");
    let files = files(dir.path(), "*.events").expect("there is one");
    let (wake, woken) = wake();
    let mut reader = files.open(starts(1), wake).expect("it can be opened");
    let error = drain(reader.as_mut(), &woken, 0).expect_err("its tail is cut off");
    assert_eq!(error.fault, Fault::Data);
    assert!(error.to_string().contains("a.events is damaged at byte"), "{error}");
    assert!(reader.next(0).is_err());
    assert_eq!(reader.next(7).expect_err("it was not opened").fault, Fault::Bug);
}

#[test]
fn a_bad_start_is_an_error_at_once() {
    let dir = folder();
    capture(&dir.path().join("a.events"), 1);
    let files = files(dir.path(), "*.events").expect("there is one");
    let open = |partition, from| {
        files.open(vec![Start { partition, from, begun: false }], wake().0).err().map(|error| error.fault)
    };
    assert_eq!(open(0, Some(Position(13, 1))), Some(Fault::Data));
    assert_eq!(open(1, None), Some(Fault::Bug));
    assert_eq!(open(0, Some(Position(12, 1))), None);
}
