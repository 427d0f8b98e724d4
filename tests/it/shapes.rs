//! Generated data of every shape, over worker counts: the same sorted bytes, and those of the oracle.

use std::path::PathBuf;

use super::harness::{Pipeline, WORKERS, dataflow, demand_rows, files, generate, scratch};
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
    for workers in WORKERS {
        let out = place.path().join(format!("w{workers}"));
        let pipeline = Pipeline::new(&dataflow(name), input.join("*").display().to_string(), &out);
        let summary = pipeline.run(workers).demand(0).summary();
        demand_rows(&pipeline.rows(), &expected.rows, &format!("{name} -w {workers}"));
        assert_eq!(summary, expected.summary, "{name} -w {workers}");
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
