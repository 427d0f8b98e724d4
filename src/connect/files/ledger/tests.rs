use super::*;
use crate::aggregate::{ColumnType, FinishedRow, Value};
use crate::connect::files::FileSink;
use crate::dataflow::edges::{Reject, Sink, Wake, Write};
use crate::ledger::check;
use crate::snapshot::{Manifest, PartitionCut};
use crate::time::Minute;
use std::sync::{Arc, mpsc};

fn columns() -> Vec<Column> {
    let column = |name: &str, kind, nullable| Column { name: name.to_owned(), kind, nullable };
    vec![
        column("window_start", ColumnType::DateTime, false),
        column("shop", ColumnType::String, false),
        column("count", ColumnType::UInt64, false),
        column("low", ColumnType::Float64, true),
    ]
}

fn row(minute: Minute, source: &str, count: u64) -> FinishedRow {
    let values = vec![Value::Text(source.to_owned()), Value::Unsigned(count), Value::Float(0.1)];
    FinishedRow { minute, values, overflows: 0 }
}

const FIRST: Minute = 29_333_340;

/// A folder with one commit: rows of two minutes in lane 2, and a reject.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let sink = FileSink::with_columns(dir.path(), &columns());
    sink.prepare(&Manifest::default(), false).expect("it is empty");
    let (sender, woken) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    let mut outlet = sink.open(0, wake).expect("it is ready");
    let rows = vec![row(FIRST, "a", 1), row(FIRST, "b", 2), row(FIRST + 1, "a", 3)];
    let mut minutes = Vec::new();
    for minute in [FIRST, FIRST + 1] {
        let mut line = MinuteLine { minute, lane: 2, ..MinuteLine::default() };
        for row in rows.iter().filter(|row| row.minute == minute) {
            line.events += row.count();
            line.rows += 1;
            line.counted += row.count();
            let hash = row_binary::hash(&columns(), row, &mut Vec::new()).expect("it fits");
            line.hash = line.hash.wrapping_add(hash);
        }
        minutes.push(line);
    }
    let counters = Counters { read: 8, folded: 7, malformed: 1, ..Counters::default() };
    let position = Some(Position(99, 6));
    let cut = PartitionCut { position, counters, ..PartitionCut::beginning(0, "part-0", "") };
    let (commit, partition) = (FIRST + 1, "part-0".to_owned());
    let reject = Reject {
        reason: "malformed",
        detail: String::new(),
        partition,
        position: Position(1, 0),
        index: 0,
        payload: vec![],
    };
    let writes = [
        Write::Rows { commit, lane: 2, blocks: vec![rows] },
        Write::Rejects { commit, partition: 0, rejects: vec![reject] },
        Write::Ledger { commit, attempt: 1, lines: vec![LedgerLine { cut, from: None, counters }], minutes },
    ];
    for (ticket, write) in (0..).zip(writes) {
        outlet.submit(ticket, write);
        while outlet.poll().map(|(_, answer)| answer.expect("it can be written")).is_none() {
            woken.recv().expect("the outlet holds the wake");
        }
    }
    dir
}

/// What a check says: what does not add up, or what cannot be read.
fn said(dir: &Path) -> Vec<String> {
    match FolderLedger::open(dir).and_then(|ledger| check(&ledger, Range::ALL)) {
        Ok(report) => report.findings.iter().map(|it| format!("{}: {}", it.place, it.problem)).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn what_was_written_adds_up() {
    let dir = folder();
    assert_eq!(said(dir.path()), Vec::<String>::new());
    let ledger = FolderLedger::open(dir.path()).expect("it is there");
    let report = check(&ledger, Range { from: FIRST + 1, to: FIRST + 2 }).expect("it can be read");
    assert_eq!((report.minutes, report.rows, report.counted, report.counters.read), (1, 1, 3, 8));
    let report = check(&ledger, Range { from: FIRST, to: FIRST + 1 }).expect("it can be read");
    assert_eq!((report.minutes, report.rows, report.counted, report.counters.read), (1, 2, 3, 0));
    assert!(report.balances());
}

#[test]
fn a_change_of_a_file_is_found() {
    let place = "commit 29333341, minute 2025-10-09 09:00:00, lane 2";
    let rows = "rows/0029333341-002.jsonl";
    let ledger = "ledger/0029333341.jsonl";
    let changes = [
        (rows, "\"count\":2,\"low\":0.1", "\"count\":2,\"low\":0.10000000000000002", format!("{place}: the content")),
        (rows, "\"count\":2", "\"count\":1", format!("{place}: the counts of its rows come to 2")),
        (rows, "\"shop\":\"b\"", "\"shop\":\"c\"", format!("{place}: the content")),
        (rows, "\"shop\":\"b\"", "\"shop\":b", "line 2: column shop cannot hold b".to_owned()),
        (ledger, "\"events\":3,\"rows\":2", "\"events\":4,\"rows\":2", format!("{place}: 4 events were folded")),
        (ledger, "\"folded\":7", "\"folded\":6", "commit 29333341, part-0: 8 read".to_owned()),
        (ledger, "\"lane\":2", "\"lane\":3", "have no line in the ledger".to_owned()),
        (ledger, "\"commit\":29333341", "\"commit\":29333340", "its file is of commit 29333341".to_owned()),
        (ledger, "\"attempt\"", "\"attempts\"", "line 1: it is no line of a ledger".to_owned()),
        (ledger, "09:00:00", "09:00:30", "is no minute".to_owned()),
        ("rejects/0029333341-00000.jsonl", "malformed", "late", "1 rejects are late".to_owned()),
        ("rejects/0029333341-00000.jsonl", "malformed", "lost", "line 1: \"lost\" is no reason".to_owned()),
    ];
    for (file, from, to, expected) in changes {
        let dir = folder();
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).expect("it can be written");
        let said = said(dir.path());
        assert!(said.iter().any(|what| what.contains(&expected)), "{from} to {to} gives {said:?}");
    }
}

#[test]
fn a_file_that_is_gone_or_half_there_is_found() {
    for (file, expected) in [
        ("rows/0029333341-002.jsonl", "2 rows are missing"),
        ("ledger/0029333341.jsonl", "2 rows that count 3 have no line in the ledger"),
        ("rejects/0029333341-00000.jsonl", "rejects are missing"),
        ("columns.json", "has no columns.json"),
    ] {
        let dir = folder();
        fs::remove_file(dir.path().join(file)).expect("it is there");
        let said = said(dir.path());
        assert!(said.iter().any(|what| what.contains(expected)), "{file}: {said:?}");
    }
    let dir = folder();
    let path = dir.path().join("rows/0029333341-002.jsonl");
    let text = fs::read_to_string(&path).expect("it is there");
    fs::write(&path, text.trim_end()).expect("it can be written");
    assert!(said(dir.path())[0].contains("line 3: it ends in the middle"));
    fs::write(&path, b"\xff\n").expect("it can be written");
    assert!(said(dir.path())[0].contains("line 1: it is not UTF-8"));
}
