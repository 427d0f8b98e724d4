//! A pipeline that reads a topic: it never ends by itself, so it is watched until its rows are there, and then asked to stop.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::topic::Topic;
use crate::harness::{Cluster, DEADLINE, Ended, Pipeline, Running, Shape, demand_rows};
use crate::oracle::Expected;

/// How often the rows are looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// The exit code of a process that SIGTERM has stopped.
const STOPPED: i32 = 143;

/// The exit code of a process that ends because another of its run does.
const FOLLOWED: i32 = 75;

/// The signal itself, which ends a process that has not come to listen for it.
const SIGTERM: i32 = 15;

/// `minuet run` on a topic.
pub(crate) struct Follower {
    pub(crate) pipeline: Pipeline,
    /// The attempt that there was when it was last started.
    before: Cell<u64>,
}

impl Follower {
    /// A pipeline of a dataflow's folder that reads a topic from its first message on and writes below `place`.
    pub(crate) fn new(dataflow: &Path, topic: &Topic<'_>, place: &Path) -> Self {
        let mut pipeline = Pipeline::new(dataflow, topic.url(), place);
        pipeline.flags = ["--start", "earliest"].map(str::to_owned).to_vec();
        Follower::of(pipeline)
    }

    /// Any pipeline that reads a topic.
    pub(crate) fn of(pipeline: Pipeline) -> Self {
        Follower { pipeline, before: Cell::new(0) }
    }

    /// The same with more flags.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.pipeline.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Starts it.
    pub(crate) fn start(&self, shape: Shape) -> Cluster {
        self.before.set(self.pipeline.attempt());
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

    /// How many messages the commits cover.
    pub(crate) fn read(&self) -> u64 {
        self.counts().get("read").copied().unwrap_or(0)
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
        // Before all have met, the others rightly wait for one that is gone to come back: an earlier run may have committed all.
        cluster.process(0).until("its claim", || self.pipeline.attempt() > self.before.get());
        cluster.process(0).signal("TERM");
        let told = cluster.end().swap_remove(0).demand(STOPPED).whole_summary();
        let counts = self.counts();
        counts.iter().for_each(|(name, count)| assert_eq!(told.get(name), Some(count), "{name} of the summary"));
        self.read()
    }
}

/// Demands that all processes run: a blow must not hide that one has ended by itself.
fn demand_running(cluster: &mut Cluster, how: &str) {
    let running = cluster.running().len();
    assert_eq!(running, cluster.shape.processes, "{how}: some have ended by themselves:\n{}", cluster.said());
}

/// Whether a process ended as one does that is asked to, or whose peer is.
fn was_asked(ended: &Ended, shape: Shape) -> bool {
    match ended.status.code() {
        Some(code) => code == STOPPED || (code == FOLLOWED && shape.processes > 1),
        None => ended.status.signal() == Some(SIGTERM),
    }
}

/// SIGKILL to all processes, one after the other, none of which may have ended before for a reason of its own.
pub(crate) fn kill_all(mut cluster: Cluster, how: &str) {
    demand_running(&mut cluster, how);
    let shape = cluster.shape;
    let mut processes = cluster.into_processes();
    processes.iter_mut().for_each(Running::kill);
    for ended in processes.into_iter().map(Running::end) {
        let followed = ended.status.code() == Some(FOLLOWED) && shape.processes > 1;
        assert!(ended.was_killed() || followed, "{how}: {}\n{}", ended.status, ended.stderr);
    }
}

/// SIGTERM to all processes, which must run until then, and must end by it.
pub(crate) fn stop_all(mut cluster: Cluster, how: &str) {
    demand_running(&mut cluster, how);
    let shape = cluster.shape;
    for process in cluster.running() {
        cluster.process(process).signal("TERM");
    }
    for ended in cluster.end() {
        assert!(was_asked(&ended, shape), "{how}: {}\n{}", ended.status, ended.stderr);
    }
}
