//! The sentences, made from what a job tells. Where it does not know, they say so.

use crate::aggregate::hash_source;
use crate::dataflow::edges::Stopped;
use crate::limits::MINUTE_MS;
use crate::observe::CommitLedger;
use crate::observe::health::{cause, step};
use crate::observe::status::{Run, Stage, Status, minute as utc_minute, span};
use crate::snapshot::{Counters, key_group, lane, slot_of};
use crate::time::{Epoch, FIRST_EPOCH, LAST_EPOCH, Minute, utc};

/// Clocks that are further apart than this are worth a word.
pub(super) const CLOCKS_APART_MS: i64 = 5_000;

/// The lane of a source's rows.
pub(super) fn lane_of(status: &Status, source: &str) -> u32 {
    lane(hash_source(source.as_bytes()), status.about.lanes)
}

/// Where a source belongs.
pub(super) fn of_source(status: &Status, source: &str) -> String {
    let about = &status.about;
    let slots = (about.processes * about.workers).max(1);
    let hash = hash_source(source.as_bytes());
    let (group, lane) = (key_group(hash, about.key_groups), lane(hash, about.lanes));
    let (folds, writes) = (slot_of(group, slots), slot_of(lane, slots));
    let process = |slot: usize| slot / about.workers.max(1);
    format!(
        "source {source:?} is in key group {group}, folded by slot {folds} (process {}), and in lane {lane}, written by slot {writes} \
         (process {}); which partitions its events come from is not known: that is up to who produces them; nor are its own events and \
         rows counted: what is said of them is of all sources of lane {lane}{}",
        process(folds),
        process(writes),
        status.run.as_ref().map_or(String::new(), |run| format!("; {}", rejected(run)))
    )
}

/// What of this run's events, of whatever source and minute, is in no row, by reason.
fn rejected(run: &Run) -> String {
    let sum = |of: fn(&Counters) -> u64| run.partitions.iter().map(|partition| of(&partition.in_this_run)).sum();
    let reasons: [(u64, &str); 3] = [
        (sum(|counters| counters.late), "too late for their minutes"),
        (sum(|counters| counters.malformed), "malformed"),
        (sum(|counters| counters.too_far_ahead), "too far ahead of the clock"),
    ];
    let named: Vec<String> =
        reasons.iter().filter(|(many, _)| *many > 0).map(|(many, why)| format!("{many} {why}")).collect();
    match named.is_empty() {
        true => "no event was rejected in this run".to_owned(),
        false => format!("of this run's events, of whatever source and minute, {} are in no row", named.join(", ")),
    }
}

/// What became of a minute; without one, of the oldest that is open. With a lane, its rows are told apart.
pub(super) fn of_minute(status: &Status, ledger: &[CommitLedger], minute: Option<Minute>, lane: Option<u32>) -> String {
    let Some(run) = &status.run else {
        return format!("nothing is read yet: {}", stage(status.stage));
    };
    let Some(minute) = minute else { return oldest(status, run) };
    let name = format!("minute {} UTC", utc_minute(minute));
    if status.about.process != 0 && run.committing.is_none() {
        return format!("{name}: {}", elsewhere(status, run, minute));
    }
    if run.newest.epoch.is_some_and(|newest| minute <= newest) {
        return closed(status, run, ledger, minute, lane, &name);
    }
    let begins = minute.cast_signed() * MINUTE_MS;
    if begins > status.now {
        return format!("{name} is in the future: at the job it is {} UTC", utc(status.now));
    }
    let so_far = so_far(run, minute);
    match open_since(run) {
        Some(open) if minute >= open => format!("{name} is not complete{so_far}: {}", why_open(status, run)),
        Some(_) | None if run.slots.is_empty() => {
            format!(
                "{name}: no slot of this process has told of a partition, so it is not known whether it is complete"
            )
        }
        _ => format!(
            "{name} is complete{} and waits for its commit{so_far}: {}",
            here(status),
            why_not_committed(status, run)
        ),
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Opening => "the job opens its source",
        Stage::Meeting => "the job waits for its other processes",
        Stage::Resuming => "the job takes up its state and makes its sink ready",
        Stage::Running => "the job has just begun",
        Stage::Ending => "the job ends",
    }
}

/// Minutes before this one are complete, as far as is known; none where all are.
fn open_since(run: &Run) -> Option<Minute> {
    run.oldest_open.as_ref().map(|open| open.minute.unwrap_or(FIRST_EPOCH))
}

fn why_open(status: &Status, run: &Run) -> String {
    let why = run.oldest_open.as_ref().map_or("nothing holds it open here", |open| &open.why);
    let older = run.oldest_open.as_ref().and_then(|open| open.minute);
    let first =
        older.map_or(String::new(), |older| format!("; the oldest open minute is {}", &utc_minute(older)[11..]));
    let stopped = match run.slots.iter().find_map(|slot| Some((slot.slot, slot.stopped?))) {
        Some((slot, Stopped::Commits)) => {
            format!("; slot {slot} reads nothing until more is committed: {}", why_not_committed(status, run))
        }
        Some((slot, Stopped::Credits)) => format!("; slot {slot} waits until what it sent is folded"),
        None => String::new(),
    };
    format!("{why}{first}{stopped}")
}

fn why_not_committed(status: &Status, run: &Run) -> String {
    let next = match run.newest.next.first() {
        Some(&LAST_EPOCH) => "the next commit is that of the end of all input".to_owned(),
        Some(&FIRST_EPOCH) => "the first commit, which fixes where the pipeline begins, is not made yet".to_owned(),
        Some(next) => format!("the next commit is up to minute {}", &utc_minute(*next)[11..]),
        None => "all input is committed".to_owned(),
    };
    match cause(status, run) {
        Some(cause) => format!("{next}; {cause}"),
        None => format!("{next}; {}", step(run)),
    }
}

/// Where one process does not see all slots.
fn here(status: &Status) -> String {
    match status.about.processes {
        0 | 1 => String::new(),
        of => format!(" as far as process {} of {of} knows", status.about.process),
    }
}

/// Events of an open minute at the newest commit.
fn so_far(run: &Run, minute: Minute) -> String {
    let open = run.newest.open.iter().flatten().filter(|open| open.minute == minute);
    match open.map(|open| open.events).sum::<u64>() {
        0 => String::new(),
        events => format!(" ({events} events were in it at the newest commit)"),
    }
}

fn oldest(status: &Status, run: &Run) -> String {
    match &run.oldest_open {
        Some(open) => {
            let name = open.begins.as_ref().map_or("no minute can be complete yet".to_owned(), |begins| {
                format!("the oldest minute that is not complete is {begins} UTC")
            });
            format!("{name}{}: {}", here(status), why_open(status, run))
        }
        None if run.slots.is_empty() => "no slot of this process has told of a partition yet".to_owned(),
        None => {
            format!("no minute is open{}: all input has been read; {}", here(status), why_not_committed(status, run))
        }
    }
}

/// What another process than the first can say.
fn elsewhere(status: &Status, run: &Run, minute: Minute) -> String {
    let so_far = match open_since(run) {
        Some(open) if minute >= open => format!("it is not complete: {}", why_open(status, run)),
        _ => "no partition of this process holds it open".to_owned(),
    };
    format!("{so_far}; ask process 0 whether it is committed: process {} does not know", status.about.process)
}

/// A minute that a commit has closed.
fn closed(
    status: &Status,
    run: &Run,
    ledger: &[CommitLedger],
    minute: Minute,
    lane: Option<u32>,
    name: &str,
) -> String {
    let late = format!("events for it that come now are late ({})", rejected(run));
    let by = ledger.iter().find(|commit| minute <= commit.commit && commit.after.is_none_or(|after| minute > after));
    let Some(by) = by else {
        return format!(
            "{name} was closed before what this run remembers; its rows, if it had events, are in the sink: minuet ledger --sink ... \
             counts them; {late}"
        );
    };
    let (mut rows, mut events) = (0, 0);
    for line in by.minutes.iter().filter(|line| line.minute == minute && lane.is_none_or(|lane| line.lane == lane)) {
        rows += line.rows;
        events += line.events;
    }
    let lane = lane.map_or(String::new(), |lane| format!(" of lane {lane}"));
    let held = match rows {
        0 => format!("no event{lane} was in it, so it has no row"),
        1 => format!("1 row{lane} of {} in it", events_of(events)),
        rows => format!("{rows} rows{lane} of {} in it", events_of(events)),
    };
    let ago = span((status.now - by.written_at).max(0));
    format!(
        "{name} was committed at {} UTC, {ago} ago, with {}: {held}; {late}",
        utc(by.written_at),
        commit_of(by.commit)
    )
}

fn events_of(events: u64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

fn commit_of(commit: Epoch) -> String {
    match commit {
        FIRST_EPOCH => "the first commit".to_owned(),
        LAST_EPOCH => "the commit of the end of input".to_owned(),
        commit => format!("commit {commit}"),
    }
}

#[cfg(test)]
mod tests;
