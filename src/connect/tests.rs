//! Each failpoint ends a real process, the way it would end in production; what is left on disk is looked at from outside.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, mpsc};
use std::{env, fs};

use super::files::{FileSink, FolderStore};
use crate::aggregate::{Column, ColumnType, FinishedRow, Value};
use crate::dataflow::edges::{Sink, Wake, Write};
use crate::error::Result;
use crate::snapshot::{Manifest, Store};

const FOLDER: &str = "MINUET_TEST_FOLDER";
const MANIFEST: &str = "p/manifests/1.json";

/// Writes one file of rows; the child's work and, without a failpoint, the replay's.
fn write_rows(dir: &Path) -> Result<()> {
    let column = Column { name: "window_start".to_owned(), kind: ColumnType::DateTime, nullable: false };
    let count = Column { name: "count".to_owned(), kind: ColumnType::UInt64, nullable: false };
    let sink = FileSink::with_columns(dir, &[column, count]);
    sink.prepare(&Manifest { commit: Some(0), ..Manifest::default() }, false)?;
    let (sender, woken) = mpsc::channel();
    let wake: Wake = Arc::new(move || {
        let _ = sender.send(());
    });
    let mut outlet = sink.open(0, wake)?;
    let row = FinishedRow { minute: 1, values: vec![Value::Unsigned(5)], overflows: 0 };
    outlet.submit(0, Write::Rows { commit: 1, lane: 0, blocks: vec![vec![row]] });
    loop {
        if let Some((_, answer)) = outlet.poll() {
            return answer;
        }
        woken.recv().expect("the outlet holds the wake");
    }
}

/// Runs as a test of its own in the child; in the parent's run it has nothing to do.
#[test]
fn child() {
    let Some(dir) = env::var_os(FOLDER) else { return };
    let scenario = fail::FailScenario::setup();
    let dir = Path::new(&dir);
    write_rows(dir).expect("the sink can be written");
    let store = FolderStore::open(dir).expect("the store can be opened");
    store.put_if_absent(MANIFEST, b"mine").expect("the store can be written");
    scenario.teardown();
}

fn run_child(dir: &Path, failpoint: &str) -> ExitStatus {
    let mut command = Command::new(env::current_exe().expect("a test knows its binary"));
    command
        .args(["--exact", "connect::tests::child"])
        .env(FOLDER, dir)
        .env("FAILPOINTS", format!("{failpoint}=return"));
    command.output().expect("the child can be started").status
}

fn files(folder: &Path) -> (usize, usize) {
    let names = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it can be listed").file_name());
    let (temporary, named): (Vec<_>, Vec<_>) = names.partition(|name| name.to_string_lossy().starts_with(".tmp-"));
    (named.len(), temporary.len())
}

#[test]
fn a_run_killed_at_any_step_leaves_whole_files_and_can_be_replayed() {
    for (step, left) in [("rows-tmp-written", (0, 1)), ("rows-synced", (0, 1)), ("rows-renamed", (1, 0))] {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        assert!(!run_child(dir.path(), step).success(), "{step} ends the process");
        let rows = dir.path().join("rows");
        assert_eq!(files(&rows), left, "{step}");
        write_rows(dir.path()).expect("the replay finds nothing in its way");
        assert_eq!(files(&rows), (1, 0), "{step}");
        let text = fs::read_to_string(rows.join("0000000001-000.jsonl")).expect("it is there");
        assert_eq!(text, "{\"window_start\":\"1970-01-01 00:01:00\",\"count\":5}\n");
    }
}

#[test]
fn a_manifest_that_was_linked_is_there_although_nobody_was_told() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    assert!(!run_child(dir.path(), "manifest-linked").success());
    let store = FolderStore::open(dir.path()).expect("the store can be opened");
    assert!(!store.put_if_absent(MANIFEST, b"mine").expect("the store can be written"));
    assert_eq!(store.get(MANIFEST).expect("it can be read").as_deref(), Some(&b"mine"[..]));
    assert!(run_child(dir.path(), "no-such-step").success());
}
