//! Nonces seen, so that a signed request is accepted once.
//!
//! Only requests with a valid signature get here, so only a session's own client can fill its share. Nothing that could
//! still be replayed is ever forgotten to make room: when the memory is full, requests are refused instead.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Refused;
use crate::identity::token::Digest;

/// The most nonces of one session: ten minutes at thirteen requests a second.
const PER_SESSION: usize = 8192;

/// Remembers nonces until the time window has closed over them.
#[derive(Debug)]
pub struct NonceCache {
    seen: Mutex<Seen>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Seen {
    by_session: HashMap<Digest, HashMap<Box<str>, u64>>,
    len: usize,
    swept_ms: u64,
}

impl NonceCache {
    /// Remembers at most `capacity` nonces, at about 100 bytes each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { seen: Mutex::default(), capacity }
    }

    /// Records a nonce of a session until `expires_ms`, after which its request is refused for its age.
    ///
    /// # Errors
    /// [`Refused::Replayed`] if it is there already, [`Refused::Full`] if there is no room.
    pub fn record(&self, session: Digest, nonce: &str, expires_ms: u64, now_ms: u64) -> Result<(), Refused> {
        // The counts stay coherent whatever panics elsewhere.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.sweep(now_ms, self.capacity);
        if seen.by_session.get(&session).is_some_and(|nonces| nonces.contains_key(nonce)) {
            return Err(Refused::Replayed);
        }
        let full = seen.by_session.get(&session).map_or(0, HashMap::len) >= PER_SESSION;
        if full || seen.len >= self.capacity {
            return Err(Refused::Full);
        }
        seen.by_session.entry(session).or_default().insert(nonce.into(), expires_ms);
        seen.len += 1;
        Ok(())
    }
}

impl Seen {
    /// Forgets what has expired: every ten seconds, or at every request once the memory is full.
    fn sweep(&mut self, now_ms: u64, capacity: usize) {
        if now_ms < self.swept_ms.saturating_add(10_000) && self.len < capacity {
            return;
        }
        self.swept_ms = now_ms;
        for nonces in self.by_session.values_mut() {
            nonces.retain(|_, expires_ms| now_ms <= *expires_ms);
        }
        self.by_session.retain(|_, nonces| !nonces.is_empty());
        self.len = self.by_session.values().map(HashMap::len).sum();
    }
}
