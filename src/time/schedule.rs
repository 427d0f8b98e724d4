//! Which epochs commit.
//!
//! A manifest names the next two commit epochs before anyone acts on them, so that every slot, and every later run, cuts
//! the output at the same places whatever sequence of frontiers it happens to observe.

use super::{Epoch, FIRST_EPOCH, LAST_EPOCH, Millis, Minute};
use crate::error::{Error, Result};
use crate::limits::COMMIT_STEP_MAX;

/// How fast the epochs go by; measured by the caller, from the clock it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Epochs that the frontier passes in a second, rounded up.
    pub epochs_per_second: u64,
    /// The newest epoch that is bound to be passed soon, by data or by idleness: the minute of the wall clock minus
    /// `out_of_order`. [`FIRST_EPOCH`] where the clock shall have no say: then only epochs that the frontier has passed are
    /// skipped.
    pub reach: Minute,
}

impl Pace {
    /// The pace at which `epochs` went by in `elapsed` milliseconds.
    pub fn measured(epochs: u64, elapsed: Millis, reach: Minute) -> Self {
        let elapsed = u64::try_from(elapsed).unwrap_or(0).max(1);
        Pace { epochs_per_second: epochs.saturating_mul(1_000).div_ceil(elapsed), reach }
    }
}

/// The commit schedule as one manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The newest commit epoch; `None` before the genesis.
    pub committed: Option<Epoch>,
    /// The next ones, ascending: the genesis alone at the start, two while there is input, at its end the last epoch alone,
    /// then none.
    pub next: Vec<Epoch>,
}

impl Schedule {
    /// The schedule of a new pipeline: the genesis comes first.
    pub fn start() -> Self {
        Schedule { committed: None, next: vec![FIRST_EPOCH] }
    }

    /// The schedule that a manifest holds; one that is not ascending is an error.
    pub fn restored(committed: Option<Epoch>, next: &[Epoch]) -> Result<Self> {
        let whole: Vec<Epoch> = committed.into_iter().chain(next.iter().copied()).collect();
        let ascending = whole.windows(2).all(|pair| pair[0] < pair[1]);
        let ends =
            whole.last().is_some_and(|last| next.is_empty() == (committed == Some(LAST_EPOCH)) && *last <= LAST_EPOCH);
        if ascending && ends && next.len() <= 2 {
            return Ok(Schedule { committed, next: next.to_vec() });
        }
        Err(Error::data(format!(
            "the commit schedule says {committed:?} was committed and {next:?} come next; allowed are one or two ascending epochs \
             up to {LAST_EPOCH} after the committed one, and none only after {LAST_EPOCH}"
        )))
    }

    /// The named epoch that can commit now: the first one, once `frontier` (`None`: all input has ended) has passed it.
    pub fn due(&self, frontier: Option<Epoch>) -> Option<Epoch> {
        self.next.first().copied().filter(|&epoch| frontier.is_none_or(|frontier| frontier > epoch))
    }

    /// The schedule after the first named epoch was committed, when the slots' frontier stood at `frontier`.
    ///
    /// The second named epoch stays (it is durable), another is named after it:
    /// - the next minute; or, further on,
    /// - the newest epoch that the frontier has passed already: what would be cut apart before it has all been read and
    ///   waits in memory; or
    /// - as far as the pace goes in a second, but not past [`Pace::reach`]: were the backlog to end before that epoch, idleness
    ///   would still pass it, and no row would wait for longer than it must;
    /// - at the end of the input: the last epoch.
    ///
    /// After the genesis the frontier itself is the first: minutes below it can no longer come.
    pub fn after_commit(&self, frontier: Option<Epoch>, pace: Pace) -> Schedule {
        let Some(&committed) = self.next.first() else { return self.clone() };
        let frontier = frontier.filter(|&epoch| epoch < LAST_EPOCH);
        let mut next = self.next[1..].to_vec();
        if next.is_empty() && committed < LAST_EPOCH {
            next.push(frontier.map_or(LAST_EPOCH, |epoch| epoch.max(committed + 1)));
            if let Some(&first) = next.first().filter(|&&first| first < LAST_EPOCH) {
                next.push(first + 1);
            }
        } else if let Some(&newest) = next.last().filter(|&&newest| newest < LAST_EPOCH) {
            next.push(frontier.map_or(LAST_EPOCH, |epoch| name_after(newest, epoch, pace)));
        }
        Schedule { committed: Some(committed), next }
    }
}

fn name_after(newest: Epoch, frontier: Epoch, pace: Pace) -> Epoch {
    let passed = frontier.saturating_sub(1);
    let by_pace = newest.saturating_add(pace.epochs_per_second).min(pace.reach);
    // What the frontier has passed is stepped over at once, however far it is: nothing more comes to it.
    passed.max(by_pace.min(newest + COMMIT_STEP_MAX)).max(newest + 1).min(LAST_EPOCH)
}

#[cfg(test)]
mod tests;
