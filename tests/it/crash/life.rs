//! One life of a pipeline: begun and disturbed, again and again, until it is let through to its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Cluster, DEADLINE, Dice, Ended, POLL, Pipeline, Running, Shape, Undisturbed};

/// Blows of one life; after them it may end in peace. A run between two commits cannot get further than it got before, so without
/// a limit a slow machine might never see the end.
const BLOWS_PER_LIFE: usize = 8;

/// From a run's first commit to its blow, at the latest.
const AFTER_A_COMMIT: Duration = Duration::from_millis(150);

/// From a start to its blow, at the least that the latest may become.
const LATEST_MIN: Duration = Duration::from_millis(100);

/// What several processes need more than one, to meet.
const MEETING: Duration = Duration::from_millis(200);

/// How long a process that was stopped may take to end when it goes on.
const WAKES_WITHIN: Duration = Duration::from_secs(20);

/// Milliseconds after a start until one that slept goes on, at the latest.
const STIRRED_AFTER: u64 = 300;

/// A process that was stopped while the others went on without it.
struct Sleeper {
    process: Running,
    alone: bool,
}

/// What has happened, and how often.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(super) fn of(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, other: &Tally) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }
}

/// How long the runs of a pipeline are left alone, at the longest. Whatever else the machine does changes how long they take, so it
/// follows: runs that are over too soon make it shorter, lives with blows enough make it longer.
pub(super) struct Pace(Duration);

impl Pace {
    pub(super) fn of(took: Duration) -> Self {
        Pace(took / 3)
    }

    fn learn(&mut self, blows: usize) {
        self.0 = if blows < BLOWS_PER_LIFE / 2 { self.0.mul_f64(0.75).max(LATEST_MIN) } else { self.0.mul_f64(1.1) };
    }
}

/// A life that goes on.
pub(super) struct Life<'a> {
    pub(super) pipeline: Pipeline,
    pub(super) dice: &'a mut Dice,
    calm: &'a Undisturbed,
    pace: &'a mut Pace,
    /// What has happened, for whoever must find out why.
    story: Vec<String>,
    tally: Tally,
    blows: usize,
    sleepers: Vec<Sleeper>,
}

impl<'a> Life<'a> {
    pub(super) fn new(calm: &'a Undisturbed, place: &Path, dice: &'a mut Dice, pace: &'a mut Pace) -> Self {
        let (pipeline, tally) = (calm.at(place), Tally::default());
        Life { pipeline, dice, calm, pace, story: Vec::new(), tally, blows: 0, sleepers: Vec::new() }
    }

    /// Lives it; gives what has happened.
    pub(super) fn live(mut self) -> Tally {
        let mut last = None;
        loop {
            // Another shape than the last time: state must move at every restart.
            let others: Vec<Shape> = Shape::all().into_iter().filter(|shape| Some(*shape) != last).collect();
            let shape = self.dice.one_of(&others);
            last = Some(shape);
            if self.pipeline.has_state() {
                self.count("resumed");
            }
            let before = self.pipeline.newest().unwrap_or_default();
            let mut cluster = Cluster::start(&self.pipeline, shape);
            self.stir();
            if self.blows < BLOWS_PER_LIFE && self.lets_be(&mut cluster, &before) {
                self.blows += 1;
                let has_begun = self.pipeline.attempt() > before["attempt"].as_u64().unwrap_or(0);
                let survivors = self.strike(cluster, has_begun);
                self.let_go(survivors);
            } else if self.is_through(cluster) {
                self.pace.learn(self.blows);
                return self.tally;
            }
        }
    }

    /// Adds to the story.
    pub(super) fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    /// What has happened so far.
    pub(super) fn story(&self) -> String {
        format!("{:?}", self.story)
    }

    /// Counts what has happened.
    pub(super) fn count(&mut self, what: &'static str) {
        *self.tally.0.entry(what).or_default() += 1;
    }

    /// Leaves a run alone for a time of chance, from its start or from its first commit on; whether it still runs then.
    fn lets_be(&mut self, cluster: &mut Cluster, before: &Value) -> bool {
        let commits = self.dice.between(0, 2) == 0;
        if commits {
            let has_committed = |newest: &Value| newest["commit"] != before["commit"];
            while !cluster.running().is_empty() && !self.pipeline.newest().is_some_and(|newest| has_committed(&newest))
            {
                thread::sleep(POLL);
            }
        }
        let latest = match (commits, cluster.shape.processes) {
            (true, _) => AFTER_A_COMMIT,
            (false, 1) => self.pace.0,
            (false, _) => self.pace.0 + MEETING,
        };
        let patience = Duration::from_millis(self.dice.between(0, latest.as_millis() as u64));
        let runs = !cluster.ends_within(patience, &[]);
        if runs {
            let from = if commits { "a commit" } else { "the start" };
            self.tell(format!("{}, {patience:?} from {from}", cluster.shape));
        }
        runs
    }

    /// Lets a process sleep on while others take over.
    pub(super) fn put_to_sleep(&mut self, process: Running, alone: bool) {
        self.sleepers.push(Sleeper { process, alone });
    }

    /// Demands of those that were left when others went that they ended with the exit code for it, or else had nothing left to do.
    fn let_go(&mut self, survivors: Vec<Ended>) {
        for ended in survivors {
            self.demand_one_of(&ended, self.allowed());
        }
        match self.dice.between(0, 4) {
            0 => self.wake(),
            1 => self.sleepers.clear(),
            // They sleep into the next run, or through it.
            _ => {}
        }
    }

    /// How a run may end that did not come through. One that sleeps may hold the lock of the sink's folder, which keeps all others
    /// out; one that wakes may be quicker by a commit than those who take over.
    fn allowed(&self) -> &'static [i32] {
        if self.sleepers.is_empty() { &[75] } else { &[75, 69, 76] }
    }

    /// Demands one of these exit codes; 0 only where there is nothing left to do.
    pub(super) fn demand_one_of(&self, ended: &Ended, codes: &[i32]) {
        let code = ended.status.code();
        let finished = code == Some(0) && self.pipeline.is_finished();
        assert!(
            finished || code.is_some_and(|code| codes.contains(&code)),
            "a process ended with {}, allowed is one of {codes:?}\n{}\n{}",
            ended.status,
            self.story(),
            ended.stderr
        );
    }

    /// Lets half of the sleepers go on while a run takes over.
    fn stir(&mut self) {
        let stirred: Vec<bool> = self.sleepers.iter().map(|_| self.dice.between(0, 2) == 0).collect();
        for (at, _) in stirred.into_iter().enumerate().filter(|(_, stirred)| *stirred) {
            thread::sleep(Duration::from_millis(self.dice.between(0, STIRRED_AFTER)));
            self.sleepers[at].process.signal("CONT");
            self.tell("stirred one".into());
        }
    }

    /// Lets the sleepers go on: each must end by itself, and whatever it had in hand changes nothing.
    fn wake(&mut self) {
        for Sleeper { mut process, alone } in std::mem::take(&mut self.sleepers) {
            process.signal("CONT");
            // One that was alone knows only when it next commits that another has taken over.
            let within = if alone { DEADLINE } else { WAKES_WITHIN };
            assert!(process.ends_within(within), "a process that slept goes on for ever\n{}", self.story());
            let ended = process.end();
            self.tell(format!("woke one, which ended with {}", ended.status));
            self.demand_one_of(&ended, &[75, 76]);
        }
    }

    /// Whether a run that nobody disturbed came to its end, and to the right one.
    fn is_through(&mut self, cluster: Cluster) -> bool {
        let shape = cluster.shape;
        let ended = cluster.end();
        self.tell(format!("{shape} to the end"));
        if !self.sleepers.is_empty() && ended.iter().any(|one| one.status.code() != Some(0)) {
            ended.iter().for_each(|one| self.demand_one_of(one, self.allowed()));
            self.tell("but for a sleeper".into());
            self.wake();
            return false;
        }
        for one in &ended {
            self.demand_one_of(one, &[0]);
        }
        let story = self.story();
        self.calm.demand(&self.pipeline, &ended[0].summary(), &story);
        if !self.sleepers.is_empty() {
            self.wake();
            self.calm.demand(&self.pipeline, &ended[0].summary(), &format!("{story}, and then one woke"));
        }
        true
    }
}
