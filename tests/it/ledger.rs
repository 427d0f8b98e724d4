//! `minuet ledger` on what real runs leave: all of it adds up; whatever is taken away, doubled or changed is found, and where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::harness::{Ended, Pipeline, dataflow, files, generate, run, scratch};

fn check(out: &Path, more: &[&str]) -> Ended {
    let sink = format!("files:{}", out.display());
    run(["ledger", "--sink", &sink].iter().chain(more))
}

/// A finished run of two workers, and its summary.
fn finished(place: &Path) -> (Pipeline, BTreeMap<String, u64>) {
    let input = place.join("in");
    let settings = [
        ("seed", "61"),
        ("events", "20000"),
        ("sources", "60"),
        ("rate", "40"),
        ("partitions", "3"),
        ("out-of-order", "0.2"),
        ("late", "0.02"),
        ("malformed", "0.01"),
    ];
    generate(&dataflow("sensors"), &input, &settings);
    let pipeline = Pipeline::new(&dataflow("sensors"), input.join("*").display().to_string(), place);
    let summary = pipeline.run(2).demand(0).summary();
    (pipeline, summary)
}

#[test]
fn the_ledger_of_a_run_adds_up_to_its_summary() {
    let place = scratch();
    let (pipeline, summary) = finished(place.path());
    let ended = check(&pipeline.out, &["--json"]).demand(0);
    let report: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    for name in ["read", "folded", "malformed", "late", "too_far_ahead"] {
        assert_eq!(report["counters"][name], summary[name], "{name}");
    }
    assert_eq!((&report["rows"], &report["events"]), (&summary["rows"].into(), &summary["folded"].into()));
    assert_eq!((&report["open"], &report["partitions"], &report["problems"]), (&0.into(), &3.into(), &0.into()));
    assert!(report["minutes"].as_u64() > Some(5) && report["rejects"].as_u64() > Some(100), "{report}");
    let told = check(&pipeline.out, &[]).demand(0).stdout;
    assert!(told.contains("everything adds up"), "{told}");

    let rows = pipeline.rows();
    let start = |row: &String| {
        let row: Value = serde_json::from_str(row).expect("a row is JSON");
        row["window_start"].as_str().expect("it is a text").to_owned()
    };
    let (from, to) = (start(&rows[rows.len() / 3]), start(&rows[rows.len() / 2]));
    let ended = check(&pipeline.out, &["--json", "--from", &from, "--to", &to]).demand(0);
    let report: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let within = rows.iter().map(start).filter(|start| from <= *start && *start < to).count();
    assert!(within > 0);
    assert_eq!((&report["rows"], &report["open"]), (&within.into(), &Value::Null));
    check(&pipeline.out, &["--from", &to, "--to", &from]).demand(78).demand_words(&["--from must be before --to"]);
    check(&pipeline.out, &["--from", "yesterday"]).demand(2).demand_words(&["2026-01-31 12:00"]);
    check(place.path(), &[]).demand(78).demand_words(&["columns.json"]);
}

/// A file that is about the middle of those of a kind.
fn middle(out: &Path, kind: &str) -> PathBuf {
    let all = files(&out.join(kind), &[".jsonl"]);
    all.get(all.len() / 2).unwrap_or_else(|| panic!("there are no {kind}")).clone()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).expect("it is there").lines().map(str::to_owned).collect()
}

/// Changes a file for as long as `look` takes.
fn with_file(path: &Path, changed: Option<Vec<String>>, look: impl FnOnce()) {
    let before = fs::read(path).expect("it is there");
    match changed {
        Some(lines) => fs::write(path, lines.join("\n") + "\n").expect("it can be written"),
        None => fs::remove_file(path).expect("it is there"),
    }
    look();
    fs::write(path, before).expect("it can be written");
}

#[test]
fn whatever_is_changed_is_found_and_named() {
    let place = scratch();
    let (pipeline, _) = finished(place.path());
    let found = |what: &str, words: &[&str]| {
        let told = check(&pipeline.out, &[]).demand(65).stdout;
        for word in words {
            assert!(told.contains(word), "{what}: {word:?} is not in\n{told}");
        }
    };
    let rows = middle(&pipeline.out, "rows");
    let written = lines(&rows);
    let row: Value = serde_json::from_str(&written[0]).expect("a row is JSON");
    let minute = format!("minute {}, lane", row["window_start"].as_str().expect("it is a text"));
    with_file(&rows, Some(written[1..].to_vec()), || found("a row gone", &[&minute, "1 rows are missing"]));
    let doubled = [&written[..1], &written].concat();
    with_file(&rows, Some(doubled), || found("a row doubled", &[&minute, "1 rows too many"]));
    let count = format!("\"count\":{}", row["count"]);
    let mut changed = written.clone();
    changed[0] = changed[0].replacen(&count, "\"count\":999", 1);
    with_file(&rows, Some(changed), || found("a count changed", &[&minute, "the counts of its rows come to"]));
    let source = row.as_object().expect("it is an object").values().nth(1).expect("it has a source");
    let mut changed = written;
    changed[0] = changed[0].replacen(&source.to_string(), "\"another\"", 1);
    with_file(&rows, Some(changed), || found("a source changed", &[&minute, "the content of its rows"]));
    with_file(&rows, None, || found("a file of rows gone", &[&minute, "rows are missing"]));

    let rejects = middle(&pipeline.out, "rejects");
    let written = lines(&rejects);
    let doubled = [&written[..1], &written].concat();
    with_file(&rejects, Some(doubled), || found("a reject doubled", &["the reject of event", "stored 2 times"]));

    let ledger = middle(&pipeline.out, "ledger");
    let written = lines(&ledger);
    let commit = serde_json::from_str::<Value>(&written[0]).expect("a line is JSON")["commit"].clone();
    let commit = format!("commit {commit}, ");
    with_file(&ledger, None, || found("a ledger file gone", &["a hole", "have no line in the ledger"]));
    let last = written.len() - 1;
    with_file(&ledger, Some(written[..last].to_vec()), || {
        found("a line gone", &[&commit, "have no line in the ledger"]);
    });
    for (name, words) in [("read", " folded + "), ("from", "it begins at"), ("events", " events were folded")] {
        let at = written.iter().position(|line| line.contains(&format!("\"{name}\":"))).expect("a line has it");
        let mut line: Value = serde_json::from_str(&written[at]).expect("a line is JSON");
        line[name] = if name == "from" { serde_json::json!([1, 1]) } else { 7.into() };
        let mut changed = written.clone();
        changed[at] = line.to_string();
        with_file(&ledger, Some(changed), || found(name, &[&commit, words]));
    }
    check(&pipeline.out, &[]).demand(0);
}

#[test]
fn gaps_that_were_agreed_to_are_told_and_are_no_fault() {
    let place = scratch();
    let (pipeline, _) = finished(place.path());
    let ledgers = files(&pipeline.out.join("ledger"), &[".jsonl"]);
    let mut told = None;
    for path in &ledgers[ledgers.len() / 2..] {
        let mut all: Vec<Value> = lines(path).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let line = all.iter_mut().find(|line| line.get("partition").is_some()).expect("a line of a partition");
        line["gaps"] = 1.into();
        let at = |position: &Value| format!("{}:{}", position[0], position[1]);
        told.get_or_insert(format!(
            "commit {}, {}: a gap between {} and {} was agreed to",
            line["commit"],
            line["partition"].as_str().unwrap(),
            at(&line["from"]),
            at(&line["to"])
        ));
        fs::write(path, all.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
    let ended = check(&pipeline.out, &[]).demand(0).stdout;
    assert!(ended.contains(&told.unwrap()) && ended.ends_with("what was read adds up\n"), "{ended}");
    let report: Value = serde_json::from_str(&check(&pipeline.out, &["--json"]).demand(0).stdout).unwrap();
    assert_eq!((&report["gaps"], report["agreed"].as_array().map(Vec::len)), (&1.into(), Some(1)));
}
