//! Whether a process is well: its worker loops turn, and where nothing is committed for long there is a cause that is known.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::status::{Board, Run, Stage, Status, minute, span};
use crate::dataflow::edges::CommitStep;
use crate::limits::{COMMIT_SILENT_ELSEWHERE_MS, COMMIT_SILENT_MS, LOOP_SILENT_MS};
use crate::time::{Epoch, FIRST_EPOCH};

/// What one look said, as text for people: well or not.
pub type Verdict = Result<String, String>;

/// Remembers when the worker loops were last seen to turn.
#[derive(Debug, Default)]
pub struct Pulse {
    seen: BTreeMap<usize, (u64, Instant)>,
}

impl Pulse {
    /// Takes in how often each loop has gone round.
    pub fn look(&mut self, turns: &BTreeMap<usize, u64>, now: Instant) {
        self.seen.retain(|slot, _| turns.contains_key(slot));
        for (slot, turns) in turns {
            let seen = self.seen.entry(*slot).or_insert((*turns, now));
            if seen.0 != *turns {
                *seen = (*turns, now);
            }
        }
    }

    /// Says which loop has not turned for too long.
    pub fn verdict(&self, now: Instant) -> Verdict {
        let silent = |since: Instant| now.saturating_duration_since(since) >= Duration::from_millis(LOOP_SILENT_MS);
        match self.seen.iter().find(|(_, (_, since))| silent(*since)) {
            None => Ok(format!("{} worker loops turn", self.seen.len())),
            Some((slot, (_, since))) => {
                let seconds = now.saturating_duration_since(*since).as_secs();
                Err(format!("the worker loop of slot {slot} has not turned for {seconds} s"))
            }
        }
    }
}

/// Whether the process should be left alone; 503 means that a restart may help.
pub fn alive(board: &Board, pulse: &mut Pulse, now: Instant) -> Verdict {
    let status = board.status();
    if status.stage != Stage::Running {
        return Ok(format!("{}, so no worker loop turns yet", stage(status.stage)));
    }
    if let Some(progress) = board.progress() {
        pulse.look(&progress.told().turns(), now);
    }
    let turning = pulse.verdict(now)?;
    Ok(format!("{turning}; {}", committing(&status)?))
}

/// Whether the process does its work.
pub fn ready(status: &Status) -> Verdict {
    if let Some(trouble) = status.edges.sink.trouble.as_ref().or(status.edges.store.trouble.as_ref()) {
        return Err(format!("what it writes to is away: {trouble}"));
    }
    match status.stage {
        Stage::Running => Ok("it has resumed, its source is open, and all processes have met".to_owned()),
        other => Err(stage(other).to_owned()),
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Opening => "it opens its source",
        Stage::Meeting => "it meets the other processes",
        Stage::Resuming => "it takes up its state and makes its sink ready",
        Stage::Running => "it reads",
        Stage::Ending => "it ends",
    }
}

/// Whether commits are made, or there is a cause why not.
fn committing(status: &Status) -> Verdict {
    let Some(run) = status.run.as_ref().filter(|_| status.about.process == 0) else {
        return Ok("process 0 commits".to_owned());
    };
    let age = status.now.saturating_sub(run.newest.written_at);
    if age < COMMIT_SILENT_MS {
        return Ok(format!("the newest manifest is {} old", span(age)));
    }
    match cause(status, run) {
        Some(cause) => Ok(format!("nothing was committed for {}: {cause}", span(age))),
        None => Err(format!("nothing was committed for {}, and no cause is known: {}", span(age), step(run))),
    }
}

/// Where the commit under way is.
pub fn step(run: &Run) -> String {
    use crate::dataflow::edges::What;
    let work = run.working.iter().max_by_key(|work| work.for_ms);
    match (run.committing.map(|commit| (commit.step, commit.for_ms)), work) {
        (Some((CommitStep::Ledger, millis)), _) => format!("its ledger is being written for {}", span(millis)),
        (Some((CommitStep::Manifest, millis)), _) => format!("its manifest is being stored for {}", span(millis)),
        (_, Some(work)) => {
            let what = match work.what {
                What::Flush => "rows",
                What::Store => "part",
            };
            let doing = if work.what == What::Flush { "are being written" } else { "is being stored" };
            format!("the {what} of slot {} {doing} for {}", work.slot, span(work.for_ms))
        }
        _ => "all workers must get as far as that".to_owned(),
    }
}

/// Why the next commit has to wait, if that is known.
pub fn cause(status: &Status, run: &Run) -> Option<String> {
    if let Some(trouble) = &status.edges.sink.trouble {
        return Some(format!("the sink is tried again: {trouble}"));
    }
    if let Some(trouble) = &status.edges.store.trouble {
        return Some(format!("the store of the state is tried again: {trouble}"));
    }
    let Some(next) = run.newest.next.first() else { return Some("all input is committed".to_owned()) };
    match &run.oldest_open {
        Some(open) if open.minute.is_none_or(|minute| minute <= *next) => {
            Some(format!("minutes are open that it needs: {}", open.why))
        }
        _ => elsewhere(status, run, *next),
    }
}

/// What it waits for, where the slots of this process are past what it needs or have no partition.
fn elsewhere(status: &Status, run: &Run, next: Epoch) -> Option<String> {
    let others = status.about.processes > 1;
    let Some(committing) = run.committing else {
        // Only process 0 knows how far all are.
        return match (run.slots.is_empty(), others) {
            (true, _) => Some("no slot of this process has told of a partition".to_owned()),
            (_, true) => Some("the slots of another process may not be as far".to_owned()),
            _ => None,
        };
    };
    if let Some(slowest) = committing.slowest.filter(|slowest| *slowest <= next && (others || run.slots.is_empty())) {
        let open = if slowest == FIRST_EPOCH { "none is known".to_owned() } else { minute(slowest) };
        return Some(format!(
            "a slot of another process has not come past what it needs: its oldest open minute: {open}"
        ));
    }
    let age = status.now.saturating_sub(run.newest.written_at);
    let ours = committing.step != CommitStep::Gathering || !run.working.is_empty();
    (others && !ours && age < COMMIT_SILENT_ELSEWHERE_MS)
        .then(|| "the rows or the state of another process are not stored; it knows why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::status::{Committing, Newest, OldestOpen, SinkNow, Slot, Working};
    use super::*;
    use crate::dataflow::edges::What;

    #[test]
    fn a_loop_that_does_not_turn_is_named() {
        let (start, mut pulse) = (Instant::now(), Pulse::default());
        let at = |millis: u64| start + Duration::from_millis(millis);
        pulse.look(&BTreeMap::from([(0, 7), (1, 7)]), at(0));
        pulse.look(&BTreeMap::from([(0, 8), (1, 7)]), at(LOOP_SILENT_MS - 1));
        assert_eq!(pulse.verdict(at(LOOP_SILENT_MS - 1)), Ok("2 worker loops turn".to_owned()));
        let stuck = pulse.verdict(at(LOOP_SILENT_MS + 2_000)).expect_err("slot 1 is stuck");
        assert_eq!(stuck, "the worker loop of slot 1 has not turned for 12 s");
        pulse.look(&BTreeMap::from([(0, 9), (1, 8)]), at(LOOP_SILENT_MS + 2_000));
        assert!(pulse.verdict(at(LOOP_SILENT_MS + 2_001)).is_ok(), "it turns again");
        pulse.look(&BTreeMap::new(), at(LOOP_SILENT_MS * 10));
        assert!(pulse.verdict(at(LOOP_SILENT_MS * 20)).is_ok(), "a run that has ended has no loops");
    }

    /// A run whose next commit is 10 and whose slots are at an epoch.
    fn running(epoch: u64, age: i64) -> Status {
        let open =
            OldestOpen { minute: Some(epoch), begins: None, held_by: Some(3), why: "partition 3 is slow".into() };
        let slot = Slot { slot: 0, epoch, bytes_in_flight: 0, stopped: None };
        let newest = Newest { epoch: Some(9), next: vec![10, 11], ..Newest::default() };
        let committing =
            Some(Committing { epoch: Some(10), step: CommitStep::Gathering, for_ms: age, slowest: Some(epoch) });
        let run = Run { newest, slots: vec![slot], oldest_open: Some(open), committing, ..Run::default() };
        let mut status = Status { now: age, stage: Stage::Running, run: Some(run), ..Status::default() };
        status.about.processes = 1;
        status
    }

    #[test]
    fn a_commit_may_be_late_only_with_a_cause() {
        assert!(committing(&running(12, COMMIT_SILENT_MS - 1)).is_ok());
        let stuck = committing(&running(12, COMMIT_SILENT_MS)).expect_err("all is complete");
        assert!(stuck.starts_with("nothing was committed for 300 s, and no cause is known"), "{stuck}");
        let waits = committing(&running(10, COMMIT_SILENT_MS)).unwrap();
        assert!(waits.ends_with("partition 3 is slow"), "{waits}");
        let mut retries = running(12, COMMIT_SILENT_MS);
        retries.edges.sink = SinkNow { trouble: Some("it is down".into()), ..SinkNow::default() };
        assert!(committing(&retries).unwrap().ends_with("the sink is tried again: it is down"));
    }

    /// The first of two processes, whose own slot is at epoch 12, and all the slots at this one.
    fn first_of_two(slowest: Option<Epoch>, age: i64) -> Status {
        let mut status = running(12, age);
        status.about.processes = 2;
        let committing = status.run.as_mut().and_then(|run| run.committing.as_mut());
        committing.expect("it commits").slowest = slowest;
        status
    }

    #[test]
    fn another_process_is_a_cause_as_long_as_it_reads_or_for_a_while() {
        let reads = committing(&first_of_two(Some(10), i64::MAX)).expect("the other reads");
        assert!(reads.ends_with("its oldest open minute: 1970-01-01 00:10"), "{reads}");
        for slowest in [Some(11), Some(12), None] {
            assert!(committing(&first_of_two(slowest, COMMIT_SILENT_ELSEWHERE_MS - 1)).is_ok(), "{slowest:?}");
            committing(&first_of_two(slowest, COMMIT_SILENT_ELSEWHERE_MS)).expect_err("all have read what it needs");
            let mut ours = first_of_two(slowest, COMMIT_SILENT_MS);
            let work = Working { what: What::Flush, slot: 0, commit: 10, for_ms: COMMIT_SILENT_MS };
            ours.run.as_mut().expect("it runs").working.push(work);
            let stuck = committing(&ours).expect_err("its own rows are not written, and its sink is well");
            assert!(stuck.ends_with("the rows of slot 0 are being written for 300 s"), "{stuck}");
        }
        let mut no_partition = first_of_two(Some(10), COMMIT_SILENT_MS);
        let run = no_partition.run.as_mut().expect("it runs");
        (run.slots, run.oldest_open) = (Vec::new(), None);
        assert!(committing(&no_partition).is_ok());
        no_partition.about.process = 1;
        assert_eq!(committing(&no_partition), Ok("process 0 commits".to_owned()));
    }

    #[test]
    fn it_is_ready_when_it_reads() {
        assert!(ready(&running(1, 0)).is_ok());
        let opening = Status::default();
        assert_eq!(ready(&opening), Err("it opens its source".to_owned()));
    }
}
