//! What minuet refuses, by name and with a way out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::harness::{Dice, Pipeline, Running, dataflow, demand_rows, files, generate, minuet, scratch};

const DATA: i32 = 65;
const SUPERSEDED: i32 = 76;
const CONFIGURATION: i32 = 78;

/// A small pipeline of capture files below a folder of its own.
fn small(place: &TempDir) -> (Pipeline, PathBuf) {
    sized(place, "20000", "50")
}

fn sized(place: &TempDir, events: &str, rate: &str) -> (Pipeline, PathBuf) {
    let input = place.path().join("in");
    let settings = [("seed", "31"), ("events", events), ("sources", "100"), ("rate", rate), ("partitions", "3")];
    generate(&dataflow("sensors"), &input, &settings);
    let source = input.join("*").display().to_string();
    (Pipeline::new(&dataflow("sensors"), source, place.path()), input)
}

/// A copy of a shipped dataflow, under the same name, to be changed.
fn copied(name: &str, place: &Path) -> PathBuf {
    let copy = place.join("dataflows").join(name);
    fs::create_dir_all(&copy).unwrap();
    for file in files(&dataflow(name), &["dataflow.toml", ".avsc", ".sql"]) {
        fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
    }
    copy
}

fn replaced(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from:?} is not in {}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

fn flipped(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x01;
    fs::write(file, bytes).unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Starts a run and kills it after its third manifest, so that there is an open state.
fn interrupted(pipeline: &Pipeline) {
    let mut running = pipeline.start(2);
    running.until("some manifests", || pipeline.manifests().len() >= 3 && !pipeline.parts().is_empty());
    running.kill();
    assert!(running.end().was_killed(), "the run was over before it could be interrupted; give it more events");
}

#[test]
fn a_finished_pipeline_has_nothing_more_to_do() {
    let place = scratch();
    let (pipeline, _) = small(&place);
    let first = pipeline.run(2).demand(0).summary();
    let rows = pipeline.rows();
    let second = pipeline.run(3).demand(0).summary();
    assert_eq!(first, second);
    demand_rows(&pipeline.rows(), &rows, "after a second run");
}

#[test]
fn a_file_that_grew_is_refused_by_name() {
    let place = scratch();
    let (pipeline, input) = small(&place);
    pipeline.run(2).demand(0);
    let grown = files(&input, &[""]).remove(1);
    let mut bytes = fs::read(&grown).unwrap();
    bytes.extend_from_slice(&[0, 0, 0, 0]);
    fs::write(&grown, bytes).unwrap();
    pipeline.run(2).demand(DATA).demand_words(&[&name(&grown)]);
}

#[test]
fn a_file_that_changed_is_refused_by_name() {
    let place = scratch();
    let (pipeline, input) = small(&place);
    pipeline.run(1).demand(0);
    let changed = files(&input, &[""]).remove(2);
    flipped(&changed);
    pipeline.run(1).demand(DATA).demand_words(&[&name(&changed)]);
}

#[test]
fn a_file_that_went_is_refused_by_name() {
    let place = scratch();
    let (pipeline, input) = small(&place);
    pipeline.run(1).demand(0);
    let gone = files(&input, &[""]).remove(0);
    fs::remove_file(&gone).unwrap();
    pipeline.run(1).demand(DATA).demand_words(&[&name(&gone)]);
}

#[test]
fn a_damaged_newest_manifest_is_refused_and_an_older_one_can_be_taken() {
    let place = scratch();
    let (pipeline, _) = sized(&place, "300000", "100");
    let calm =
        Pipeline { out: place.path().join("calm-out"), state: place.path().join("calm-state"), ..pipeline.clone() };
    let expected = calm.run(1).demand(0).summary();
    interrupted(&pipeline);
    let manifests = pipeline.manifests();
    let (newest, older) = (manifests.last().unwrap(), &manifests[manifests.len() - 2]);
    flipped(newest);
    pipeline.run(2).demand(DATA).demand_words(&[&name(newest), "--from"]);
    let sequence: u64 = older.file_stem().unwrap().to_string_lossy().parse().expect("manifests are named by number");
    let summary = pipeline.run_with(3, &["--from", &sequence.to_string()]).demand(0).summary();
    assert_eq!(summary, expected);
    demand_rows(&pipeline.rows(), &calm.rows(), "from an older manifest");
}

#[test]
fn a_damaged_part_is_refused_by_name() {
    let place = scratch();
    let (pipeline, _) = sized(&place, "300000", "100");
    interrupted(&pipeline);
    let manifest = fs::read_to_string(pipeline.manifests().last().unwrap()).unwrap();
    let parts = pipeline.parts();
    let needed = parts.iter().find(|part| manifest.contains(&name(part)));
    let needed = needed.expect("the newest manifest names a part that is there");
    flipped(needed);
    pipeline.run(2).demand(DATA).demand_words(&[&name(needed), "--from"]);
    let verified =
        Running::start(minuet(["snapshot", "verify"]).arg(format!("dir:{}", pipeline.state.display()))).end();
    verified.demand(DATA);
}

#[test]
fn snapshots_can_be_listed_shown_and_verified() {
    let place = scratch();
    let (pipeline, _) = small(&place);
    pipeline.run(2).demand(0);
    for verb in ["list", "show", "verify"] {
        let state = format!("dir:{}", pipeline.state.display());
        let ended = super::harness::run(["snapshot", verb, &state, "--json"]).demand(0);
        for value in serde_json::Deserializer::from_str(&ended.stdout).into_iter::<serde_json::Value>() {
            assert!(value.is_ok(), "snapshot {verb} --json wrote {:?}", ended.stdout);
        }
        assert!(!ended.stdout.is_empty(), "snapshot {verb} said nothing");
    }
}

#[test]
fn a_changed_plan_is_refused() {
    let place = scratch();
    let (mut pipeline, _) = small(&place);
    pipeline.dataflow = copied("sensors", place.path());
    pipeline.run(2).demand(0);
    replaced(&pipeline.dataflow.join("dataflow.toml"), "\"avg\"", "\"sum\"");
    pipeline.run(2).demand(CONFIGURATION).demand_words(&["--fresh"]);
    pipeline.run_with(2, &["--fresh"]).demand(0).summary();
}

#[test]
fn rows_without_a_state_are_refused_until_told_otherwise() {
    let place = scratch();
    let (pipeline, _) = small(&place);
    let summary = pipeline.run(2).demand(0).summary();
    let rows = pipeline.rows();
    fs::remove_dir_all(&pipeline.state).unwrap();
    pipeline.run(2).demand(CONFIGURATION).demand_words(&["rows", "--state"]);
    demand_rows(&pipeline.rows(), &rows, "after the refusal");
    assert_eq!(pipeline.run_with(3, &["--fresh"]).demand(0).summary(), summary);
    demand_rows(&pipeline.rows(), &rows, "after a fresh start");
}

#[test]
fn all_problems_of_a_dataflow_are_shown_at_once() {
    let place = scratch();
    let copy = copied("sensors", place.path());
    let file = copy.join("dataflow.toml");
    replaced(&file, "out_of_order", "out_of_ordr");
    replaced(&file, "\"avg\"", "\"mean\"");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[[measures]]\nfield = \"temprature\"\nas = [\"max\"]\n")).unwrap();
    let check = |flags: &[&str]| Running::start(minuet(["check"]).arg(&copy).args(flags)).end().demand(CONFIGURATION);
    let said = check(&[]);
    let said = format!("{}{}", said.stdout, said.stderr);
    for word in ["dataflow.toml", "out_of_ordr", "out_of_order", "mean", "temprature", "temperature", "did you mean"] {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    let machine = check(&["--json"]).stdout;
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(machine.trim());
    assert!(parsed.is_ok(), "check --json wrote {machine:?}");
}

#[test]
fn a_good_dataflow_passes_its_check() {
    for path in super::cases::dataflows() {
        let ended = Running::start(minuet(["check"]).arg(&path)).end().demand(0);
        assert!(ended.stdout.contains("window_start"), "check shows the columns:\n{}", ended.stdout);
    }
}

#[test]
fn the_older_of_two_runs_stops() {
    let place = scratch();
    let (pipeline, _) = sized(&place, "600000", "100");
    let calm =
        Pipeline { out: place.path().join("calm-out"), state: place.path().join("calm-state"), ..pipeline.clone() };
    calm.run(1).demand(0);
    let mut older = pipeline.start(1);
    older.until("its second manifest", || pipeline.manifests().len() >= 2);
    let newer = pipeline.start(2);
    let newer = newer.end().demand(0);
    let older = older.end();
    older.demand(SUPERSEDED);
    drop(newer);
    demand_rows(&pipeline.rows(), &calm.rows(), "two runs on one state");
}

/// Stops a run at many moments, lets another take over its pipeline with these flags and finish, and lets the first go on: whatever
/// it had in hand, it may name no file any more.
fn taken_over(flags: &[&str]) {
    let place = scratch();
    let (pipeline, _) = sized(&place, "200000", "100");
    let calm =
        Pipeline { out: place.path().join("calm-out"), state: place.path().join("calm-state"), ..pipeline.clone() };
    let expected = calm.run(1).demand(0).summary();
    let mut dice = Dice::new("taken over");
    for round in 0..6 {
        let place = place.path().join(format!("round-{round}"));
        let pipeline = Pipeline { out: place.join("out"), state: place.join("state"), ..pipeline.clone() };
        let mut older = pipeline.start(2);
        older.until("its claim", || !pipeline.manifests().is_empty());
        std::thread::sleep(Duration::from_millis(dice.between(0, 400)));
        older.signal("STOP");
        // One that was stopped while it held the folder's lock keeps the other waiting, which then says so.
        let newer = pipeline.run_with(3, flags);
        older.signal("CONT");
        older.end();
        let newer = if newer.status.code() == Some(0) { newer } else { pipeline.run_with(3, flags) };
        assert_eq!(newer.demand(0).summary(), expected, "round {round} with {flags:?}");
        demand_rows(&pipeline.rows(), &calm.rows(), &format!("round {round} with {flags:?}"));
    }
}

#[test]
fn a_run_that_slept_writes_nothing_after_another_has_taken_over() {
    taken_over(&[]);
}

#[test]
fn a_run_that_slept_writes_nothing_after_another_has_begun_afresh() {
    taken_over(&["--fresh"]);
}

#[test]
fn rows_of_another_state_are_left_alone() {
    let place = scratch();
    let (pipeline, _) = sized(&place, "200000", "100");
    interrupted(&pipeline);
    let other =
        Pipeline { out: place.path().join("other-out"), state: place.path().join("other-state"), ..pipeline.clone() };
    other.run(1).demand(0);
    let rows = other.rows();
    let crossed = Pipeline { out: other.out.clone(), ..pipeline.clone() };
    crossed.run(2).demand(CONFIGURATION).demand_words(&["another state", "--state"]);
    demand_rows(&other.rows(), &rows, "after a run that was refused");
    pipeline.run(2).demand(0);
    demand_rows(&pipeline.rows(), &rows, "with the folder it began with");
}

#[test]
fn a_wrong_command_line_ends_with_two() {
    for wrong in [&["run"][..], &["rnu"], &["run", "dataflows/sensors", "--worker", "2"], &["gen", "--nothing"]] {
        let ended = super::harness::run(wrong).demand(2);
        assert!(!ended.stderr.is_empty());
    }
    assert!(super::harness::run(["--help"]).demand(0).took < Duration::from_secs(60));
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused_and_waits_for_nobody() {
    let place = scratch();
    let copy = copied("sensors", place.path());
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo can be run");
        assert!(made.success());
    };
    let source = place.path().join("stuck.events");
    pipe(&source);
    Pipeline::new(&copy, source.display().to_string(), place.path())
        .run(1)
        .demand(CONFIGURATION)
        .demand_words(&["stuck.events", "plain file"]);
    fs::remove_file(copy.join("dataflow.toml")).unwrap();
    pipe(&copy.join("dataflow.toml"));
    Running::start(minuet(["check"]).arg(&copy))
        .end()
        .demand(CONFIGURATION)
        .demand_words(&["dataflow.toml", "plain file"]);
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let mut child = minuet(["check"])
        .arg(dataflow("sensors"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program can be run");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_missing_dataflow_or_file_is_named() {
    let place = scratch();
    let nowhere = place.path().join("no-such-dataflow");
    let ended = Running::start(minuet(["check"]).arg(&nowhere)).end().demand(CONFIGURATION);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("no-such-dataflow") || said.contains("dataflow.toml"), "{said}");
    let source = place.path().join("no-such-file-*.avro").display().to_string();
    let ended = Pipeline::new(&dataflow("sensors"), source, place.path()).run(1);
    assert!(ended.status.code().is_some_and(|code| code != 0), "nothing to read is no success");
    ended.demand_words(&["no-such-file-"]);
}

/// What cannot be said is no reason to end in another way.
#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_error_changes_no_exit_code() {
    let full = || fs::File::create("/dev/full").expect("Linux has it");
    let place = scratch();
    let status =
        |command: &mut std::process::Command| command.stderr(full()).status().expect("it can be started").code();
    assert_eq!(status(minuet(["check"]).arg(place.path())), Some(78));
    let nothing = place.path().join("nothing");
    let mut run = Pipeline::new(&dataflow("sensors"), nothing.display().to_string(), place.path()).command(1);
    assert_eq!(status(run.args(["--log", "trace"])), Some(78));
}
