//! Files and streams: what is read back is what was generated.

use std::fs;
use std::path::Path;

use super::*;
use crate::connect::generate::{Format, Summary, to_folder, to_stream};
use crate::error::Fault;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
        frames.push(frame.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

fn write(generator: &Generator, folder: &Path, format: Format) -> Summary {
    to_folder(generator, folder, format, false, 3).unwrap()
}

#[test]
fn capture_files_hold_the_payloads() {
    let generator = sensors(Spec { malformed: 0.2, partitions: 5, ..small(7_003) });
    let folder = tempfile::tempdir().unwrap();
    let summary = write(&generator, folder.path(), Format::Capture);
    assert_eq!(summary.tally.events, 7_003);
    assert_eq!(summary.files.len(), 5);
    let mut size = 0;
    for (partition, file) in (0..).zip(&summary.files) {
        assert_eq!(file.file_name().unwrap().to_str().unwrap(), format!("part-{partition:05}.events"));
        let bytes = fs::read(file).unwrap();
        size += bytes.len() as u64;
        assert_eq!(frames(&bytes), payloads(&generator, partition));
    }
    assert_eq!((summary.bytes_written, names(folder.path()).len()), (size, 5));
    assert_eq!(summary.bytes_written, summary.tally.bytes + 4 * summary.tally.events);
}

#[test]
fn avro_files_are_read_by_apache_avro() {
    let generator = everything(Spec { nulls: 0.2, ..small(3_500) });
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let files: Vec<_> = folders.iter().map(|folder| write(&generator, folder.path(), Format::Avro).files).collect();
    for (partition, file) in (0..).zip(&files[0]) {
        let bytes = fs::read(file).unwrap();
        assert_eq!(bytes, fs::read(&files[1][partition as usize]).unwrap(), "one seed, one file");
        let values: Vec<_> = apache_avro::Reader::new(bytes.as_slice()).unwrap().map(Result::unwrap).collect();
        let expected: Vec<_> =
            payloads(&generator, partition).iter().map(|p| decode(generator.schema(), p).unwrap()).collect();
        assert_eq!(values, expected);
    }
}

#[test]
fn a_container_without_events_is_one_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let summary = write(&sensors(small(0)), folder.path(), Format::Avro);
    let bytes = fs::read(&summary.files[0]).unwrap();
    assert_eq!(apache_avro::Reader::new(bytes.as_slice()).unwrap().count(), 0);
}

#[test]
fn earlier_files_are_refused_and_replaced_by_force() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("part-00000.avro"), "kept").unwrap();
    fs::write(folder.path().join("part-00009.events"), "old").unwrap();
    fs::write(folder.path().join("notes.events"), "kept").unwrap();
    let generator = sensors(small(10));
    let error = to_folder(&generator, folder.path(), Format::Capture, false, 1).unwrap_err();
    assert_eq!(error.fault, Fault::Configuration);
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(names(folder.path()).len(), 3);
    to_folder(&generator, folder.path(), Format::Capture, true, 1).unwrap();
    let expected = ["notes.events", "part-00000.avro", "part-00000.events", "part-00001.events"];
    assert_eq!(names(folder.path()), expected);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = to_folder(&sensors(small(10)), &file, Format::Capture, false, 1).unwrap_err();
    assert_eq!(error.fault, Fault::Outside);
}

#[test]
fn nothing_is_left_of_a_failed_attempt() {
    let folder = tempfile::tempdir().unwrap();
    // A folder stands where the second part must go.
    fs::create_dir(folder.path().join(".part-00001.events.tmp")).unwrap();
    let error = to_folder(&sensors(small(10)), folder.path(), Format::Capture, false, 2).unwrap_err();
    assert!(error.to_string().contains("part-00001"), "{error}");
    assert_eq!(names(folder.path()), [".part-00001.events.tmp"]);
}

#[test]
fn only_capture_files_take_malformed_payloads() {
    let generator = sensors(Spec { malformed: 0.1, ..small(10) });
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Avro, Format::Json] {
        let error = to_folder(&generator, folder.path(), format, false, 1).unwrap_err();
        assert!(error.to_string().contains("malformed"), "{error}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_stream_takes_an_entry_of_each_partition_in_turn() {
    let generator = sensors(small(4_500));
    let mut out = Vec::new();
    let summary = to_stream(&generator, &mut out, Format::Capture).unwrap();
    assert_eq!((summary.tally.events, summary.bytes_written), (4_500, out.len() as u64));
    let (first, second) = (payloads(&generator, 0), payloads(&generator, 1));
    let expected: Vec<_> = [&first[..1_000], &second[..1_000], &first[1_000..2_000], &second[1_000..2_000]].concat();
    let found = frames(&out);
    assert_eq!(found[..4_000], expected);
    assert_eq!(found.len(), 4_500);
    assert!(to_stream(&generator, &mut out, Format::Avro).is_err());
}

#[test]
fn json_lines_can_be_read() {
    let generator = everything(Spec { nulls: 0.2, non_finite: 0.2, ..small(300) });
    let mut out = Vec::new();
    to_stream(&generator, &mut out, Format::Json).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 300);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["head"]["who"].as_str().unwrap().starts_with("source-"));
        assert!(value["head"]["when"].is_i64());
        assert!((0..1_000_000).contains(&value["rate"].as_i64().unwrap()));
        assert!(value["single"].is_f64() || ["NaN", "inf", "-inf"].contains(&value["single"].as_str().unwrap()));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_stream() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let summary = to_stream(&sensors(small(10)), &mut Closed, Format::Capture).unwrap();
    assert_eq!(summary.tally.events, 0);
}
