//! What the disk must hold, kept in memory where the disk's owner cannot reach it: the version of each record, and how
//! many records each list has.
//!
//! A record that authenticates but is not of this version is an old one put back; a record that the map knows and the
//! disk does not have was taken away; a list shorter than its count lacks one. All are integrity errors. The map is
//! rebuilt from the disk at start, where the set hash ([`super::set`]) tells whether the disk is what was left on it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::collection::{self, Name};

/// The part of a name that is a PRF output.
pub(crate) type Tail = [u8; 16];

/// A collection of a tenant, or a group of one: what can be listed.
pub(crate) type List = [u8; 16];

/// Versions by the tail of the record's name, and counts by list.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    records: HashMap<Tail, u64, BuildHasherDefault<TailHasher>>,
    lists: HashMap<List, Listed>,
}

/// What is known of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// How many records there are.
    pub(crate) records: u64,
    /// The version that the last change of the list had in this boot.
    changed: u64,
}

impl Versions {
    pub(crate) fn get(&self, tail: &Tail) -> Option<u64> {
        self.records.get(tail).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The highest version.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.records.values().max().copied()
    }

    /// What a list must have. A list that never had a record has none.
    pub(crate) fn listed(&self, list: &List) -> Listed {
        self.lists.get(list).copied().unwrap_or_default()
    }

    /// Notes a record that is now on the disk.
    pub(crate) fn insert(&mut self, name: &Name, version: u64) {
        let new = self.records.insert(name.tail(), version).is_none();
        self.change(name, version, |records| records + u64::from(new));
    }

    /// Notes that a record is no longer on the disk; `version` is that of the commit that deleted it.
    pub(crate) fn remove(&mut self, name: &Name, version: u64) {
        let gone = self.records.remove(&name.tail()).is_some();
        self.change(name, version, |records| records - u64::from(gone));
    }

    fn change(&mut self, name: &Name, version: u64, count: impl Fn(u64) -> u64) {
        for list in collection::lists(name) {
            let listed = self.lists.entry(list).or_default();
            *listed = Listed { records: count(listed.records), changed: version };
        }
    }
}

/// Takes eight bytes of a PRF output as they are: they are as good as any hash of them.
#[derive(Debug, Default)]
pub(crate) struct TailHasher(u64);

impl Hasher for TailHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(chunk) = bytes.last_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*chunk);
        }
    }
}
