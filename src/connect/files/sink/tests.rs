use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::aggregate::{ColumnType, FinishedRow, Value};
use crate::dataflow::edges::{LedgerLine, MinuteLine};
use crate::error::Fault;
use crate::snapshot::{Counters, PartitionCut, RejectsKept, Unreadable};

/// The manifest of a pipeline at a commit.
fn at(commit: Option<Epoch>) -> Manifest {
    Manifest { commit, ..Manifest::default() }
}

fn columns() -> Vec<Column> {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, nullable: false };
    vec![
        column("window_start", ColumnType::DateTime),
        column("sensor", ColumnType::String),
        column("count", ColumnType::UInt64),
    ]
}

fn row(minute: u64, source: &str, count: u64) -> FinishedRow {
    FinishedRow { minute, values: vec![Value::Text(source.to_owned()), Value::Unsigned(count)], overflows: 0 }
}

fn rows(blocks: Vec<Vec<FinishedRow>>) -> Write {
    Write::Rows { commit: 29_333_341, lane: 2, blocks }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Writes through an outlet and waits for the answer.
fn write(run: &Prepared, job: Write) -> Result<()> {
    let (sender, woken) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    let mut outlet = run.sink.open(0, wake)?;
    outlet.submit(1, job);
    loop {
        if let Some((ticket, answer)) = outlet.poll() {
            assert_eq!(ticket, 1);
            return answer;
        }
        woken.recv().expect("the outlet holds the wake");
    }
}

/// A folder that a run has made ready.
struct Prepared {
    dir: tempfile::TempDir,
    sink: FileSink,
}

impl Prepared {
    fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn prepared() -> Prepared {
    let dir = folder();
    let sink = FileSink::with_columns(dir.path(), &columns());
    sink.prepare(&at(None), false).expect("an empty folder can be used");
    Prepared { dir, sink }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it can be listed");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).expect("the file is there")
}

#[test]
fn rows_of_a_commit_and_lane_are_one_file_and_a_replay_replaces_it() {
    let dir = prepared();
    let job = rows(vec![vec![row(29_333_340, "a", 1), row(29_333_340, "b", 2)], vec![], vec![row(29_333_341, "a", 3)]]);
    let golden = concat!(
        "{\"window_start\":\"2025-10-09 09:00:00\",\"sensor\":\"a\",\"count\":1}\n",
        "{\"window_start\":\"2025-10-09 09:00:00\",\"sensor\":\"b\",\"count\":2}\n",
        "{\"window_start\":\"2025-10-09 09:01:00\",\"sensor\":\"a\",\"count\":3}\n",
    );
    write(&dir, rows(vec![vec![row(29_333_340, "stale", 1)]])).expect("it can be written");
    for _ in 0..2 {
        write(&dir, job.clone()).expect("it can be written");
        assert_eq!(names(&dir.path().join("rows")), ["0029333341-002.jsonl"]);
        assert_eq!(text(dir.path(), "rows/0029333341-002.jsonl"), golden);
    }
}

#[test]
fn nothing_to_say_is_no_file() {
    let dir = prepared();
    write(&dir, rows(vec![vec![], vec![]])).expect("nothing is fine");
    write(&dir, Write::Rejects { commit: 1, partition: 1, rejects: vec![] }).expect("nothing is fine");
    write(&dir, Write::Ledger { commit: 1, attempt: 1, lines: vec![], minutes: vec![] }).expect("nothing is fine");
    for kind in [ROWS, REJECTS, LEDGER] {
        assert!(names(&dir.path().join(kind.folder)).is_empty());
    }
}

#[test]
fn rejects_and_ledger_are_lines_of_json() {
    let dir = prepared();
    let reject = Reject {
        reason: "malformed",
        detail: "3 bytes \"left\"".to_owned(),
        partition: "part-0.avro".to_owned(),
        position: Position(77, 5),
        index: 9,
        payload: vec![0, 255, 16],
    };
    write(&dir, Write::Rejects { commit: 12, partition: 3, rejects: vec![reject] }).expect("it can be written");
    assert_eq!(
        text(dir.path(), "rejects/0000000012-00003.jsonl"),
        "{\"reason\":\"malformed\",\"detail\":\"3 bytes \\\"left\\\"\",\"partition\":\"part-0.avro\",\"position\":[77,5],\
         \"index\":9,\"payload\":\"AP8Q\"}\n"
    );
    let counters = Counters { read: 10, folded: 6, malformed: 1, late: 2, too_far_ahead: 1, nulls: 4, non_finite: 5 };
    let cut = PartitionCut {
        partition: 3,
        name: "part-0.avro".to_owned(),
        identity: String::new(),
        position: Some(Position(99, 6)),
        max_time: None,
        ended: false,
        counters,
        rejects_kept: RejectsKept::default(),
        idle_decisions: 7,
        gaps: 0,
        unreadable: Unreadable::default(),
    };
    let line = LedgerLine { cut, from: None, counters };
    let minute = MinuteLine { minute: 29_333_340, lane: 3, events: 6, rows: 2, counted: 7, hash: 0xbeef };
    write(&dir, Write::Ledger { commit: 12, attempt: 2, lines: vec![line], minutes: vec![minute] })
        .expect("it can be written");
    assert_eq!(
        text(dir.path(), "ledger/0000000012.jsonl"),
        "{\"commit\":12,\"attempt\":2,\"partition\":\"part-0.avro\",\"from\":null,\"to\":[99,6],\"read\":10,\"folded\":6,\
         \"malformed\":1,\"late\":2,\"too_far_ahead\":1,\"nulls\":4,\"non_finite\":5,\"idle_decisions\":7}\n\
         {\"commit\":12,\"attempt\":2,\"window_start\":\"2025-10-09 09:00:00\",\"lane\":3,\"events\":6,\"rows\":2,\
         \"counted\":7,\"hash\":\"000000000000beef\"}\n"
    );
}

#[test]
fn rows_that_the_state_does_not_know_are_refused() {
    let dir = folder();
    let sink = FileSink::with_columns(dir.path().join("new"), &columns());
    sink.check(None).expect("there are no rows yet");
    assert!(!dir.path().join("new").exists(), "a check changes nothing");
    let dir = prepared();
    let sink = FileSink::with_columns(dir.path(), &columns());
    fs::write(dir.path().join("rows/.tmp-0123"), "half a li").expect("it can be written");
    sink.check(None).expect("half a file is no rows");
    write(&dir, rows(vec![vec![row(1, "a", 1)]])).expect("it can be written");
    sink.check(Some(&at(Some(0)))).expect("the state knows the pipeline");
    let error = sink.check(None).expect_err("it does not");
    assert_eq!(error.fault, Fault::Configuration);
    let message = error.to_string();
    assert!(message.contains("0029333341-002.jsonl"), "{message}");
    assert!(message.contains("name another folder, or the --state"), "{message}");
}

#[test]
fn what_is_in_doubt_goes_away_before_a_run_and_nothing_else() {
    let dir = prepared();
    let all = |name: &str| [ROWS, REJECTS, LEDGER].map(|kind| dir.path().join(kind.folder).join(name));
    let names =
        ["0000000007-000.jsonl", "0000000008-000.jsonl", "12345678901-000.jsonl", ".tmp-0123", "9-notes.jsonl", "9"];
    for path in names.iter().flat_map(|name| all(name)) {
        fs::write(path, "{}\n").expect("it can be written");
    }
    fs::write(dir.path().join("ledger/0000000009.jsonl"), "{}\n").expect("it can be written");
    FileSink::with_columns(dir.path(), &columns()).prepare(&at(Some(7)), false).expect("it can be made ready");
    for kind in [ROWS, REJECTS, LEDGER] {
        assert_eq!(self::names(&dir.path().join(kind.folder)), ["0000000007-000.jsonl", "9", "9-notes.jsonl"]);
    }
    FileSink::with_columns(dir.path(), &columns()).prepare(&at(None), false).expect("it can be made ready");
    assert_eq!(self::names(&dir.path().join("rows")), ["9", "9-notes.jsonl"]);
}

#[test]
fn what_fails_is_an_answer_and_leaves_no_half_file() {
    let dir = prepared();
    let odd = FinishedRow { minute: 1, values: vec![], overflows: 0 };
    let error = write(&dir, rows(vec![vec![row(1, "a", 1), odd]])).expect_err("it has no values");
    assert_eq!(error.fault, Fault::Bug);
    fs::create_dir(dir.path().join("rows/0029333341-002.jsonl")).expect("a folder can be in the way");
    let error = write(&dir, rows(vec![vec![row(1, "a", 1)]])).expect_err("a folder is in the way");
    assert_eq!(error.fault, Fault::Outside);
    assert_eq!(names(&dir.path().join("rows")), ["0029333341-002.jsonl"]);
    fs::remove_dir_all(dir.path().join("rows")).expect("it can be removed");
    let error = write(&dir, rows(vec![vec![row(1, "a", 1)]])).expect_err("the folder is gone");
    assert_eq!(error.fault, Fault::Outside);
    fs::write(dir.path().join("rows"), "").expect("a file can be in the way");
    let error = FileSink::with_columns(dir.path(), &columns()).prepare(&at(None), false).expect_err("it is in the way");
    assert_eq!(error.fault, Fault::Outside);
}

/// `/dev/full` fails every write with "no space left on device", as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let lines = RowLines::new(&columns());
    let filled = fill_file(&mut full, |out| (0..10_000).try_for_each(|minute| lines.write(&row(minute, "a", 1), out)));
    assert_eq!(filled.expect_err("nothing fits").kind(), io::ErrorKind::StorageFull);
    let filled = fill_file(&mut full, |out| lines.write(&row(1, "less than a buffer", 1), out));
    assert_eq!(filled.expect_err("nothing fits").kind(), io::ErrorKind::StorageFull);
}
