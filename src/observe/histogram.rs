//! How long something takes, counted by classes of time.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// The upper bounds of the classes, in milliseconds; the last class has none.
pub const BOUNDS: [Millis; 13] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// Times as they are counted.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
    longest: AtomicU64,
}

/// The same, as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How often it was done.
    pub count: u64,
    /// How long all took together.
    pub sum_ms: u64,
    /// How long the longest took.
    pub longest_ms: u64,
    /// How many took no longer than each of [`BOUNDS`]; each holds those before it.
    pub within: Vec<u64>,
}

impl Histogram {
    /// One took so long. A clock that was set back makes it take no time.
    pub fn add(&self, took: Millis) {
        let took = took.max(0);
        let class = BOUNDS.partition_point(|bound| *bound < took);
        self.counts[class].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(took.cast_unsigned(), Ordering::Relaxed);
        self.longest.fetch_max(took.cast_unsigned(), Ordering::Relaxed);
    }

    /// As it is now.
    pub fn times(&self) -> Times {
        let mut count = 0;
        let mut within: Vec<u64> = Vec::with_capacity(self.counts.len());
        for class in &self.counts {
            count += class.load(Ordering::Relaxed);
            within.push(count);
        }
        within.pop();
        Times {
            count,
            sum_ms: self.sum.load(Ordering::Relaxed),
            longest_ms: self.longest.load(Ordering::Relaxed),
            within,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_up_to_and_with_their_bound() {
        let histogram = Histogram::default();
        [-3, 5, 6, 60_000, 60_001].into_iter().for_each(|took| histogram.add(took));
        let times = histogram.times();
        assert_eq!((times.count, times.sum_ms, times.longest_ms), (5, 120_012, 60_001));
        assert_eq!((times.within[0], times.within[1], times.within[12]), (2, 3, 4));
        assert_eq!(times.within.len(), BOUNDS.len());
    }
}
