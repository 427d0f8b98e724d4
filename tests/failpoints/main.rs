//! A run that dies at every step of flush, store and commit, and the one after it that must not notice.
//!
//! Needs the feature `failpoints`; scripts/test.sh runs it.
#![allow(clippy::unwrap_used)]

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, unused_imports)]
mod harness;

use std::path::{Path, PathBuf};

use harness::{Dice, Pipeline, Running, WORKERS, dataflow, demand_rows, generate, scratch};

/// The steps, in the order in which a commit goes through them.
const STEPS: [&str; 12] = [
    "rows-tmp-written",
    "rows-synced",
    "rows-renamed",
    "rejects-tmp-written",
    "rejects-synced",
    "rejects-renamed",
    "part-stored",
    "manifest-linked",
    "manifest-stored",
    "ledger-tmp-written",
    "ledger-synced",
    "ledger-renamed",
];

/// Hits that are let through before the one that kills.
const LET_THROUGH: [u32; 3] = [0, 1, 3];

/// Up to here each step is surely passed often enough; a run that commits seldom may end before the last of [`LET_THROUGH`].
const SURELY_REACHED: u32 = 1;

fn input(place: &Path) -> (PathBuf, String) {
    let input = place.join("in");
    let settings = [
        ("seed", "41"),
        ("events", "60000"),
        ("sources", "120"),
        ("rate", "60"),
        ("partitions", "3"),
        ("out-of-order", "0.2"),
        ("late", "0.02"),
        ("malformed", "0.01"),
    ];
    generate(&dataflow("sensors"), &input, &settings);
    let source = input.join("*").display().to_string();
    (dataflow("sensors"), source)
}

#[test]
fn a_death_at_any_step_leaves_no_trace() {
    let mut dice = Dice::new("failpoints");
    let place = scratch();
    let (dataflow, source) = input(place.path());
    let calm = Pipeline::new(&dataflow, source.clone(), &place.path().join("calm"));
    let summary = calm.run(1).demand(0).summary();
    let rows = calm.rows();
    for step in STEPS {
        for let_through in LET_THROUGH {
            let of = format!("{step} after {let_through}");
            let pipeline = Pipeline::new(&dataflow, source.clone(), &place.path().join(&of));
            let mut command = pipeline.command(dice.one_of(&WORKERS));
            command.env("FAILPOINTS", format!("{step}={let_through}*off->return"));
            let died = Running::start(&mut command).end();
            let reached = !died.status.success();
            assert!(reached || let_through > SURELY_REACHED, "{of}: the step was never reached\n{}", died.stderr);
            let resumed = pipeline.run(dice.one_of(&WORKERS)).demand(0).summary();
            demand_rows(&pipeline.rows(), &rows, &of);
            assert_eq!(resumed, summary, "{of}");
            pipeline.demand_ledger(&of);
        }
    }
}

#[test]
fn deaths_at_all_steps_in_one_life() {
    let mut dice = Dice::new("failpoints, one life");
    let place = scratch();
    let (dataflow, source) = input(place.path());
    let calm = Pipeline::new(&dataflow, source.clone(), &place.path().join("calm"));
    calm.run(1).demand(0);
    let pipeline = Pipeline::new(&dataflow, source, &place.path().join("life"));
    for step in STEPS {
        let mut command = pipeline.command(dice.one_of(&WORKERS));
        command.env("FAILPOINTS", format!("{step}=1*off->return"));
        Running::start(&mut command).end();
    }
    pipeline.run(dice.one_of(&WORKERS)).demand(0);
    demand_rows(&pipeline.rows(), &calm.rows(), "after a death at every step");
    pipeline.demand_ledger("after a death at every step");
}
