//! What a run came to.

use std::fmt;

use serde::Serialize;

use super::{Combining, Progress};
use crate::limits::MINUTE_MS;
use crate::snapshot::{Counters, Totals};
use crate::time::{Epoch, FIRST_EPOCH, LAST_EPOCH, utc};

/// The sums of the newest manifest: of the whole pipeline, whatever number of runs it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What became of all events.
    #[serde(flatten)]
    pub counters: Counters,
    /// What all rows come to.
    #[serde(flatten)]
    pub totals: Totals,
    /// How often the wall clock declared a partition idle.
    pub idle_decisions: u64,
    /// Commits of this run.
    pub commits: u64,
    /// The number of this run.
    pub attempt: u64,
    /// What folding before the exchange came to in this run; not part of what came out.
    #[serde(skip)]
    pub combining: Combining,
}

impl Summary {
    /// The summary at the newest commit.
    pub fn of(progress: &Progress) -> Self {
        let manifest = progress.newest();
        Summary {
            counters: manifest.counters(),
            totals: manifest.totals,
            idle_decisions: manifest.cut.iter().map(|cut| cut.idle_decisions).sum(),
            commits: progress.commits(),
            attempt: manifest.attempt,
            combining: progress.combining(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { rows, counted, overflows } = self.totals;
        writeln!(f, "{}", balance(&self.counters))?;
        write!(f, "rows {}", grouped(rows))?;
        if rows > 0 {
            write!(f, " ({:.1} events in each)", counted as f64 / rows as f64)?;
        }
        if overflows > 0 {
            write!(f, "; {} sums did not fit their column and are null", grouped(overflows))?;
        }
        if self.idle_decisions > 0 {
            write!(f, "; partitions declared idle {} times", grouped(self.idle_decisions))?;
        }
        write!(f, "; commits {} in run {}", grouped(self.commits), self.attempt)?;
        if self.combining.is_silent() { Ok(()) } else { write!(f, "\n{}", self.combining) }
    }
}

/// What became of the events, as a sum that is right or says that it is not.
pub fn balance(counters: &Counters) -> String {
    format!(
        "read {} {} folded {} + malformed {} + late {} + too far ahead {}",
        grouped(counters.read),
        if counters.balanced() { "=" } else { "is NOT" },
        grouped(counters.folded),
        grouped(counters.malformed),
        grouped(counters.late),
        grouped(counters.too_far_ahead)
    )
}

/// A commit epoch for people.
pub fn committed(commit: Option<Epoch>) -> String {
    match commit {
        None => "nothing yet".into(),
        Some(FIRST_EPOCH) => "genesis".into(),
        Some(LAST_EPOCH) => "end of input".into(),
        Some(minute) => utc(minute.cast_signed() * MINUTE_MS)[..16].into(),
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
