//! How many events a slot gives away to be folded, per minute and lane: what the ledger holds against the rows' own counts.
//!
//! It is counted here, before the exchange, because here is where a partition's counters are: whatever is lost or doubled between
//! here and a row, on the way, in a table, in a part or in a resume, the two no longer agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::snapshot::lane;
use crate::time::Minute;

/// Events that a slot has given away since its last cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::dataflow) struct Folded {
    /// Their minute.
    pub minute: Minute,
    /// Their lane.
    pub lane: u32,
    /// How many.
    pub events: u64,
}

/// Counts them between two cuts.
pub(super) struct Tally {
    lanes: u32,
    /// The minute of the newest event, and where its counts begin.
    current: Option<(Minute, usize)>,
    /// Where the counts of each minute begin, a count per lane.
    places: BTreeMap<Minute, usize>,
    counts: Vec<u64>,
}

impl Tally {
    pub fn new(lanes: u32) -> Self {
        Tally { lanes, current: None, places: BTreeMap::new(), counts: Vec::new() }
    }

    /// Counts an event of a source with this hash.
    #[inline]
    pub fn count(&mut self, hash: u64, minute: Minute) {
        let place = match self.current {
            Some((current, place)) if current == minute => place,
            _ => self.turn_to(minute),
        };
        self.counts[place + lane(hash, self.lanes) as usize] += 1;
    }

    fn turn_to(&mut self, minute: Minute) -> usize {
        let (counts, lanes) = (&mut self.counts, self.lanes as usize);
        let place = *self.places.entry(minute).or_insert_with(|| {
            let place = counts.len();
            counts.resize(place + lanes, 0);
            place
        });
        self.current = Some((minute, place));
        place
    }

    /// What was counted since the last cut.
    pub fn take(&mut self) -> Vec<Folded> {
        let (lanes, counts) = (self.lanes, &self.counts);
        let of_minute = |(minute, place): (Minute, usize)| {
            let folded = move |lane| Folded { minute, lane, events: counts[place + lane as usize] };
            (0..lanes).map(folded).filter(|folded| folded.events > 0)
        };
        let taken = std::mem::take(&mut self.places).into_iter().flat_map(of_minute).collect();
        self.current = None;
        self.counts.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::hash_source;

    #[test]
    fn each_event_counts_once_in_its_minute_and_lane() {
        let mut tally = Tally::new(4);
        assert_eq!(tally.take(), []);
        let mut expected: BTreeMap<(Minute, u32), u64> = BTreeMap::new();
        for round in 0..2 {
            for event in 0..1_000_u64 {
                let (hash, minute) = (hash_source(&(event % 37).to_le_bytes()), 100 + event * event % 5);
                tally.count(hash, minute);
                *expected.entry((minute, lane(hash, 4))).or_default() += 1;
            }
            let folded = |((minute, lane), events)| Folded { minute, lane, events };
            let expected: Vec<Folded> = std::mem::take(&mut expected).into_iter().map(folded).collect();
            assert_eq!(tally.take(), expected, "round {round}");
        }
    }
}
