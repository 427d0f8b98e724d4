//! Waits between tries: longer each time, half of it chance, so that many partitions do not keep step.

use std::time::Duration;

use crate::connect::random_number;
use crate::limits::PULSAR_AGAIN_MS;

/// How often has been tried in vain.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// Nothing was tried yet.
    pub(super) fn new() -> Self {
        Backoff::default()
    }

    /// It worked: the next wait is a short one.
    pub(super) fn worked(&mut self) {
        self.0 = 0;
    }

    /// The most milliseconds that the next wait takes.
    fn most(&mut self) -> u64 {
        let (first, longest) = PULSAR_AGAIN_MS;
        let most = first.saturating_mul(1 << self.0.min(20)).min(longest);
        self.0 = self.0.saturating_add(1);
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
        let mut backoff = Backoff::new();
        let waits: Vec<u64> = (0..40).map(|_| backoff.most()).collect();
        assert_eq!(waits[..3], [PULSAR_AGAIN_MS.0, 2 * PULSAR_AGAIN_MS.0, 4 * PULSAR_AGAIN_MS.0]);
        assert_eq!(waits[39], PULSAR_AGAIN_MS.1);
        backoff.worked();
        assert_eq!(backoff.most(), PULSAR_AGAIN_MS.0);
    }
}
