//! Encapsulated keys seen before. EHBP itself has no defence against a body sent twice.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Remembers the most recent encapsulated keys, so that none is accepted twice while it is remembered.
///
/// Only authenticated requests are recorded, which are rate-limited, so that the memory spans hours. Requests of a
/// session carry a single-use nonce of their own on top.
pub struct ReplayCache {
    seen: Mutex<Seen>,
    capacity: usize,
}

#[derive(Default)]
struct Seen {
    keys: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl ReplayCache {
    /// Remembers up to `capacity` keys, at about 100 bytes each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { seen: Mutex::default(), capacity }
    }

    /// Records `enc`; false if it is there already.
    pub fn record(&self, enc: &[u8; 32]) -> bool {
        // The set stays coherent whatever panics elsewhere.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.keys.insert(*enc) {
            return false;
        }
        seen.order.push_back(*enc);
        if seen.order.len() > self.capacity
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.keys.remove(&oldest);
        }
        true
    }
}

impl fmt::Debug for ReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
