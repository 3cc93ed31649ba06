//! The tree of a log as its records keep it, for proofs that read a few tiles and never the whole log.

use std::sync::Arc;

use cloister_attestation::tlog::{self, Hash, NodeSource, TILE_HEIGHT, TILE_WIDTH};

use super::tree::{read_leaf, read_tile};
use crate::store::{Error, Shared, Tenant};

/// The first `size` leaves of a log.
pub(crate) struct StoredTree<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) tenant: &'a Arc<Tenant>,
    pub(crate) size: u64,
}

impl StoredTree<'_> {
    /// The `count` hashes of tile level `tile` from number `first` on; they lie in one tile.
    fn hashes(&self, tile: u8, first: u64, count: u64) -> Result<Vec<Hash>, Error> {
        let nodes = self.size.checked_shr(u32::from(tile) * u32::from(TILE_HEIGHT)).unwrap_or(0);
        if first / TILE_WIDTH < nodes / TILE_WIDTH {
            let full = read_tile(self.shared, self.tenant, tile, first / TILE_WIDTH)?;
            let (skip, take) = (first % TILE_WIDTH, count);
            let place = |number: u64| usize::try_from(number).expect("a tile has 256 hashes");
            return Ok(full.into_iter().skip(place(skip)).take(place(take)).collect());
        }
        // Of the tile that is not full yet, each hash is made of what is below it.
        let below = |index| match tile.checked_sub(1) {
            None => read_leaf(self.shared, self.tenant, index).map(|leaf| tlog::leaf_hash(&leaf)),
            Some(lower) => read_tile(self.shared, self.tenant, lower, index).map(|hashes| tlog::root(&hashes)),
        };
        (first..first + count).map(below).collect()
    }
}

impl NodeSource for StoredTree<'_> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let (tile, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let end = index.checked_add(1)?.checked_mul(1_u64.checked_shl(u32::from(level))?)?;
        if end > self.size {
            return None;
        }
        // A record that is missing or broken leaves the proof without this node, which is an integrity error there.
        let hashes = self.hashes(tile, index << height, 1 << height).ok()?;
        Some(tlog::root(&hashes))
    }
}
