//! Logins between their two messages: in memory, for a minute, for one use.
//!
//! The table is bounded. When it is full of logins that are not yet stale, the oldest makes room: it began first, so it
//! is the likeliest to have been given up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use cloister_protocol::ids::LoginId;

/// How long a login may take between its two messages, milliseconds.
pub const TTL_MS: u64 = 60_000;

/// Things under a login id, each taken out once.
pub struct Pending<T> {
    entries: Mutex<Entries<T>>,
    capacity: usize,
}

struct Entries<T> {
    by_id: HashMap<LoginId, Entry<T>>,
    /// In the order of insertion, which is the order of expiry; ids that were taken are skipped.
    order: VecDeque<LoginId>,
}

struct Entry<T> {
    value: T,
    expires_ms: u64,
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<T> Pending<T> {
    /// Holds at most `capacity` logins.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: Mutex::new(Entries { by_id: HashMap::new(), order: VecDeque::new() }), capacity }
    }

    /// Keeps `value` until it is taken or [`TTL_MS`] have passed. Returns what had to go: stale or pushed out.
    pub fn insert(&self, id: LoginId, value: T, now_ms: u64) -> Vec<T> {
        let mut entries = self.lock();
        let mut gone = entries.remove_stale(now_ms);
        while entries.by_id.len() >= self.capacity {
            let Some(oldest) = entries.order.pop_front() else { break };
            gone.extend(entries.by_id.remove(&oldest).map(|entry| entry.value));
        }
        entries.by_id.insert(id, Entry { value, expires_ms: now_ms.saturating_add(TTL_MS) });
        entries.order.push_back(id);
        gone
    }

    /// Takes the login out, if it is there and not stale.
    pub fn take(&self, id: LoginId, now_ms: u64) -> Option<T> {
        let entry = self.lock().by_id.remove(&id)?;
        (now_ms < entry.expires_ms).then_some(entry.value)
    }

    /// Takes out what nobody can finish any more.
    pub fn take_stale(&self, now_ms: u64) -> Vec<T> {
        self.lock().remove_stale(now_ms)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries<T>> {
        // No step leaves the table in pieces, whatever panics elsewhere.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Entries<T> {
    fn remove_stale(&mut self, now_ms: u64) -> Vec<T> {
        let mut gone = Vec::new();
        while let Some(oldest) = self.order.front() {
            match self.by_id.get(oldest) {
                Some(entry) if now_ms < entry.expires_ms => break,
                Some(_) => gone.extend(self.by_id.remove(oldest).map(|entry| entry.value)),
                None => {}
            }
            self.order.pop_front();
        }
        gone
    }
}
