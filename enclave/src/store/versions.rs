//! Which version of each record is the current one, kept in memory where the disk's owner cannot reach it.
//!
//! A record that authenticates but is not of this version is an old one put back; a record that the map knows and the
//! disk does not have was taken away. Both are integrity errors. The map is rebuilt from the disk at start, so what
//! happened to the disk in between is not for this map to see: that takes the set hash and the anchors of the design.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The part of a name that is a PRF output.
pub(crate) type Tail = [u8; 16];

/// Versions by the tail of the record's name.
pub(crate) type Versions = HashMap<Tail, u64, BuildHasherDefault<TailHasher>>;

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
