//! Minutes: what was given away is what the rows count, and the rows are those that were written.

use super::report::{Report, commit, minute};
use super::{Content, Found, LedgerSource, Lines, Place, Range, Told};
use crate::error::Result;

/// Lines with the next one in sight.
struct Ahead<'a, T> {
    lines: Lines<'a, T>,
    next: Option<T>,
}

impl<'a, T> Ahead<'a, T> {
    fn new(mut lines: Lines<'a, T>) -> Result<Self> {
        let next = lines.next().transpose()?;
        Ok(Ahead { lines, next })
    }

    /// The next one, where it is wanted.
    fn take_if(&mut self, wanted: impl FnOnce(&T) -> bool) -> Result<Option<T>> {
        if !self.next.as_ref().is_some_and(wanted) {
            return Ok(None);
        }
        let next = self.lines.next().transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

/// Checks the lines of minutes against each other and against the rows: both ascend, so one pass over the two is enough.
pub(super) fn check(source: &dyn LedgerSource, range: Range, report: &mut Report) -> Result<()> {
    let (mut told, mut found) = (Ahead::new(source.minutes(range)?)?, Ahead::new(source.rows(range)?)?);
    // The newest line, and the newest place of a commit before its.
    let (mut newest, mut before): (Option<Place>, Option<Place>) = (None, None);
    let mut newest_rows: Option<Place> = None;
    loop {
        let places = [told.next.as_ref().map(|line| line.place), found.next.as_ref().map(|rows| rows.place)];
        let Some(place) = places.into_iter().flatten().min() else { return Ok(()) };
        let line = told.take_if(|line| line.place == place)?;
        let rows = found.take_if(|rows| rows.place == place)?;
        if let Some(line) = &line {
            if newest.is_some_and(|newest| newest.commit < place.commit) {
                before = newest;
            }
            orders(place, newest, before, report);
            report.minutes += u64::from(newest.is_none_or(|newest| newest.minute != place.minute));
            report.events = report.events.saturating_add(line.events);
            newest = Some(place);
        }
        if let Some(rows) = &rows {
            let twice = newest_rows.is_some_and(|newest| newest >= place);
            report.demand(!twice, || words(place), || "its rows come twice or out of order".to_owned());
            report.rows = report.rows.saturating_add(rows.content.rows);
            report.counted = report.counted.saturating_add(rows.content.counted);
            newest_rows = Some(place);
        }
        compare(place, line.as_ref(), rows.as_ref(), report);
    }
}

/// Places ascend, and a minute is closed by the first commit that reaches it.
fn orders(place: Place, newest: Option<Place>, before: Option<Place>, report: &mut Report) {
    let ascends = newest.is_none_or(|newest| newest < place);
    report.demand(ascends, || words(place), || "its line comes twice or out of order".to_owned());
    report.demand(place.minute <= place.commit, || words(place), || "the minute is past the commit".to_owned());
    if let Some(before) = before.filter(|before| place.minute <= before.commit && before.commit < place.commit) {
        report.found(words(place), format!("{} had closed the minute already", commit(before.commit)));
    }
}

/// Compares a line with the rows that are there.
fn compare(place: Place, line: Option<&Told>, rows: Option<&Found>, report: &mut Report) {
    let there = rows.map(|rows| rows.content).unwrap_or_default();
    let Some(Told { events, content: told, .. }) = line else {
        let Content { rows, counted, .. } = there;
        report.found(words(place), format!("{rows} rows that count {counted} have no line in the ledger"));
        return;
    };
    report.demand(
        *events == told.counted,
        || words(place),
        || {
            let what = if *events > told.counted { "lost" } else { "doubled" };
            let many = events.abs_diff(told.counted);
            format!(
                "{events} events were folded, its rows were written with a count of {}: {many} {what}",
                told.counted
            )
        },
    );
    let what = match (there.rows.cmp(&told.rows), there.counted == told.counted, there.hash == told.hash) {
        (std::cmp::Ordering::Less, ..) => format!("{} rows are missing", told.rows - there.rows),
        (std::cmp::Ordering::Greater, ..) => format!("{} rows too many", there.rows - told.rows),
        (_, false, _) => format!("the counts of its rows come to {}", there.counted),
        (_, _, false) => format!("the content of its rows has hash {:016x}", there.hash),
        _ => return,
    };
    let Content { rows, counted, hash } = told;
    report.found(words(place), format!("{what}: written were {rows} that count {counted}, hash {hash:016x}"));
}

fn words(place: Place) -> String {
    format!("{}, minute {}, lane {}", commit(place.commit), minute(place.minute), place.lane)
}
