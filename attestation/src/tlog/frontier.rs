//! The right edge of a growing tree: all that an append needs, at most 53 hashes.

use super::{Error, Hash, MAX_SIZE, empty_root, node_hash};

/// A perfect subtree that an append completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Leaves are level 0.
    pub level: u8,
    /// Index among the nodes of the level.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
}

/// The perfect subtrees that make up a tree, largest first: one per set bit of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// Restores a frontier from its parts, as [`Self::hashes`] gave them.
    ///
    /// # Errors
    ///
    /// [`Error::ProofLength`] unless there is one hash per set bit of the size.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, Error> {
        if size > MAX_SIZE || usize::try_from(size.count_ones()) != Ok(hashes.len()) {
            return Err(Error::ProofLength);
        }
        Ok(Self { size, hashes })
    }

    /// Appends a leaf and tells every perfect subtree that it completed, the leaf itself first.
    ///
    /// A tile of level `L` is whole when a node of level `8 L` with index ≡ 255 (mod 256) appears.
    pub fn push(&mut self, leaf_hash: Hash) -> Vec<Node> {
        let mut node = Node { level: 0, index: self.size, hash: leaf_hash };
        let mut completed = vec![node];
        while node.index & 1 == 1 {
            let left = self.hashes.pop().expect("an odd index has a left sibling on the frontier");
            node = Node { level: node.level + 1, index: node.index >> 1, hash: node_hash(&left, &node.hash) };
            completed.push(node);
        }
        self.hashes.push(node.hash);
        self.size += 1;
        completed
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the perfect subtrees, largest first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_the_right = self.hashes.iter().rev();
        let Some(last) = from_the_right.next() else { return empty_root() };
        from_the_right.fold(*last, |right, left| node_hash(left, &right))
    }
}
