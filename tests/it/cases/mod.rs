//! Every `cases/` folder of every dataflow: events in, rows out; straight, and killed and resumed with another worker count.

mod encode;
mod files;
mod memory;
mod written;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::harness::{Cluster, Dice, Pipeline, Shape, demand_rows, project, scratch};
use written::{Case, Step};

/// Starts of one case that are killed before one is let through.
const KILLS: usize = 3;

/// Milliseconds from a start to its kill, at the latest: enough for several processes to meet.
const KILL_BEFORE_MS: u64 = 200;

/// The shapes of which one plays each case from files.
const SPREAD: [Shape; 3] =
    [Shape { workers: 1, processes: 2 }, Shape { workers: 2, processes: 3 }, Shape { workers: 5, processes: 2 }];

/// Folders below a folder, in order of name.
fn folders(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// The shipped dataflows.
pub(crate) fn dataflows() -> Vec<PathBuf> {
    let mut found = folders(&project().join("dataflows"));
    found.retain(|folder| folder.join("dataflow.toml").is_file());
    found
}

fn cases() -> Vec<Case> {
    let of = |dataflow: PathBuf| {
        let cases = folders(&dataflow.join("cases"));
        cases.into_iter().map(|folder| Case::read(&dataflow, &folder)).collect::<Vec<_>>()
    };
    dataflows().into_iter().flat_map(of).collect()
}

fn demand(case: &Case, pipeline: &Pipeline, how: &str) {
    demand_rows(&pipeline.rows(), &case.rows, &format!("{} {how}", case.name));
}

#[test]
fn every_dataflow_has_cases() {
    for dataflow in dataflows() {
        assert!(!folders(&dataflow.join("cases")).is_empty(), "{} has no cases", dataflow.display());
    }
    assert!(!dataflows().is_empty(), "no dataflow is shipped");
}

#[test]
fn cases_in_memory_straight() {
    for case in cases() {
        let straight: Vec<&Step> = case.steps.iter().filter(|step| !matches!(step, Step::Crash)).collect();
        memory::play(&case, &straight, &[1]);
        memory::play(&case, &straight, &[3]);
    }
}

#[test]
fn cases_in_memory_killed_and_resumed() {
    for case in cases() {
        let mut steps: Vec<&Step> = case.steps.iter().collect();
        if !case.has_crashes() {
            steps.insert(steps.len() / 2, &Step::Crash);
        }
        memory::play(&case, &steps, &[1, 3, 2]);
        memory::play(&case, &steps, &[5, 2, 1]);
    }
}

#[test]
fn cases_from_files() {
    let mut dice = Dice::new("cases");
    let mut laid_down = 0;
    for case in cases() {
        let place = scratch();
        let input = place.path().join("in");
        if !files::lay_down(&case, &input) {
            continue;
        }
        laid_down += 1;
        let source = input.join("*").display().to_string();
        let straight = Pipeline::new(&case.dataflow, source.clone(), &place.path().join("straight"));
        let summary = straight.run(1).demand(0).summary();
        demand(&case, &straight, "straight");
        let counters = ["read", "folded", "malformed", "late", "too_far_ahead"].map(|counter| summary[counter]);
        assert_eq!(counters, case.summary, "{} from files", case.name);

        let spread = Pipeline::new(&case.dataflow, source.clone(), &place.path().join("spread"));
        let shape = dice.one_of(&SPREAD);
        assert_eq!(spread.run_in(shape).summary(), summary, "{} {shape}", case.name);
        demand(&case, &spread, &shape.to_string());

        let resumed = Pipeline::new(&case.dataflow, source, &place.path().join("resumed"));
        for _ in 0..KILLS {
            let mut cluster = Cluster::start(&resumed, dice.one_of(&Shape::all()));
            cluster.ends_within(Duration::from_millis(dice.between(1, KILL_BEFORE_MS)), &[]);
            cluster.kill();
        }
        assert_eq!(resumed.run_in(dice.one_of(&Shape::all())).summary(), summary, "{} resumed", case.name);
        demand(&case, &resumed, "resumed");
    }
    assert!(laid_down > 0, "no case can be laid down in files");
}
