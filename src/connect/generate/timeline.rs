//! When the events of one partition happen, before any disorder.

use super::spec::{Extent, Spec};
use crate::error::{Error, Result};
use crate::limits::{CAPTURE_ENTRY_EVENTS, TIME_END_S};

const NS_PER_MS: i64 = 1_000_000;

/// Evenly spaced event times in nanoseconds since the Unix epoch, with one gap where the partition falls silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    first_ns: i64,
    step_ns: i64,
    /// Events of the partition.
    pub(super) events: u64,
    gap_from: u64,
    gap_ns: i64,
}

impl Timeline {
    /// The timeline of a partition. An error where it would leave the time that event times may have.
    pub(super) fn new(spec: &Spec, partition: u32) -> Result<Self> {
        let partitions = u64::from(spec.partitions);
        let step = (1e9 * f64::from(spec.partitions) / spec.rate).round().max(1.0) as i128;
        // Partitions take turns, so that all together give the rate evenly.
        let offset = step * i128::from(partition) / i128::from(partitions);
        // The last partitions are the silent ones: which they are must not depend on luck.
        let silent = (spec.idle * f64::from(spec.partitions)).round() as u32;
        let is_silent = partition >= spec.partitions - silent.min(spec.partitions);
        let gap_steps = if is_silent { i128::from(spec.idle_for) * i128::from(NS_PER_MS) / step } else { 0 };
        let (events, gap_from, gap_steps) = match spec.extent {
            Extent::Events(total) => {
                let events = total / partitions + u64::from(u64::from(partition) < total % partitions);
                (i128::from(events), i128::from(events) * 2 / 5, gap_steps)
            }
            Extent::Duration(duration) => {
                let span = i128::from(duration) * i128::from(NS_PER_MS);
                let whole = ((span - offset).max(0) + step - 1) / step;
                let gap_from = whole * 2 / 5;
                let gap_steps = gap_steps.min(whole - gap_from);
                (whole - gap_steps, gap_from, gap_steps)
            }
        };
        let first = i128::from(spec.start) * i128::from(NS_PER_MS) + offset;
        let last = first + step * (events + gap_steps);
        if last >= i128::from(TIME_END_S) * 1_000_000_000 {
            return Err(Error::configuration(format!(
                "generating {events} events of partition {partition}, {step} ns apart, would pass 2106-02-07, the end of \
                 event time; ask for fewer events, a shorter duration, a higher rate or an earlier start"
            )));
        }
        // All of these are at most `last`, which is below 2^63.
        Ok(Timeline {
            first_ns: first as i64,
            step_ns: step as i64,
            events: events as u64,
            gap_from: gap_from as u64,
            gap_ns: (gap_steps * step) as i64,
        })
    }

    /// The time of event `n` of the partition.
    #[inline]
    pub(super) fn time_ns(&self, n: u64) -> i64 {
        let gap = if n >= self.gap_from { self.gap_ns } else { 0 };
        self.first_ns + n as i64 * self.step_ns + gap
    }

    /// Entries of the partition; the last one may be short.
    pub(super) fn entries(&self) -> u64 {
        self.events.div_ceil(CAPTURE_ENTRY_EVENTS as u64)
    }
}
