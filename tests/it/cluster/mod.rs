//! Several processes, really started: who is let in, who shares whose fate, and what `launch` makes of them.

mod door;
mod fate;
mod launch;
mod network;
mod refusals;
mod slots;

use std::path::Path;

use super::harness::{Cluster, Pipeline, Shape, Undisturbed};

const TERMINATED: i32 = 143;
const INTERRUPTED: i32 = 130;
const KILLED: i32 = 137;
const DATA: i32 = 65;
const PEER: i32 = 75;
const CONFIGURATION: i32 = 78;

/// An input that is soon read.
fn short(place: &Path) -> (Undisturbed, Pipeline) {
    sized(place, "20000")
}

/// An input that takes long enough to be disturbed.
fn long(place: &Path) -> (Undisturbed, Pipeline) {
    sized(place, "400000")
}

fn sized(place: &Path, events: &str) -> (Undisturbed, Pipeline) {
    let settings = [("seed", "51"), ("events", events), ("sources", "300"), ("rate", "100"), ("partitions", "5")];
    let calm = Undisturbed::generate("sensors", place, &settings);
    let pipeline = calm.at(&place.join("run"));
    (calm, pipeline)
}

/// Starts a run and waits until its processes have met and committed something.
fn under_way(pipeline: &Pipeline, shape: Shape) -> Cluster {
    let mut cluster = Cluster::start(pipeline, shape);
    cluster.process(0).until("open windows in its state", || pipeline.has_state() || pipeline.is_finished());
    assert!(!pipeline.is_finished(), "the run was over before it could be disturbed; give it more events");
    cluster
}

/// Runs it to its end in a shape, and demands that this is the right one.
fn demand_end(calm: &Undisturbed, pipeline: &Pipeline, shape: Shape) {
    let summary = pipeline.run_in(shape).summary();
    calm.demand(pipeline, &summary, &format!("{shape} to the end"));
}
