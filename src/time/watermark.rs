//! How far a partition's event time has come.

use super::{Millis, Minute};
use crate::limits::{MINUTE_MS, TIME_END_S};

/// The watermark `W_p` of one partition: the largest event time read, minus what events may be out of order.
///
/// It is moved once per entry, after all events of that entry were judged by where it stood before. So no judgement
/// depends on the place in an entry at which a thread happened to stop, and positions can be whole entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    out_of_order: Millis,
    max_time: Option<Millis>,
}

impl Watermark {
    /// The watermark of a partition that has been read up to `max_time`; `None` where no event of it has been read.
    pub fn new(out_of_order: Millis, max_time: Option<Millis>) -> Self {
        Watermark { out_of_order, max_time }
    }

    /// Takes in a whole entry by the largest event time in it (events too far ahead and malformed ones aside; `None`
    /// where nothing is left). Only ever moves forward. Returns whether [`Watermark::minute`] changed.
    pub fn observe_entry(&mut self, max_event_time: Option<Millis>) -> bool {
        let before = self.minute();
        self.max_time = self.max_time.max(max_event_time);
        self.minute() != before
    }

    /// The largest event time read; what a cut stores.
    pub fn max_time(&self) -> Option<Millis> {
        self.max_time
    }

    /// `M_p`, the minute of the watermark; `None` before the first event. A watermark before 1970 is in minute 0.
    pub fn minute(&self) -> Option<Minute> {
        self.max_time.map(|time| minute_before(time, self.out_of_order))
    }
}

/// The minute of `time - out_of_order`, kept within the minutes there are.
pub(super) fn minute_before(time: Millis, out_of_order: Millis) -> Minute {
    (time.saturating_sub(out_of_order).clamp(0, TIME_END_S * 1_000 - 1) / MINUTE_MS).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{LAST_EPOCH, minute_of};

    #[test]
    fn is_unknown_before_the_first_event() {
        let mut watermark = Watermark::new(5_000, None);
        assert!(!watermark.observe_entry(None));
        assert_eq!((watermark.minute(), watermark.max_time()), (None, None));
    }

    #[test]
    fn stands_out_of_order_behind_the_largest_time() {
        let mut watermark = Watermark::new(5_000, None);
        assert!(watermark.observe_entry(Some(64_999)));
        assert_eq!(watermark.minute(), Some(0));
        assert!(watermark.observe_entry(Some(65_000)));
        assert_eq!(watermark.minute(), Some(1));
    }

    #[test]
    fn never_moves_back() {
        let mut watermark = Watermark::new(0, Some(600_000));
        assert!(!watermark.observe_entry(Some(1)));
        assert!(!watermark.observe_entry(None));
        assert_eq!((watermark.minute(), watermark.max_time()), (Some(10), Some(600_000)));
    }

    #[test]
    fn before_1970_is_minute_0_and_the_far_end_is_held() {
        assert_eq!(Watermark::new(5_000, Some(4_999)).minute(), Some(0));
        assert_eq!(Watermark::new(Millis::MAX, Some(Millis::MIN)).minute(), Some(0));
        let end = Watermark::new(Millis::MIN, Some(Millis::MAX)).minute();
        assert_eq!(end, minute_of(TIME_END_S * 1_000 - 1));
        assert!(end < Some(LAST_EPOCH));
    }

    proptest! {
        #[test]
        fn is_the_largest_of_all_entries(times in prop::collection::vec(prop::option::of(0..10_000_000_i64), 0..30)) {
            let mut watermark = Watermark::new(90_000, None);
            for (read, time) in times.iter().enumerate() {
                watermark.observe_entry(*time);
                let largest = times[..=read].iter().flatten().max();
                prop_assert_eq!(watermark.minute(), largest.map(|t| minute_of(*t - 90_000).unwrap_or(0)));
            }
        }
    }
}
