//! The transparency log and what is proven by it: notes, proofs, bundles, exports, receipts.

use cloister_attestation::export::{self, Expectations};
use cloister_attestation::note::{Checkpoint, Note, Vkey};
use cloister_attestation::receipt::{self, Receipt};
use cloister_attestation::tlog::{self, Frontier, Hash, MemoryTree};
use cloister_attestation::{Trust, aci};

use super::{no_failure, reads_back, some_failure};
use crate::parts::{milliseconds, split};

/// Parts: a verifier key, a signed note.
pub(crate) fn note(data: &[u8]) {
    let [vkey, note] = split(data);
    let keys: Vec<Vkey> = std::str::from_utf8(vkey).ok().and_then(|text| Vkey::parse(text).ok()).into_iter().collect();
    if let [key] = keys.as_slice() {
        assert_eq!(key.to_string().as_bytes(), vkey, "a key has one spelling");
    }
    let Ok(parsed) = Note::parse(note) else { return };
    let _ = parsed.verify(&keys);
    if let Ok(checkpoint) = Checkpoint::open(note, &keys) {
        assert!(note.starts_with(checkpoint.text().as_bytes()), "a checkpoint is read otherwise than it was signed");
    }
    if let Some(text) = std::str::from_utf8(note).ok().and_then(|text| text.split_once("\n\n")) {
        let text = format!("{}\n", text.0);
        if let Ok(checkpoint) = Checkpoint::parse_text(&text) {
            assert_eq!(checkpoint.text(), text, "a checkpoint has one spelling");
        }
    }
}

/// A proof from somewhere, and one of our own about a tree of the input's bytes.
pub(crate) fn proof(data: &[u8]) {
    let [numbers, hashes] = split(data);
    let number = |at: usize| {
        let bytes = numbers.get(8 * at..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let (index, size) = (number(0), number(1));
    let hashes: Vec<Hash> = hashes.as_chunks::<32>().0.to_vec();
    let hash = |at: usize| hashes.get(at).copied().unwrap_or_default();
    let _ = tlog::verify_inclusion(&hashes, index, size, &hash(0), &hash(1));
    let _ = tlog::verify_consistency(&hashes, (index, &hash(0)), (size, &hash(1)));
    let _ = (tlog::tile_path(8, index, 256), tlog::entries_path(index, 1), tlog::index_path(size));
    if let Ok(frontier) = Frontier::from_parts(size, hashes.clone()) {
        assert_eq!(frontier.size(), size);
        let _ = frontier.root();
    }
    own_proof(&hashes, index);
}

fn own_proof(leaves: &[Hash], index: u64) {
    let tree = MemoryTree::from_leaves(leaves);
    let Some(index) = index.checked_rem(tree.size()) else { return };
    let leaf = usize::try_from(index).ok().and_then(|at| leaves.get(at)).expect("the index is in the tree");
    let proof = tlog::prove_inclusion(&tree, index, tree.size()).expect("the leaf is in the tree");
    assert_eq!(tlog::verify_inclusion(&proof, index, tree.size(), leaf, &tree.root()), Ok(()));
    let longer = [proof.as_slice(), &[*leaf]].concat();
    assert!(tlog::verify_inclusion(&longer, index, tree.size(), leaf, &tree.root()).is_err());
}

/// A bundle of entries: what is read as whole entries is written as the same bytes.
pub(crate) fn bundle(data: &[u8]) {
    let Ok(entries) = tlog::parse_bundle(data).collect::<Result<Vec<&[u8]>, _>>() else { return };
    let mut written = Vec::new();
    for entry in entries {
        tlog::encode_entry(&mut written, entry).expect("an entry that was read is short enough");
    }
    assert_eq!(written, data);
}

/// Parts: time, tar.
pub(crate) fn export(data: &[u8]) {
    let [time, tar] = split(data);
    let expected = Expectations { document: None, previous: None };
    match export::verify(tar, &expected, &Trust::pinned(), milliseconds(time)) {
        Ok(verified) => no_failure(verified.checks()),
        Err(rejected) => some_failure(&rejected.checks),
    }
}

/// A receipt, under the key that it names.
pub(crate) fn receipt(data: &[u8]) {
    let Ok(receipt) = Receipt::parse(data) else { return };
    reads_back(&receipt);
    assert_eq!(receipt::verify(&receipt, &[]), Err(receipt::Error::UnknownKey));
}

/// Parts: a keyset of ACI, a receipt. What has members that no signature covers is not read.
pub(crate) fn aci_receipt(data: &[u8]) {
    let [keyset, receipt] = split(data);
    let keyset: Option<aci::Keyset> = serde_json::from_slice(keyset).ok();
    let Ok(receipt) = aci::Receipt::parse(receipt) else { return };
    reads_back(&receipt);
    let Some(keyset) = keyset else { return };
    reads_back(&keyset);
    if aci::verify_receipt(&receipt, &keyset).is_ok() {
        let mut other = receipt;
        other.body.served_at ^= 1;
        assert!(aci::verify_receipt(&other, &keyset).is_err(), "a receipt of another time is accepted");
    }
}
