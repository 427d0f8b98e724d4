//! What a run came to.

use std::fmt;

use serde::Serialize;

use super::Progress;

/// The sums of the newest manifest: of the whole pipeline, whatever number of runs it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Events read.
    pub read: u64,
    /// Events in rows.
    pub folded: u64,
    /// Events that could not be decoded.
    pub malformed: u64,
    /// Events whose minute was closed.
    pub late: u64,
    /// Events too far past their publish time.
    pub too_far_ahead: u64,
    /// Null values of selected fields.
    pub nulls: u64,
    /// NaN and infinite values of selected fields.
    pub non_finite: u64,
    /// Rows written.
    pub rows: u64,
    /// The sum of their counts.
    pub counted: u64,
    /// Sums in them that did not fit their column.
    pub overflows: u64,
    /// How often the wall clock declared a partition idle.
    pub idle_decisions: u64,
    /// Commits of this run.
    pub commits: u64,
    /// The number of this run.
    pub attempt: u64,
}

impl Summary {
    /// The summary at the newest commit.
    pub fn of(progress: &Progress) -> Self {
        let manifest = progress.newest();
        let counters = manifest.counters();
        Summary {
            read: counters.read,
            folded: counters.folded,
            malformed: counters.malformed,
            late: counters.late,
            too_far_ahead: counters.too_far_ahead,
            nulls: counters.nulls,
            non_finite: counters.non_finite,
            rows: manifest.totals.rows,
            counted: manifest.totals.counted,
            overflows: manifest.totals.overflows,
            idle_decisions: manifest.cut.iter().map(|cut| cut.idle_decisions).sum(),
            commits: progress.commits(),
            attempt: manifest.attempt,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = self.folded + self.malformed + self.late + self.too_far_ahead;
        let sign = if sum == self.read { "=" } else { "is NOT" };
        writeln!(
            f,
            "read {} {sign} folded {} + malformed {} + late {} + too far ahead {}",
            grouped(self.read),
            grouped(self.folded),
            grouped(self.malformed),
            grouped(self.late),
            grouped(self.too_far_ahead)
        )?;
        write!(f, "rows {}", grouped(self.rows))?;
        if self.rows > 0 {
            write!(f, " ({:.1} events in each)", self.counted as f64 / self.rows as f64)?;
        }
        if self.overflows > 0 {
            write!(f, "; {} sums did not fit their column and are null", grouped(self.overflows))?;
        }
        if self.idle_decisions > 0 {
            write!(f, "; partitions declared idle {} times", grouped(self.idle_decisions))?;
        }
        write!(f, "; commits {} in run {}", grouped(self.commits), self.attempt)
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
