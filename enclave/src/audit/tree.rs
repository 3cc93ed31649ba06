//! The growing edge of a log's tree: its frontier, and the tiles that are not yet full.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloister_attestation::tlog::{self, Frontier, Hash, TILE_HEIGHT, TILE_WIDTH};

use super::{LEAVES, TILES};
use crate::store::{Address, Draft, Error, Shared, Target, Tenant, order_key};

/// The edge of a tree. `tiles[L]` holds the hashes of level `8 L` that come after the last full tile of level `L`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    frontier: Frontier,
    tiles: Vec<Vec<Hash>>,
}

/// A tile that an append has filled.
pub(crate) struct FullTile {
    level: u8,
    index: u64,
    hashes: Vec<Hash>,
}

impl Edge {
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Appends a leaf; answers the tiles that it fills.
    pub(crate) fn push(&mut self, leaf: &[u8]) -> Vec<FullTile> {
        let mut full = Vec::new();
        for node in self.frontier.push(tlog::leaf_hash(leaf)) {
            if node.level % TILE_HEIGHT != 0 {
                continue;
            }
            let level = node.level / TILE_HEIGHT;
            if self.tiles.len() <= usize::from(level) {
                self.tiles.push(Vec::new());
            }
            let tile = self.tiles.get_mut(usize::from(level)).expect("tiles fill from the bottom");
            tile.push(node.hash);
            if node.index % TILE_WIDTH == TILE_WIDTH - 1 {
                full.push(FullTile { level, index: node.index / TILE_WIDTH, hashes: std::mem::take(tile) });
            }
        }
        full
    }

    /// Reads the edge of a log of this size and root back from its tiles and its last leaves.
    pub(crate) fn load(shared: &Shared, tenant: &Arc<Tenant>, size: u64, root: Hash) -> Result<Self, Error> {
        let broken = |_| Error::Integrity { what: TILES.name() };
        let mut tiles = vec![Vec::new()];
        for seq in size - size % TILE_WIDTH..size {
            let leaf = read_leaf(shared, tenant, seq)?;
            tiles.first_mut().expect("there is a level 0").push(tlog::leaf_hash(&leaf));
        }
        let mut nodes = size / TILE_WIDTH;
        for level in 1.. {
            if nodes == 0 {
                break;
            }
            // A hash of this level is the root of a full tile of the level below.
            let below = level - 1;
            let hashes = (nodes - nodes % TILE_WIDTH..nodes)
                .map(|index| read_tile(shared, tenant, below, index).map(|hashes| tlog::root(&hashes)));
            tiles.push(hashes.collect::<Result<_, _>>()?);
            nodes /= TILE_WIDTH;
        }
        let mut hashes = Vec::new();
        for tile in tiles.iter().rev() {
            let mut subtree = Frontier::new();
            for hash in tile {
                subtree.push(*hash);
            }
            hashes.extend_from_slice(subtree.hashes());
        }
        let edge = Self { frontier: Frontier::from_parts(size, hashes).map_err(broken)?, tiles };
        if edge.root() == root { Ok(edge) } else { Err(Error::Integrity { what: LEAVES.name() }) }
    }
}

impl FullTile {
    /// Whether the tile's record is this tile.
    pub(crate) fn is_stored(&self, shared: &Shared, tenant: &Arc<Tenant>) -> Result<bool, Error> {
        Ok(read_tile(shared, tenant, self.level, self.index)? == self.hashes)
    }

    /// The record that keeps the tile.
    pub(crate) fn record(&self, shared: &Shared, tenant: &Arc<Tenant>) -> (Target, Draft) {
        let target = tile_target(shared, tenant, self.level, self.index).expect("a short key");
        let hashes = BASE64.encode(self.hashes.concat());
        let draft = Draft::of(target.meta, &target.key, &hashes).expect("a string can be encoded");
        (target, draft)
    }
}

fn tile_target(shared: &Shared, tenant: &Arc<Tenant>, level: u8, index: u64) -> Result<Target, Error> {
    shared.target(tenant, TILES.meta(), Address::Key { group: None, key: &format!("{level}/{index}") })
}

/// Reads a full tile.
pub(crate) fn read_tile(shared: &Shared, tenant: &Arc<Tenant>, level: u8, index: u64) -> Result<Vec<Hash>, Error> {
    let broken = || Error::Integrity { what: TILES.name() };
    let opened = shared.read(&tile_target(shared, tenant, level, index)?)?.ok_or_else(broken)?;
    let encoded: String = opened.decode(TILES.meta())?;
    let bytes = BASE64.decode(encoded).map_err(|_| broken())?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    let whole = rest.is_empty() && u64::try_from(hashes.len()) == Ok(TILE_WIDTH);
    whole.then(|| hashes.to_vec()).ok_or_else(broken)
}

/// Reads the bytes of one leaf.
pub(crate) fn read_leaf(shared: &Shared, tenant: &Arc<Tenant>, seq: u64) -> Result<Vec<u8>, Error> {
    let target = leaf_target(shared, tenant, seq)?;
    let opened = shared.read(&target)?.ok_or(Error::Integrity { what: LEAVES.name() })?;
    Ok(opened.body().to_vec())
}

/// Where a leaf is.
pub(crate) fn leaf_target(shared: &Shared, tenant: &Arc<Tenant>, seq: u64) -> Result<Target, Error> {
    shared.target(tenant, LEAVES.meta(), Address::Key { group: None, key: &order_key(seq) })
}
