//! How long to wait before the next try: twice as long each time, up to a limit, and never exactly.
//!
//! The random part keeps several processes that met once from meeting again. Pure: randomness comes in as a number.

use std::time::Duration;

/// Waits that grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub first: Duration,
    /// The longest wait of all.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, counted from 1: from half of the full wait to all of it, as `random`
    /// says.
    #[must_use]
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        half.saturating_add(Duration::from_nanos(random % span)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(500) };

    #[test]
    fn doubles_from_the_first_wait_to_the_longest() {
        let longest = |failures| BACKOFF.wait(failures, 5_000_000);
        assert_eq!(longest(1), Duration::from_millis(10));
        let full = |failures: u32| (0..64).map(|bit| BACKOFF.wait(failures, 1 << bit)).max().unwrap_or_default();
        for (failures, bound) in [(1, 10), (2, 20), (3, 40), (6, 320), (7, 500), (40, 500), (u32::MAX, 500)] {
            assert!(full(failures) <= Duration::from_millis(bound), "{failures}");
            assert!(BACKOFF.wait(failures, 0) == Duration::from_millis(bound) / 2, "{failures}");
        }
    }

    #[test]
    fn is_not_the_same_twice() {
        assert_ne!(BACKOFF.wait(3, 1), BACKOFF.wait(3, 2));
    }
}
