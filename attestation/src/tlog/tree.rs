//! Trees whose nodes can be looked up.

use super::{Error, Frontier, Hash, Node, empty_root, node_hash};

/// Something that knows the hashes of the perfect subtrees of a tree.
pub trait NodeSource {
    /// Hash of the node, or none if it is not known.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

/// All nodes of a tree, in memory: 64 bytes a leaf.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    frontier: Frontier,
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree over these leaf hashes.
    #[must_use]
    pub fn from_leaves(leaf_hashes: &[Hash]) -> Self {
        let mut tree = Self::new();
        for leaf in leaf_hashes {
            tree.push(*leaf);
        }
        tree
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf_hash: Hash) {
        for Node { level, hash, .. } in self.frontier.push(leaf_hash) {
            let level = usize::from(level);
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels.get_mut(level).expect("levels fill from the bottom").push(hash);
        }
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Root of the whole tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }
}

impl NodeSource for MemoryTree {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.levels.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }
}

/// Root of the first `size` leaves.
///
/// # Errors
///
/// [`Error::MissingNode`] if the source does not know that many.
pub fn root_at(source: &impl NodeSource, size: u64) -> Result<Hash, Error> {
    if size == 0 { Ok(empty_root()) } else { range_hash(source, 0, size) }
}

/// Hash of the subtree over the leaves `start .. end`, split as RFC 6962, section 2.1, splits.
///
/// `start` is a multiple of the largest power of two that is below `end - start`; the recursion is at most 53 deep.
pub(super) fn range_hash(source: &impl NodeSource, start: u64, end: u64) -> Result<Hash, Error> {
    let width = end - start;
    if width.is_power_of_two() {
        let level = u8::try_from(width.trailing_zeros()).expect("a u64 has 64 bits");
        let index = start >> level;
        return source.node(level, index).ok_or(Error::MissingNode { level, index });
    }
    let middle = start + split(width);
    Ok(node_hash(&range_hash(source, start, middle)?, &range_hash(source, middle, end)?))
}

/// The largest power of two smaller than `width`, which is at least 2.
pub(super) const fn split(width: u64) -> u64 {
    1 << (u64::BITS - 1 - (width - 1).leading_zeros())
}
