//! Partitions: every line balances, and begins where the one before it ended.

use std::collections::BTreeMap;

use super::report::{Agreed, Report, commit};
use super::{LedgerSource, PartitionLine, Range};
use crate::error::Result;
use crate::snapshot::{Counters, Position};
use crate::time::Epoch;

/// Where a partition's line ended.
struct End {
    to: Option<Position>,
    commit: Epoch,
    gaps: u64,
}

/// Checks the lines of partitions; gives what was counted of each.
pub(super) fn check(
    source: &dyn LedgerSource,
    range: Range,
    report: &mut Report,
) -> Result<BTreeMap<String, Counters>> {
    let mut ends: BTreeMap<String, End> = BTreeMap::new();
    let mut sums: BTreeMap<String, Counters> = BTreeMap::new();
    let mut newest: Option<PartitionLine> = None;
    for line in source.partitions(range)? {
        let line = line?;
        let place = || format!("{}, {}", commit(line.commit), line.partition);
        if let Some(before) = &newest {
            report.demand(line.commit >= before.commit, place, || format!("it comes after {}", commit(before.commit)));
            report.demand(line.attempt >= before.attempt, place, || {
                format!("it is of attempt {}, an earlier commit of attempt {}", line.attempt, before.attempt)
            });
        }
        report.demand(line.counters.balanced(), place, || unbalanced(&line.counters));
        report.demand(line.from <= line.to, place, || format!("it goes back {}", way(line.from, line.to)));
        gaps(&line, ends.get(&line.partition), range, report);
        match ends.get(&line.partition) {
            Some(end) => follows(&line, end, report),
            None => report.demand(range != Range::ALL || line.from.is_none(), place, || {
                format!("it is the partition's first line, and begins {}", way(line.from, line.to))
            }),
        }
        ends.insert(line.partition.clone(), End { to: line.to, commit: line.commit, gaps: line.gaps });
        sums.entry(line.partition.clone()).or_default().add(&line.counters);
        report.counters.add(&line.counters);
        newest = Some(line);
    }
    report.partitions = sums.len() as u64;
    Ok(sums)
}

fn follows(line: &PartitionLine, end: &End, report: &mut Report) {
    let place = || format!("{}, {}", commit(line.commit), line.partition);
    report.demand(line.commit > end.commit, place, || "the commit has two lines of the partition".to_owned());
    report.demand(line.from == end.to, place, || {
        let what = if line.from > end.to { "a hole" } else { "an overlap" };
        format!("{what}: it begins at {}, {} ended at {}", at(line.from), commit(end.commit), at(end.to))
    });
}

/// The count is that of the partition's life: the line at which it rises is of the commit that did without entries.
fn gaps(line: &PartitionLine, end: Option<&End>, range: Range, report: &mut Report) {
    let place = || format!("{}, {}", commit(line.commit), line.partition);
    let (before, within) = match end {
        Some(end) => (end.gaps, true),
        None => (0, range == Range::ALL && line.from.is_none()),
    };
    report.demand(line.gaps >= before, place, || format!("it counts {} gaps, {before} were there before", line.gaps));
    let gaps = line.gaps.saturating_sub(before);
    if gaps > 0 {
        let PartitionLine { partition, commit, from, to, .. } = line.clone();
        report.agreed(Agreed { partition, commit, from, to, gaps, within });
    }
}

fn unbalanced(counters: &Counters) -> String {
    let Counters { read, folded, malformed, late, too_far_ahead, .. } = counters;
    format!("{read} read, but {folded} folded + {malformed} malformed + {late} late + {too_far_ahead} too far ahead")
}

fn way(from: Option<Position>, to: Option<Position>) -> String {
    format!("at {} and ends at {}", at(from), at(to))
}

fn at(position: Option<Position>) -> String {
    position.map_or("the beginning".to_owned(), |position| format!("{}:{}", position.0, position.1))
}
