//! Generated data of every kind, over numbers of workers and processes: the same sorted bytes, and those of the oracle; and any shape
//! goes on from any other's state.

use std::path::PathBuf;

use super::harness::{Cluster, Dice, Pipeline, Shape, Undisturbed, dataflow, demand_rows, files, generate, scratch};
use super::oracle;

/// Everything that can be wrong with events, in shares that each give hundreds of cases.
const TROUBLE: [(&str, &str); 6] = [
    ("events", "40000"),
    ("out-of-order", "0.2"),
    ("late", "0.02"),
    ("nulls", "0.05"),
    ("non-finite", "0.01"),
    ("idle", "0.3"),
];

fn compare(name: &str, more: &[(&str, &str)]) {
    let place = scratch();
    let input = place.path().join("in");
    let settings: Vec<(&str, &str)> = TROUBLE.into_iter().chain(more.iter().copied()).collect();
    generate(&dataflow(name), &input, &settings);
    let parts: Vec<PathBuf> = files(&input, &[".events", ".avro"]);
    assert!(!parts.is_empty(), "minuet gen wrote no file into {}", input.display());
    let expected = oracle::expected(&dataflow(name), &parts);
    assert!(expected.summary["late"] > 0, "the input has no late events: {:?}", expected.summary);
    for shape in Shape::all() {
        let out = place.path().join(shape.to_string());
        let pipeline = Pipeline::new(&dataflow(name), input.join("*").display().to_string(), &out);
        let summary = pipeline.run_in(shape).summary();
        demand_rows(&pipeline.rows(), &expected.rows, &format!("{name} {shape}"));
        assert_eq!(summary, expected.summary, "{name} {shape}");
        pipeline.demand_ledger(&format!("{name} {shape}"));
    }
}

#[test]
fn sensors_in_seven_partitions() {
    let settings = [("seed", "11"), ("sources", "400"), ("rate", "200"), ("partitions", "7"), ("malformed", "0.01")];
    compare("sensors", &settings);
}

#[test]
fn sensors_in_one_partition() {
    compare("sensors", &[("seed", "12"), ("sources", "3"), ("rate", "500"), ("partitions", "1")]);
}

#[test]
fn compact_sensors_with_skewed_sources() {
    let settings = [("seed", "13"), ("sources", "2000"), ("rate", "300"), ("skew", "1.1"), ("malformed", "0.02")];
    compare("sensors-compact", &settings);
}

#[test]
fn orders_with_decimals_arrays_and_maps() {
    let settings = [("seed", "14"), ("sources", "150"), ("rate", "100"), ("partitions", "3"), ("malformed", "0.01")];
    compare("orders", &settings);
}

#[test]
fn orders_in_blocks_of_avro_files() {
    let settings = [("seed", "15"), ("sources", "150"), ("rate", "100"), ("partitions", "5"), ("format", "avro")];
    compare("orders", &settings);
}

/// How often a chain of shapes is gone through in another order.
const CHAINS: usize = 2;

/// The epoch of the newest commit.
fn commit(pipeline: &Pipeline) -> serde_json::Value {
    pipeline.newest().map(|newest| newest["commit"].clone()).unwrap_or_default()
}

/// Every shape takes over from another, in an order of chance: each commits something and is stopped, softly or hard.
fn chain(calm: &Undisturbed, pipeline: &Pipeline, dice: &mut Dice) -> usize {
    let mut shapes = Shape::all();
    let mut story = Vec::new();
    while !shapes.is_empty() {
        let shape = shapes.swap_remove(dice.between(0, shapes.len() as u64) as usize);
        let attempt = pipeline.attempt();
        let before = commit(pipeline);
        let mut cluster = Cluster::start(pipeline, shape);
        let has_committed = || pipeline.attempt() > attempt && commit(pipeline) != before;
        cluster.process(0).until(&format!("a commit of {shape} after {story:?}"), has_committed);
        if pipeline.is_finished() {
            break;
        }
        let signal = dice.one_of(&["TERM", "KILL"]);
        for process in cluster.running() {
            cluster.process(process).signal(signal);
        }
        drop(cluster.end());
        story.push(format!("{shape} {signal}"));
    }
    let last = dice.one_of(&Shape::all());
    let summary = pipeline.run_in(last).summary();
    calm.demand(pipeline, &summary, &format!("{story:?}, then {last}"));
    story.len()
}

#[test]
fn any_shape_goes_on_from_the_state_of_any_other() {
    let mut dice = Dice::new("shapes");
    let place = scratch();
    let settings = [("seed", "16"), ("events", "500000"), ("sources", "400"), ("rate", "100"), ("partitions", "7")];
    let calm = Undisturbed::generate("sensors", place.path(), &settings);
    let mut taken_over = 0;
    for round in 0..CHAINS {
        taken_over += chain(&calm, &calm.at(&place.path().join(format!("chain-{round}"))), &mut dice);
    }
    assert!(taken_over >= Shape::all().len(), "only {taken_over} shapes were interrupted; give them more events");
}
