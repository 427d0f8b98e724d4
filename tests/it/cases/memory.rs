//! A case in memory: entries come in its order, partitions fall silent, the wall clock goes as it says, and runs die where it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minuet::cluster::Outcome;
use minuet::connect::memory::{MemorySource, Standing, payload_entry};
use minuet::error::Error;
use minuet::plan;

use super::written::{Case, Entry, Step};
use crate::harness::demand_rows;
use crate::memory::{Place, Run};

/// Plays steps of a case: a run for each part between crashes, each with the next of `slots`; then compares what came out.
pub(super) fn play(case: &Case, steps: &[&Step], slots: &[usize]) {
    let of = format!("{} with {slots:?} slots", case.name);
    let plan = Arc::new(plan::load(&case.dataflow).unwrap_or_else(|e| panic!("{of}: {e:?}")));
    let place = Place::new(&plan);
    let crashes: Vec<usize> = (0..steps.len()).filter(|at| matches!(steps[*at], Step::Crash)).collect();
    for (part, end) in crashes.iter().map(|at| Some(*at)).chain([None]).enumerate() {
        let mut player = Player::begin(case, &place, &of);
        let (whole, steps) = (steps, &steps[..end.unwrap_or(steps.len())]);
        let slots = slots[part % slots.len()];
        let run = if whole.iter().any(|step| matches!(step, Step::Idle(_))) {
            player.step_by_step(steps, slots)
        } else if end.is_none() || case.has_crashes() {
            player.at_once(steps, slots, end.is_none())
        } else {
            player.until_half(whole, slots)
        };
        if end.is_none() {
            (0..case.partitions()).for_each(|number| player.source.stand(number, Standing::Ended));
            assert_eq!(run.end().unwrap_or_else(|e| panic!("{of}: {e}")), Outcome::Finished, "{of}");
        } else if part % 2 == 0 {
            run.fate.stop();
            // One that was quicker than the wish to stop has finished, and there is nothing left to resume.
            run.end().unwrap_or_else(|e| panic!("{of}: {e}"));
        } else {
            run.fate.fail(Error::outside("playing a case", "it says that the run dies here"));
            assert!(run.end().is_err(), "{of}");
        }
    }
    demand_rows(&place.rows(), &case.rows, &of);
    let counters = place.newest().counters();
    let found = [counters.read, counters.folded, counters.malformed, counters.late, counters.too_far_ahead];
    assert_eq!(found, case.summary, "{of}: read, folded, malformed, late, too far ahead");
}

/// Gives a run what a case has.
struct Player<'a> {
    case: &'a Case,
    place: &'a Place,
    of: &'a str,
    source: MemorySource,
    /// Entries that the manifest covers, by partition.
    covered: BTreeMap<u32, u64>,
    /// Entries given to the source, by partition.
    given: BTreeMap<u32, u64>,
    resume: Option<minuet::dataflow::Resume>,
}

impl<'a> Player<'a> {
    fn begin(case: &'a Case, place: &'a Place, of: &'a str) -> Self {
        place.clock.begin_again();
        let source = MemorySource::new();
        for number in 0..case.partitions() {
            source.add(&format!("part-{number}"), Vec::new(), Standing::Waiting);
        }
        let resume = place.begin(&source).unwrap_or_else(|e| panic!("{of}: {e}"));
        let positions = resume.manifest.cut.iter().map(|cut| (cut.partition, cut.position.map_or(0, |at| at.0)));
        let covered = positions.collect();
        Player { case, place, of, source, covered, given: BTreeMap::new(), resume: Some(resume) }
    }

    fn launch(&mut self, slots: usize) -> Run {
        let resume = self.resume.take().expect("it is launched once");
        self.place.launch(resume, &self.source, slots)
    }

    fn give(&mut self, entry: &Entry) {
        let place = self.given.entry(entry.partition).or_default();
        self.source.append(entry.partition, payload_entry(*place, &entry.payloads, entry.publish_time));
        *place += 1;
    }

    fn covered(&self, partition: u32) -> u64 {
        self.covered.get(&partition).copied().unwrap_or(0)
    }

    /// Without silences the order between partitions must not matter, nor the clock: all is there from the start.
    fn at_once(&mut self, steps: &[&Step], slots: usize, last: bool) -> Run {
        let mut events = 0;
        for step in steps {
            if let Step::Entry(entry) = step {
                self.give(entry);
                events += entry.payloads.len() as u64;
                self.place.clock.reach(entry.latest);
            }
        }
        let run = self.launch(slots);
        let left = events - run.claim.counters().read;
        if !last {
            assert!(run.until("reading before a crash", |seen| seen.read == left), "{}: ended early", self.of);
        }
        run
    }

    /// Where the case names no crash: all is there, and the run dies once half of it has been read. A prefix of the entries would not do:
    /// a partition that waits for its first entry pauses the others.
    fn until_half(&mut self, steps: &[&Step], slots: usize) -> Run {
        let run = self.at_once(steps, slots, true);
        (0..self.case.partitions()).for_each(|number| self.source.stand(number, Standing::Ended));
        run.until("reading half", |seen| 2 * seen.read >= self.case.summary[0]);
        run
    }

    /// Each step has been taken by the run before the next.
    fn step_by_step(&mut self, steps: &[&Step], slots: usize) -> Run {
        // Where reading goes on must be there when the source is opened.
        for number in 0..self.case.partitions() {
            let covered = usize::try_from(self.covered(number)).unwrap();
            self.case.entries(number).into_iter().take(covered).for_each(|entry| self.give(entry));
        }
        let run = self.launch(slots);
        let mut passed: BTreeMap<u32, u64> = BTreeMap::new();
        let mut silent = BTreeSet::new();
        for step in steps {
            match step {
                Step::Entry(entry) => {
                    let number = entry.partition;
                    let place = passed.entry(number).or_default();
                    *place += 1;
                    silent.remove(&number);
                    if *place > self.covered(number) {
                        let due = *place - self.covered(number);
                        self.give(entry);
                        self.source.stand(number, Standing::Waiting);
                        let read = run.until("an entry", |seen| seen.given.get(&number).is_some_and(|n| *n >= due));
                        assert!(read, "{}: ended early", self.of);
                    }
                    self.place.clock.reach(entry.latest);
                }
                Step::Idle(number) => {
                    // A silence after which the manifest covers more of the partition is over already.
                    if self.covered(*number) > passed.get(number).copied().unwrap_or(0) {
                        continue;
                    }
                    self.source.stand(*number, Standing::CaughtUp);
                    run.settle(*number);
                    self.place.clock.go_on(self.place.plan.idle_after);
                    silent.insert(*number);
                }
                Step::Crash => {}
            }
            silent.iter().for_each(|number| run.settle(*number));
        }
        run
    }
}
