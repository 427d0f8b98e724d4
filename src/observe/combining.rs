//! What folding before the exchange comes to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::dataflow::edges::Combined;

/// The choices of the slots, and what was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Combining {
    events: u64,
    partials: u64,
    /// Per slot, whether it folds now.
    folds: BTreeMap<usize, bool>,
}

/// Numbers for programs; all 0 where nothing was folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Events that were folded before the exchange.
    pub folded: u64,
    /// Partials that were sent in their place.
    pub partials: u64,
    /// Slots that fold now.
    pub slots_folding: u64,
    /// Slots that tried it and send events one by one now.
    pub slots_one_by_one: u64,
}

impl Combining {
    /// One epoch of one slot; whether the slot's choice is a new one.
    pub(super) fn add(&mut self, combined: &Combined) -> bool {
        self.events += combined.events;
        self.partials += combined.partials;
        self.folds.insert(combined.slot, combined.goes_on) != Some(combined.goes_on)
    }

    /// Whether no slot has folded anything.
    pub fn is_silent(&self) -> bool {
        self.folds.is_empty()
    }

    /// As numbers.
    pub fn numbers(&self) -> Numbers {
        let slots_folding = self.folds.values().filter(|folds| **folds).count() as u64;
        Numbers {
            folded: self.events,
            partials: self.partials,
            slots_folding,
            slots_one_by_one: self.folds.len() as u64 - slots_folding,
        }
    }
}

/// One phrase; empty where no slot has folded anything.
impl fmt::Display for Combining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Numbers { folded, partials, slots_folding, slots_one_by_one } = self.numbers();
        let each = folded as f64 / partials.max(1) as f64;
        match (slots_folding, slots_one_by_one) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, "folded before the exchange: {each:.1} events in each partial"),
            (0, _) => write!(f, "sent one by one: a partial would hold {each:.1} events"),
            (folding, resting) => {
                let all = folding + resting;
                write!(f, "folded before the exchange by {folding} of {all} workers: {each:.1} events in each partial")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(slots: &[(usize, u64, u64, bool)]) -> Combining {
        let mut combining = Combining::default();
        for &(slot, events, partials, goes_on) in slots {
            combining.add(&Combined { slot, events, partials, goes_on });
        }
        combining
    }

    #[test]
    fn the_choice_and_the_gain_are_said() {
        for (slots, said) in [
            (&[][..], ""),
            (&[(0, 300, 10, true), (1, 302, 10, true)], "folded before the exchange: 30.1 events in each partial"),
            (&[(0, 12, 10, true), (0, 12, 10, false)], "sent one by one: a partial would hold 1.2 events"),
            (
                &[(0, 90, 10, true), (1, 10, 10, false)],
                "folded before the exchange by 1 of 2 workers: 5.0 events in each partial",
            ),
        ] {
            assert_eq!(told(slots).to_string(), said);
        }
    }

    #[test]
    fn a_slot_counts_with_its_newest_choice() {
        let mut combining = told(&[(0, 90, 10, true), (1, 10, 10, false)]);
        let numbers = Numbers { folded: 100, partials: 20, slots_folding: 1, slots_one_by_one: 1 };
        assert_eq!(combining.numbers(), numbers);
        assert!(combining.add(&Combined { slot: 1, events: 30, partials: 10, goes_on: true }));
        assert!(!combining.add(&Combined { slot: 1, events: 30, partials: 10, goes_on: true }));
        let numbers = Numbers { folded: 160, partials: 40, slots_folding: 2, slots_one_by_one: 0 };
        assert_eq!(combining.numbers(), numbers);
    }
}
