//! Fresh ids: a time, so that they sort as they were made, and random bits, so that nobody guesses them.

use crate::keys::secret::random;

/// 128 random bits.
pub(crate) fn bits() -> u128 {
    u128::from_be_bytes(random())
}

/// A fresh id, given its kind's constructor (an id keeps the lower 80 bits).
pub(crate) fn id<T>(make: fn(u64, u128) -> T, now_ms: u64) -> T {
    make(now_ms, bits())
}
