//! All checks of a ledger.

use std::collections::BTreeSet;

use super::report::Report;
use super::{LedgerSource, Range, Repeated, chain, minutes, rejects};
use crate::error::Result;
use crate::time::LAST_EPOCH;

/// Checks what a sink holds, all of it or a range of minutes. An error says that it cannot be read; what does not add up is in the
/// report.
pub fn check(source: &dyn LedgerSource, range: Range) -> Result<Report> {
    let mut report = Report::default();
    commits(source, range, &mut report)?;
    let sums = chain::check(source, range, &mut report)?;
    minutes::check(source, range, &mut report)?;
    rejects::check(source, range, &sums, &mut report)?;
    repeated(source, range, &mut report)?;
    if range == Range::ALL {
        totals(&mut report);
    }
    Ok(report)
}

/// What is stored twice is a fault even where readers of the newest see it once: others add it up twice.
fn repeated(source: &dyn LedgerSource, range: Range, report: &mut Report) -> Result<()> {
    for repeated in source.repeated(range)? {
        let Repeated { what, times, revisions } = repeated?;
        let by = revisions.map_or(String::new(), |runs| format!(", by runs {runs}; the newest counts"));
        report.found(what, format!("it is stored {times} times{by}"));
    }
    Ok(())
}

/// Counts the commits that left a line of either kind.
fn commits(source: &dyn LedgerSource, range: Range, report: &mut Report) -> Result<()> {
    let mut commits = BTreeSet::new();
    let mut last = None;
    for commit in source.partitions(range)?.map(|line| line.map(|line| line.commit)) {
        let commit = commit?;
        if last.replace(commit) != Some(commit) {
            commits.insert(commit);
        }
    }
    for commit in source.minutes(range)?.map(|line| line.map(|line| line.place.commit)) {
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
