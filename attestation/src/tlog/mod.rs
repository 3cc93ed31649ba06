//! Merkle trees of RFC 6962 and their publication as C2SP tlog-tiles.
//!
//! A tree is known by its *perfect* subtrees: the node `(level, index)` covers the leaves
//! `index · 2^level .. (index + 1) · 2^level`. [`Frontier`] keeps just the nodes that an append needs, [`MemoryTree`]
//! keeps all, and a store may keep them as records and answer as a [`NodeSource`].

mod frontier;
mod proof;
mod tile;
mod tree;

use sha2::{Digest as _, Sha256};

pub use frontier::{Frontier, Node};
pub use proof::{
    ConsistencyProof, InclusionProof, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};
pub use tile::{
    Entries, MAX_ENTRY_BYTES, TILE_HEIGHT, TILE_WIDTH, TileRef, encode_entry, entries_path, hash_tiles, index_path,
    parse_bundle, tile_path,
};
pub use tree::{MemoryTree, NodeSource, root_at};

/// A SHA-256 hash of a node.
pub type Hash = [u8; 32];

/// The largest tree that is handled: sizes stay exact in JSON.
pub const MAX_SIZE: u64 = crate::encoding::MAX_SAFE_INTEGER;

/// Why something about a tree is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The leaf is not in a tree of that size.
    #[error("leaf {index} is not in a tree of {size}")]
    NotInTree {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The old tree is larger than the new one.
    #[error("a tree of {old} is not a prefix of a tree of {new}")]
    NotAPrefix {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// A node that the tree must have is missing from its source.
    #[error("node {index} of level {level} is missing")]
    MissingNode {
        /// Level, leaves being 0.
        level: u8,
        /// Index in the level.
        index: u64,
    },
    /// A proof has too few or too many hashes for the sizes it is about.
    #[error("proof has the wrong length")]
    ProofLength,
    /// A proof leads to another root.
    #[error("proof leads to another root")]
    WrongRoot,
    /// An entry is longer than its two-byte length can say.
    #[error("entry is longer than {MAX_ENTRY_BYTES} bytes")]
    EntryTooLong,
    /// An entry bundle ends in the middle of an entry.
    #[error("entry bundle is truncated")]
    TruncatedBundle,
}

/// Hash of a leaf: SHA-256(00 ‖ entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hash of an inner node: SHA-256(01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Hash of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Root of a tree over these leaf hashes.
#[must_use]
pub fn root(leaf_hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaf_hashes {
        frontier.push(*leaf);
    }
    frontier.root()
}
