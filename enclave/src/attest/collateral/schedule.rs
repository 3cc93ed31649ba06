//! When collateral is gathered again. Pure: the time comes in as a number.

use std::time::Duration;

use crate::attest::Backoff;

/// Evidence is looked at this often: a chip's firmware may have been updated under the guest, or the folder filled.
pub(super) const LOOK: Duration = Duration::from_secs(60 * 60);
/// Vendors revoke and re-issue at any time, so even what is valid for years is gathered every day.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;
/// After failures: soon at first, and every hour for as long as it takes.
pub(super) const AFTER_FAILURE: Backoff = Backoff { first: Duration::from_secs(2), longest: LOOK };

/// Whether what was gathered then and is valid until then should be gathered anew: after two thirds of its time, at the
/// latest after a day. A clock that was set back is no reason to trust an old answer for longer.
pub(super) const fn is_due(gathered_ms: u64, valid_until_ms: u64, now_ms: u64) -> bool {
    now_ms < gathered_ms || now_ms >= due_ms(gathered_ms, valid_until_ms)
}

/// How long until then, and no longer than until evidence is looked at.
pub(super) fn next_look(gathered_ms: u64, valid_until_ms: u64, now_ms: u64) -> Duration {
    let left_ms = due_ms(gathered_ms, valid_until_ms).saturating_sub(now_ms);
    Duration::from_millis(left_ms).clamp(AFTER_FAILURE.first, LOOK)
}

const fn due_ms(gathered_ms: u64, valid_until_ms: u64) -> u64 {
    let two_thirds_ms = valid_until_ms.saturating_sub(gathered_ms) / 3 * 2;
    gathered_ms.saturating_add(if two_thirds_ms < LONGEST_MS { two_thirds_ms } else { LONGEST_MS })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 60 * 60 * 1000;

    #[test]
    fn dc_05_is_due_after_two_thirds_of_its_time_and_every_day() {
        let gathered_ms: u64 = 1_790_000_000_000;
        for (valid_ms, due_ms) in
            [(3 * HOUR_MS, 2 * HOUR_MS), (30 * 24 * HOUR_MS, 24 * HOUR_MS), (0, 0), (u64::MAX, 24 * HOUR_MS)]
        {
            let until_ms = gathered_ms.saturating_add(valid_ms);
            assert!(is_due(gathered_ms, until_ms, gathered_ms + due_ms), "{valid_ms}");
            assert!(due_ms == 0 || !is_due(gathered_ms, until_ms, gathered_ms + due_ms - 1), "{valid_ms}");
            assert!(due_ms == 0 || !is_due(gathered_ms, until_ms, gathered_ms), "{valid_ms}");
        }
        assert!(is_due(gathered_ms, gathered_ms + HOUR_MS, gathered_ms - 1), "the clock went back");
    }

    #[test]
    fn dc_05_looks_every_hour_and_never_at_once() {
        let look = |valid_ms, passed_ms| next_look(0, valid_ms, passed_ms);
        assert_eq!(look(30 * 24 * HOUR_MS, 0), LOOK);
        assert_eq!(look(30 * 24 * HOUR_MS, 24 * HOUR_MS - 60_000), Duration::from_secs(60));
        assert_eq!(look(0, 7), AFTER_FAILURE.first);
    }
}
