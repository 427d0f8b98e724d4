//! All checks of a ledger.

use std::collections::BTreeSet;

use super::report::Report;
use super::{LedgerSource, Range, Repeated, Runs, chain, minutes, rejects};
use crate::error::Result;
use crate::time::LAST_EPOCH;

/// Checks what a sink holds, all of it or a range of minutes; what it has let go for its age is left out. An error says that it cannot be read; what does not add up is in the
/// report.
pub fn check(source: &dyn LedgerSource, range: Range) -> Result<Report> {
    let mut report = Report { horizon: source.horizon()?, ..Report::default() };
    let (of_commits, of_minutes) = report.horizon.within(range);
    commits(source, of_commits, of_minutes, &mut report)?;
    let sums = chain::check(source, of_commits, &mut report)?;
    minutes::check(source, of_minutes, &mut report)?;
    rejects::check(source, of_commits, &sums, &mut report)?;
    repeated(source, of_minutes, &mut report)?;
    if (of_commits, of_minutes) == (Range::ALL, Range::ALL) {
        totals(&mut report);
    }
    Ok(report)
}

/// What one run stored twice is a fault even where readers of the newest see it once. What a newer run has replaced is none: an older
/// one that lived on may have stored it, and it is there until the next merge.
fn repeated(source: &dyn LedgerSource, range: Range, report: &mut Report) -> Result<()> {
    for repeated in source.repeated(range)? {
        let Repeated { what, times, by } = repeated?;
        match by {
            Some(Runs { newest: 1, mend, .. }) => report.replaced(mend),
            Some(Runs { revisions, .. }) => {
                report.found(what, format!("it is stored {times} times, by runs {revisions}; the newest counts"));
            }
            None => report.found(what, format!("it is stored {times} times")),
        }
    }
    Ok(())
}

/// Counts the commits that left a line of either kind.
fn commits(source: &dyn LedgerSource, of_commits: Range, of_minutes: Range, report: &mut Report) -> Result<()> {
    let mut commits = BTreeSet::new();
    let mut last = None;
    for commit in source.partitions(of_commits)?.map(|line| line.map(|line| line.commit)) {
        let commit = commit?;
        if last.replace(commit) != Some(commit) {
            commits.insert(commit);
        }
    }
    for commit in source.minutes(of_minutes)?.map(|line| line.map(|line| line.place.commit)) {
        let commit = commit?;
        if last.replace(commit) != Some(commit) {
            commits.insert(commit);
        }
    }
    report.commits = commits.len() as u64;
    report.newest = commits.last().copied();
    Ok(())
}

/// What was folded is in minutes that are closed, or open; after the last commit none is.
fn totals(report: &mut Report) {
    let (folded, events, newest) = (report.counters.folded, report.events, report.newest);
    report.open = folded.checked_sub(events);
    let place = || "all partitions and minutes".to_owned();
    report.demand(events <= folded, place, || {
        format!("{folded} events were folded, but minutes were closed with {events}: {} too many", events - folded)
    });
    report.demand(newest != Some(LAST_EPOCH) || events >= folded, place, || {
        format!(
            "{folded} events were folded, and all is closed, but minutes have {events}: {} are lost",
            folded - events
        )
    });
}
