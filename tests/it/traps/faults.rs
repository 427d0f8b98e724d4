//! What else may go wrong between a run and its store: another run, and answers that are lost.

use minuet::connect::memory::{Act, Faults, MemoryStore, Standing};
use minuet::error::Fault;

use super::story::{Logs, expected, logs, plan, source};
use super::{demand, finish};
use crate::harness::Dice;
use crate::memory::Place;

/// Acts of a store or an archive that are each made to fail.
const ACTS: u64 = 24;

/// Starts of which at least one must succeed: each loses one act only.
const STARTS: usize = 3;

#[test]
fn the_older_of_two_runs_stops() {
    let logs = logs(&mut Dice::new("two runs"), 3, 60, 20);
    for slots in [1, 3] {
        let place = Place::new(&plan());
        let old_source = source(&logs, 100, &Standing::Ended);
        (0..3).for_each(|partition| old_source.stall_after(partition, 30));
        let old = place.start(&old_source, slots);
        assert!(old.until("a commit", |seen| seen.commits.len() >= 3));
        let new_source = source(&logs, 100, &Standing::Ended);
        let resume = place.begin(&new_source).unwrap();
        assert_eq!(resume.manifest.attempt, 2);
        (0..3).for_each(|partition| old_source.stall_after(partition, usize::MAX));
        let error = old.end().expect_err("another run owns the pipeline");
        assert_eq!(error.fault, Fault::Superseded, "{error}");
        finish(place.launch(resume, &new_source, 2), "the newer run");
        demand(&place, &logs, &format!("two runs, the older with {slots} slots"));
    }
}

/// Starts runs until one finishes.
fn finally(place: &Place, logs: &Logs, of: &str) {
    for slots in [2, 3, 1].iter().take(STARTS) {
        let source = source(logs, 100, &Standing::Ended);
        let Ok(resume) = place.begin(&source) else { continue };
        match place.launch(resume, &source, *slots).end() {
            Ok(_) => return demand(place, logs, of),
            Err(error) => assert_eq!(error.fault, Fault::Outside, "{of}: {error}"),
        }
    }
    panic!("{of}: no run finished");
}

#[test]
fn lost_answers_of_parts_and_manifests_lose_nothing() {
    let logs = logs(&mut Dice::new("lost answers"), 3, 40, 20);
    for act in [Act::LoseAfter, Act::LoseBefore, Act::Fail] {
        for number in 0..ACTS {
            let place = Place::new(&plan());
            place.archive.at(number, act.clone());
            finally(&place, &logs, &format!("{act:?} of job {number} of the archive"));

            let mut place = Place::new(&plan());
            let writes = Faults::none();
            writes.at(number, act.clone());
            place.store = MemoryStore::new(writes, Faults::none());
            finally(&place, &logs, &format!("{act:?} of write {number} of the store"));
        }
    }
}

#[test]
fn rejects_and_the_ledger_are_not_doubled() {
    let logs = logs(&mut Dice::new("rejects"), 4, 80, 10);
    let expected = expected(&logs);
    for slots in [[1, 3, 2], [5, 2, 3]] {
        let place = Place::new(&plan());
        for (slots, share) in slots.iter().zip([30, 70]) {
            let run = place.start(&source(&logs, share, &Standing::Waiting), *slots);
            assert!(run.until("a commit of minutes", |seen| seen.commits.iter().any(|m| m.commit > Some(0))));
            run.fate.stop();
            run.end().unwrap();
        }
        finish(place.start(&source(&logs, 100, &Standing::Ended), slots[2]), "rejects");
        demand(&place, &logs, "rejects");
        let collected = place.sink.collected();
        let kept =
            collected.rejects.iter().flat_map(|((_, partition), kept)| kept.iter().map(move |r| (*partition, r)));
        let mut found: Vec<_> = kept.map(|(p, reject)| (p, reject.position.0, reject.index, reject.reason)).collect();
        found.sort_unstable();
        assert_eq!(found, expected.rejects, "slots {slots:?}");
        let mut sum = minuet::snapshot::Counters::default();
        collected.ledger.values().flat_map(|told| &told.lines).for_each(|line| sum.add(&line.counters));
        assert_eq!(sum, place.newest().counters(), "slots {slots:?}");
    }
}
