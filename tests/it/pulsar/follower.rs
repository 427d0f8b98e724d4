//! A pipeline that reads a topic: it never ends by itself, so it is watched until its rows are there, and then asked to stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::topic::Topic;
use crate::harness::{Cluster, DEADLINE, Pipeline, Shape, demand_rows};
use crate::oracle::Expected;

/// How often the rows are looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// The exit code of a process that SIGTERM has stopped.
const STOPPED: i32 = 143;

/// `minuet run` on a topic.
pub(crate) struct Follower {
    pub(crate) pipeline: Pipeline,
}

impl Follower {
    /// A pipeline of a dataflow's folder that reads a topic from its first message on and writes below `place`.
    pub(crate) fn new(dataflow: &Path, topic: &Topic<'_>, place: &Path) -> Self {
        let mut pipeline = Pipeline::new(dataflow, topic.url(), place);
        pipeline.flags = ["--start", "earliest"].map(str::to_owned).to_vec();
        Follower { pipeline }
    }

    /// The same with more flags.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.pipeline.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Starts it.
    pub(crate) fn start(&self, shape: Shape) -> Cluster {
        Cluster::start(&self.pipeline, shape)
    }

    /// The newest commit; null before the first.
    fn commit(&self) -> Value {
        self.pipeline.newest().map(|newest| newest["commit"].clone()).unwrap_or_default()
    }

    /// Waits until a started one has committed once more.
    pub(crate) fn commits(&self, cluster: &mut Cluster) {
        let before = self.commit();
        cluster.process(0).until("a commit", || self.commit() != before);
    }

    /// What the newest manifest counts.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let newest = self.pipeline.newest().unwrap_or_default();
        let mut counts = BTreeMap::new();
        let partitions = newest["cut"].as_array().into_iter().flatten().map(|cut| &cut["counters"]);
        for (name, count) in partitions.chain([&newest["totals"]]).filter_map(Value::as_object).flatten() {
            *counts.entry(name.clone()).or_default() += count.as_u64().expect("counts are numbers");
        }
        counts
    }

    /// Whether a commit covers so many messages, all in rows. Rows are there before their commit is.
    pub(crate) fn has_committed(&self, read: u64) -> bool {
        let counts = self.counts();
        counts.get("read") == Some(&read) && counts.get("counted") == counts.get("folded")
    }

    /// Waits until a started one has written and committed what it must, stops it, and demands that it wrote nothing else.
    pub(crate) fn comes_to(&self, cluster: Cluster, expected: &Expected, how: &str) {
        self.settles(cluster, expected, how);
        demand_rows(&self.pipeline.rows(), &expected.rows, how);
    }

    /// The same but for the rows, which may be anywhere.
    pub(crate) fn settles(&self, mut cluster: Cluster, expected: &Expected, how: &str) {
        let end = Instant::now() + DEADLINE;
        while !self.has_committed(expected.summary["read"]) {
            if cluster.running().len() < cluster.shape.processes {
                panic!("{how}: it ended by itself:\n{}", cluster.said());
            }
            if Instant::now() >= end {
                panic!("{how}: after {DEADLINE:?} the commits cover {:?}:\n{}", self.counts(), cluster.said());
            }
            thread::sleep(GLANCE);
        }
        self.stop(cluster);
        let mut counts = expected.summary.clone();
        // Those of a topic's silences depend on the clock.
        counts.remove("idle_decisions");
        assert_eq!(self.counts(), counts, "{how}");
    }

    /// Runs it until it has written what it must.
    pub(crate) fn demand(&self, shape: Shape, expected: &Expected, how: &str) {
        self.comes_to(self.start(shape), expected, &format!("{how}, {shape}"));
    }

    /// Asks the first process to stop, which ends them all; gives how many messages the commits cover.
    pub(crate) fn stop(&self, mut cluster: Cluster) -> u64 {
        cluster.process(0).signal("TERM");
        let told = cluster.end().swap_remove(0).demand(STOPPED).whole_summary();
        let counts = self.counts();
        counts.iter().for_each(|(name, count)| assert_eq!(told.get(name), Some(count), "{name} of the summary"));
        counts.get("read").copied().unwrap_or(0)
    }
}
