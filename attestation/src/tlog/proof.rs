//! Inclusion and consistency proofs, RFC 6962 sections 2.1.1 and 2.1.2; verified as in RFC 9162, 2.1.3.2 and 2.1.4.2.

use super::tree::{range_hash, split};
use super::{Error, Hash, NodeSource, node_hash};

/// The hashes that lead from a leaf to the root, from the bottom up.
pub type InclusionProof = Vec<Hash>;
/// The hashes that lead from an old root to both roots.
pub type ConsistencyProof = Vec<Hash>;

/// Proves that a leaf is in the tree of that size.
///
/// # Errors
///
/// If the leaf is not in the tree, or the source lacks a node.
pub fn prove_inclusion(source: &impl NodeSource, index: u64, size: u64) -> Result<InclusionProof, Error> {
    if index >= size {
        return Err(Error::NotInTree { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_hash(source, middle, end)?);
            end = middle;
        } else {
            proof.push(range_hash(source, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proves that the tree of size `old` is a prefix of the tree of size `new`; empty if one of them is trivial.
///
/// # Errors
///
/// If `old` is larger than `new`, or the source lacks a node.
pub fn prove_consistency(source: &impl NodeSource, old: u64, new: u64) -> Result<ConsistencyProof, Error> {
    if old > new {
        return Err(Error::NotAPrefix { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut proof = Vec::new();
    // Down to the subtree whose right edge is the old tree's right edge; b of RFC 6962 is `start == 0`.
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range_hash(source, middle, end)?);
            end = middle;
        } else {
            proof.push(range_hash(source, start, middle)?);
            start = middle;
        }
    }
    if start != 0 {
        proof.push(range_hash(source, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that a leaf is in the tree with this root.
///
/// # Errors
///
/// [`Error::NotInTree`], [`Error::ProofLength`] or [`Error::WrongRoot`].
pub fn verify_inclusion(proof: &[Hash], index: u64, size: u64, leaf: &Hash, root: &Hash) -> Result<(), Error> {
    if index >= size {
        return Err(Error::NotInTree { index, size });
    }
    let (mut position, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(Error::ProofLength);
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(Error::ProofLength);
    }
    if hash == *root { Ok(()) } else { Err(Error::WrongRoot) }
}

/// Checks that the tree with `old_root` is a prefix of the tree with `new_root`.
///
/// # Errors
///
/// [`Error::NotAPrefix`], [`Error::ProofLength`] or [`Error::WrongRoot`].
pub fn verify_consistency(
    proof: &[Hash],
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
) -> Result<(), Error> {
    if old > new {
        return Err(Error::NotAPrefix { old, new });
    }
    if old == 0 || old == new {
        let same = if old == 0 { *old_root == super::empty_root() } else { old_root == new_root };
        return match (proof.is_empty(), same) {
            (true, true) => Ok(()),
            (false, _) => Err(Error::ProofLength),
            (true, false) => Err(Error::WrongRoot),
        };
    }
    // RFC 9162, 2.1.4.2: a power of two is its own first node.
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { old_root } else { hashes.next().ok_or(Error::ProofLength)? };
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(Error::ProofLength);
        }
        if position & 1 == 1 || position == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(Error::ProofLength);
    }
    if old_hash == *old_root && new_hash == *new_root { Ok(()) } else { Err(Error::WrongRoot) }
}
