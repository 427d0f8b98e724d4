//! Rejects: never more than were counted, and none missing up to the number that is surely kept.

use std::collections::BTreeMap;

use super::report::{Report, commit};
use super::{Kept, LedgerSource, PartitionLine, Range};
use crate::error::Result;
use crate::limits::REJECTS_KEPT_PER_MINUTE;
use crate::snapshot::Counters;
use crate::time::Epoch;

/// Checks rejects against what was counted; `sums` are the counters of each partition.
pub(super) fn check(
    source: &dyn LedgerSource,
    range: Range,
    sums: &BTreeMap<String, Counters>,
    report: &mut Report,
) -> Result<()> {
    let mut lines = source.partitions(range)?.peekable();
    let mut kept_of: BTreeMap<String, u64> = BTreeMap::new();
    // What one commit counted, by partition.
    let mut counted: (Option<Epoch>, BTreeMap<String, Counters>) = (None, BTreeMap::new());
    for kept in source.rejects(range)? {
        let kept = kept?;
        if counted.0 != Some(kept.commit) {
            counted = (Some(kept.commit), BTreeMap::new());
            while let Some(line) = lines.next_if(|line| line.as_ref().map_or(true, |line| line.commit <= kept.commit)) {
                let PartitionLine { commit, partition, counters, .. } = line?;
                if commit == kept.commit {
                    counted.1.entry(partition).or_default().add(&counters);
                }
            }
        }
        compare(&kept, counted.1.get(&kept.partition).copied().unwrap_or_default(), report);
        let many = kept.malformed + kept.late + kept.too_far_ahead;
        report.rejects += many;
        *kept_of.entry(kept.partition).or_default() += many;
    }
    if range == Range::ALL {
        sums.iter().for_each(|(partition, sum)| enough(partition, sum, kept_of.get(partition).copied(), report));
    }
    Ok(())
}

fn compare(kept: &Kept, counted: Counters, report: &mut Report) {
    let reasons = [
        ("malformed", kept.malformed, counted.malformed),
        ("late", kept.late, counted.late),
        ("too far ahead", kept.too_far_ahead, counted.too_far_ahead),
    ];
    for (reason, there, counted) in reasons {
        report.demand(
            there <= counted,
            || format!("{}, {}", commit(kept.commit), kept.partition),
            || format!("{there} rejects are {reason}, but only {counted} events were counted so"),
        );
    }
}

/// The first rejects of a partition are kept whatever their minute; malformed events without frames may share one.
fn enough(partition: &str, sum: &Counters, kept: Option<u64>, report: &mut Report) {
    let alone = sum.late.saturating_add(sum.too_far_ahead).saturating_add(u64::from(sum.malformed > 0));
    let (kept, least) = (kept.unwrap_or(0), alone.min(REJECTS_KEPT_PER_MINUTE));
    report.demand(
        kept >= least,
        || partition.to_owned(),
        || format!("{kept} rejects are there, at least {least} were kept: rejects are missing"),
    );
}
