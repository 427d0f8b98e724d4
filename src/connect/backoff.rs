//! Waits between tries: longer each time, half of it chance, so that many partitions do not keep step.

use std::time::Duration;

use super::random_number;

/// How often has been tried in vain.
#[derive(Debug)]
pub(super) struct Backoff {
    /// Milliseconds: the first wait at most, and the longest.
    bounds: (u64, u64),
    tries: u32,
}

impl Backoff {
    /// Nothing was tried yet; waits grow between these milliseconds.
    pub(super) fn new(bounds: (u64, u64)) -> Self {
        Backoff { bounds, tries: 0 }
    }

    /// It worked: the next wait is a short one.
    pub(super) fn worked(&mut self) {
        self.tries = 0;
    }

    /// The most milliseconds that the next wait takes.
    fn most(&mut self) -> u64 {
        let (first, longest) = self.bounds;
        let most = first.saturating_mul(1 << self.tries.min(20)).min(longest);
        self.tries = self.tries.saturating_add(1);
        most
    }

    /// Waits before another try.
    pub(super) async fn wait(&mut self) {
        let most = self.most();
        tokio::time::sleep(Duration::from_millis(most / 2 + random_number() % (most / 2 + 1))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut backoff = Backoff::new((100, 10_000));
        let waits: Vec<u64> = (0..40).map(|_| backoff.most()).collect();
        assert_eq!(waits[..3], [100, 200, 400]);
        assert_eq!(waits[39], 10_000);
        backoff.worked();
        assert_eq!(backoff.most(), 100);
    }
}
