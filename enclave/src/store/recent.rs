//! Opened records that were read of late, so that a session or a membership is not decrypted anew for every request.
//!
//! Memory is the one place that the disk's owner cannot reach, so what is kept here needs no second proof. A record is
//! served only while the version map still names its version: a write or a deletion makes it useless at once, and takes
//! it out as well, lest the plaintext of something erased stay behind.

use std::hash::BuildHasherDefault;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};

use super::record::Opened;
use super::versions::{Tail, TailHasher};

/// Plaintext that is kept in all, in bytes.
const CAPACITY_BYTES: u64 = 16 * 1024 * 1024;
/// Larger records (parts of files and of indexes) are read once in a while, and not kept.
const MAX_RECORD_BYTES: usize = 4 * 1024;
/// What one entry takes beside its plaintext, about.
const ENTRY_BYTES: u64 = 96;
/// Entries that the table is laid out for.
const ENTRIES: usize = 16 * 1024;

/// The records, by the tail of their name.
pub(super) struct Recent(Cache<Tail, Arc<Opened>, Weigh, BuildHasherDefault<TailHasher>>);

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<Tail, Arc<Opened>> for Weigh {
    fn weight(&self, _: &Tail, opened: &Arc<Opened>) -> u64 {
        u64::try_from(opened.len()).unwrap_or(u64::MAX / 2) + ENTRY_BYTES
    }
}

impl Default for Recent {
    fn default() -> Self {
        let (hasher, lifecycle) = (BuildHasherDefault::default(), DefaultLifecycle::default());
        Self(Cache::with(ENTRIES, CAPACITY_BYTES, Weigh, hasher, lifecycle))
    }
}

impl Recent {
    /// The record of that name, if it is kept in that version.
    pub(super) fn get(&self, tail: &Tail, version: u64) -> Option<Arc<Opened>> {
        self.0.get(tail).filter(|opened| opened.version == version)
    }

    /// Keeps a record, if it is small enough.
    pub(super) fn keep(&self, tail: Tail, opened: &Arc<Opened>) {
        if opened.len() <= MAX_RECORD_BYTES {
            self.0.insert(tail, Arc::clone(opened));
        }
    }

    /// Drops a record.
    pub(super) fn drop(&self, tail: &Tail) {
        let _dropped = self.0.remove(tail);
    }
}
