//! When a slot tells of itself: when its epoch rises, and else from time to time; not on the way of an event.

use crate::time::{Epoch, Millis};

/// What is to be done after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// Tell.
    Now,
    /// Nothing.
    Not,
    /// Nothing, but where the slot would sleep it must be woken in so many milliseconds, for then it has something to tell.
    After(u64),
}

/// One slot's rhythm.
#[derive(Debug)]
pub(super) struct Rhythm {
    every: Millis,
    told: Option<(Millis, Epoch)>,
    /// Whether it will be woken to tell.
    will_wake: bool,
}

impl Rhythm {
    /// Tells at most once in so many milliseconds, rises of the epoch aside.
    pub fn new(every: Millis) -> Self {
        Rhythm { every, told: None, will_wake: false }
    }

    /// After a turn; `sleeps` says whether nothing is left to be read.
    pub fn after_turn(&mut self, now: Millis, epoch: Epoch, sleeps: bool) -> Telling {
        let left = match self.told {
            // A clock that was set back must not silence a slot.
            Some((at, told)) if told == epoch && now >= at => at.saturating_add(self.every) - now,
            _ => 0,
        };
        if left <= 0 {
            self.told = Some((now, epoch));
            self.will_wake = false;
            return Telling::Now;
        }
        if sleeps && !self.will_wake {
            self.will_wake = true;
            return Telling::After(left.cast_unsigned());
        }
        Telling::Not
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_from_time_to_time_and_when_the_epoch_rises() {
        let mut rhythm = Rhythm::new(100);
        assert_eq!(rhythm.after_turn(1_000, 7, false), Telling::Now);
        assert_eq!(rhythm.after_turn(1_099, 7, false), Telling::Not);
        assert_eq!(rhythm.after_turn(1_099, 8, false), Telling::Now);
        assert_eq!(rhythm.after_turn(1_198, 8, false), Telling::Not);
        assert_eq!(rhythm.after_turn(1_199, 8, false), Telling::Now);
        assert_eq!(rhythm.after_turn(500, 8, false), Telling::Now, "the clock was set back");
    }

    #[test]
    fn what_was_not_told_is_told_before_a_long_sleep() {
        let mut rhythm = Rhythm::new(100);
        assert_eq!(rhythm.after_turn(1_000, 7, true), Telling::Now);
        assert_eq!(rhythm.after_turn(1_030, 7, true), Telling::After(70));
        assert_eq!(rhythm.after_turn(1_040, 7, true), Telling::Not, "it will be woken already");
        assert_eq!(rhythm.after_turn(1_100, 7, true), Telling::Now);
        assert_eq!(rhythm.after_turn(1_110, 7, true), Telling::After(90));
    }
}
